// RUN: dit-opt %s '--dit-program-sample=hoist-steps=3' --canonicalize --cse --dit-verify-program 2>/dev/null | FileCheck %s
// RUN: dit-opt %s '--dit-program-sample=hoist-steps=3' 2>&1 | FileCheck %s --check-prefix=COST
// RUN: dit-opt %s '--dit-program-sample=hoist-steps=-1 hoist-rows=30' 2>/dev/null | FileCheck %s --check-prefix=CHOSEN
// RUN: dit-opt %s '--dit-program-sample=hoist-steps=-1 hoist-rows=6' 2>/dev/null | FileCheck %s --check-prefix=OFF

// Two pictures: four rows, of which three differ, at three steps at once. 30
// rows are 10 steps of these: 16. 6 rows are two steps: not worth it.
// COST: remark: what depends on timestep and label alone is computed for 3 steps at once: 384 B of weights are read every 3 steps, not every step; 480 FLOP a step, not 768 FLOP, for 3 different rows of 4; tables of 432 B
// CHOSEN: hoist_steps = 16
// CHOSEN: dit.global @conditioning state : tensor<16x3x12xf32>
// OFF: hoist_steps = 0
// OFF-NOT: conditioning
// OFF-NOT: prologue

// CHECK: hoist_steps = 3
module {
  dit.global @frequencies parameter : tensor<4xf32>
  dit.global @time parameter : tensor<6x4xf32>
  dit.global @table parameter : tensor<11x6xf32>
  dit.global @modulation parameter : tensor<12x6xf32>
  dit.global @shift parameter : tensor<12xf32>
  // One table for both batches of the model.
  // CHECK: dit.global @conditioning state : tensor<3x3x12xf32>
  // CHECK-NOT: dit.global @conditioning

  func.func @forward(%x: tensor<4x1x2x3xf32>, %t: tensor<4xf32>, %y: tensor<4xi64>) -> tensor<4x1x2x3xf32>
      attributes {dit.inputs = ["x", "t", "y"]} {
    %f = dit.read @frequencies : tensor<4xf32>
    %tb = dit.broadcast %t dims = [0] : tensor<4xf32> -> tensor<4x4xf32>
    %fb = dit.broadcast %f dims = [1] : tensor<4xf32> -> tensor<4x4xf32>
    %a = arith.mulf %tb, %fb : tensor<4x4xf32>
    %s = math.sin %a : tensor<4x4xf32>
    %tw = dit.read @time : tensor<6x4xf32>
    %te = dit.matmul %s, %tw {transpose_rhs} : tensor<4x4xf32>, tensor<6x4xf32> -> tensor<4x6xf32>
    %w = dit.read @table : tensor<11x6xf32>
    %le = dit.gather %w, %y : tensor<11x6xf32>, tensor<4xi64>
    %c = arith.addf %te, %le : tensor<4x6xf32>
    %mw = dit.read @modulation : tensor<12x6xf32>
    %mb = dit.read @shift : tensor<12xf32>
    %m = dit.matmul %c, %mw bias %mb {transpose_rhs} : tensor<4x6xf32>, tensor<12x6xf32> bias tensor<12xf32> -> tensor<4x12xf32>
    %lo = tensor.extract_slice %m[0, 6] [4, 6] [1, 1] : tensor<4x12xf32> to tensor<4x6xf32>
    %one = arith.constant dense<1.0> : tensor<4x6xf32>
    %scale = arith.addf %lo, %one : tensor<4x6xf32>
    %e = tensor.expand_shape %scale [[0], [1, 2, 3]] output_shape [4, 1, 2, 3] : tensor<4x6xf32> into tensor<4x1x2x3xf32>
    %r = arith.mulf %x, %e : tensor<4x1x2x3xf32>
    return %r : tensor<4x1x2x3xf32>
  }
  func.func @forward_single(%x: tensor<2x1x2x3xf32>, %t: tensor<2xf32>, %y: tensor<2xi64>) -> tensor<2x1x2x3xf32> {
    %f = dit.read @frequencies : tensor<4xf32>
    %tb = dit.broadcast %t dims = [0] : tensor<2xf32> -> tensor<2x4xf32>
    %fb = dit.broadcast %f dims = [1] : tensor<4xf32> -> tensor<2x4xf32>
    %a = arith.mulf %tb, %fb : tensor<2x4xf32>
    %s = math.sin %a : tensor<2x4xf32>
    %tw = dit.read @time : tensor<6x4xf32>
    %te = dit.matmul %s, %tw {transpose_rhs} : tensor<2x4xf32>, tensor<6x4xf32> -> tensor<2x6xf32>
    %w = dit.read @table : tensor<11x6xf32>
    %le = dit.gather %w, %y : tensor<11x6xf32>, tensor<2xi64>
    %c = arith.addf %te, %le : tensor<2x6xf32>
    %mw = dit.read @modulation : tensor<12x6xf32>
    %mb = dit.read @shift : tensor<12xf32>
    %m = dit.matmul %c, %mw bias %mb {transpose_rhs} : tensor<2x6xf32>, tensor<12x6xf32> bias tensor<12xf32> -> tensor<2x12xf32>
    %lo = tensor.extract_slice %m[0, 6] [2, 6] [1, 1] : tensor<2x12xf32> to tensor<2x6xf32>
    %one = arith.constant dense<1.0> : tensor<2x6xf32>
    %scale = arith.addf %lo, %one : tensor<2x6xf32>
    %e = tensor.expand_shape %scale [[0], [1, 2, 3]] output_shape [2, 1, 2, 3] : tensor<2x6xf32> into tensor<2x1x2x3xf32>
    %r = arith.mulf %x, %e : tensor<2x1x2x3xf32>
    return %r : tensor<2x1x2x3xf32>
  }

  // Timesteps of this step and the next two; the embedding of each once, those
  // of the labels and of no label once; together they are nine rows.
  // CHECK-LABEL: func.func @prologue() attributes {dit.step = "prologue"}
  // CHECK-DAG: %[[LATER:.*]] = arith.constant dense<[0, 1, 2]> : tensor<3xi64>
  // CHECK-DAG: %[[NONE:.*]] = arith.constant dense<10> : tensor<1xi64>
  // CHECK: %[[STEP:.*]] = dit.read @step
  // CHECK: %[[ROWS:.*]] = arith.addi %{{.*}}, %[[LATER]] : tensor<3xi64>
  // CHECK: dit.gather %{{.*}}, %[[ROWS]] : tensor<1000xf32>, tensor<3xi64>
  // CHECK: %[[LABELS:.*]] = tensor.concat dim(0) %{{.*}}, %[[NONE]] : (tensor<2xi64>, tensor<1xi64>) -> tensor<3xi64>
  // CHECK: %[[SIN:.*]] = math.sin %{{.*}} : tensor<3x1x4xf32>
  // CHECK: dit.matmul %[[SIN]], %{{.*}} -> tensor<3x1x6xf32>
  // CHECK: dit.gather %{{.*}}, %[[LABELS]] : tensor<11x6xf32>, tensor<3xi64>
  // CHECK: %[[C:.*]] = arith.addf %{{.*}} : tensor<3x3x6xf32>
  // CHECK: %[[M:.*]] = dit.matmul %[[C]], %{{.*}} -> tensor<3x3x12xf32>
  // CHECK-NOT: dit.matmul
  // CHECK: dit.write %[[M]], @conditioning

  // Row step mod 3 of the table, in it the rows of both labels and twice that
  // of no label. What comes after the product stays.
  // CHECK-LABEL: func.func @sample_step()
  // CHECK-DAG: %[[ROW_OF:.*]] = arith.constant dense<[0, 1, 2, 2]> : tensor<4xi64>
  // CHECK-DAG: %[[THREE:.*]] = arith.constant dense<3> : tensor<1xi64>
  // CHECK-NOT: dit.matmul
  // CHECK: %[[STEP:.*]] = dit.read @step
  // CHECK: %[[ROW:.*]] = arith.remsi %[[STEP]], %[[THREE]]
  // CHECK: %[[FIRST:.*]] = arith.muli %[[ROW]], %[[THREE]]
  // CHECK: %[[ALL:.*]] = arith.addi %{{.*}}, %[[ROW_OF]]
  // CHECK: dit.gather %{{.*}}, %[[ALL]] : tensor<9x12xf32>, tensor<4xi64>
  // CHECK: arith.addf
  // CHECK-NOT: dit.matmul

  // CHECK-LABEL: func.func @sample_step_single()
  // CHECK-NOT: dit.matmul
  // CHECK: dit.gather %{{.*}}, %{{.*}} : tensor<3x3x12xf32>, tensor<1xi64>
  // CHECK: tensor.extract_slice %{{.*}}[0, 0] [2, 12]
  // CHECK-NOT: dit.matmul
}
