// RUN: dit-opt %s --split-input-file '--dit-program-sample=hoist-steps=2' --canonicalize --cse --dit-verify-program 2>/dev/null | FileCheck %s

// Of one label, without a timestep: a table without steps, its rows looked up.
// CHECK: dit.global @conditioning state : tensor<3x6xf32>
// CHECK-LABEL: func.func @prologue()
// CHECK-NOT: @timesteps
// CHECK: dit.gather %{{.*}} : tensor<11x5xf32>, tensor<3xi64>
// CHECK: dit.matmul %{{.*}} -> tensor<3x6xf32>
// CHECK-LABEL: func.func @sample_step()
// CHECK-DAG: arith.constant dense<[0, 1, 2, 2]> : tensor<4xi64>
// CHECK: dit.gather %{{.*}} : tensor<3x6xf32>, tensor<4xi64>
module @label_alone {
  dit.global @table parameter : tensor<11x5xf32>
  dit.global @w parameter : tensor<6x5xf32>
  func.func @forward(%x: tensor<4x1x2x3xf32>, %t: tensor<4xf32>, %y: tensor<4xi64>) -> tensor<4x1x2x3xf32>
      attributes {dit.inputs = ["x", "t", "y"]} {
    %table = dit.read @table : tensor<11x5xf32>
    %w = dit.read @w : tensor<6x5xf32>
    %e = dit.gather %table, %y : tensor<11x5xf32>, tensor<4xi64>
    %m = dit.matmul %e, %w {transpose_rhs} : tensor<4x5xf32>, tensor<6x5xf32> -> tensor<4x6xf32>
    %v = tensor.expand_shape %m [[0], [1, 2, 3]] output_shape [4, 1, 2, 3] : tensor<4x6xf32> into tensor<4x1x2x3xf32>
    %b = dit.broadcast %t dims = [0] : tensor<4xf32> -> tensor<4x1x2x3xf32>
    %s = arith.mulf %x, %b : tensor<4x1x2x3xf32>
    %r = arith.addf %s, %v : tensor<4x1x2x3xf32>
    return %r : tensor<4x1x2x3xf32>
  }
}

// -----

// Of the timestep alone: one row a step, whatever is done along it. The second
// product is of the picture too, and stays.
// CHECK: dit.global @conditioning state : tensor<2x1x6xf32>
// CHECK-LABEL: func.func @prologue()
// CHECK: %[[N:.*]], %{{.*}}, %{{.*}} = dit.layer_norm %{{.*}} : tensor<2x1x3xf32>
// CHECK: dit.softmax %[[N]] : tensor<2x1x3xf32>
// CHECK: tensor.extract_slice %{{.*}}[0, 0, 1] [2, 1, 2] [1, 1, 1]
// CHECK: %[[SUM:.*]] = dit.reduce sum %{{.*}} dims = [2] : tensor<2x1x2xf32>
// CHECK: tensor.concat dim(2)
// CHECK: dit.matmul %{{.*}} -> tensor<2x1x6xf32>
// CHECK-NOT: dit.matmul
// CHECK-LABEL: func.func @sample_step()
// CHECK: dit.gather %{{.*}} : tensor<2x1x6xf32>, tensor<1xi64>
// CHECK: dit.broadcast %{{.*}} dims = [{{.*}}] : tensor<6xf32> -> tensor<4x6xf32>
// CHECK: dit.matmul %{{.*}} -> tensor<4x6xf32>
module @timestep_alone {
  dit.global @table parameter : tensor<11x6xf32>
  dit.global @u parameter : tensor<3xf32>
  dit.global @w parameter : tensor<6x3xf32>
  dit.global @w2 parameter : tensor<6x6xf32>
  func.func @forward(%x: tensor<4x1x2x3xf32>, %t: tensor<4xf32>, %y: tensor<4xi64>) -> tensor<4x1x2x3xf32>
      attributes {dit.inputs = ["x", "t", "y"]} {
    %u = dit.read @u : tensor<3xf32>
    %w = dit.read @w : tensor<6x3xf32>
    %w2 = dit.read @w2 : tensor<6x6xf32>
    %tb = dit.broadcast %t dims = [0] : tensor<4xf32> -> tensor<4x3xf32>
    %ub = dit.broadcast %u dims = [1] : tensor<3xf32> -> tensor<4x3xf32>
    %a = arith.mulf %tb, %ub : tensor<4x3xf32>
    %n, %mean, %rstd = dit.layer_norm %a eps = 1.0e-6 : tensor<4x3xf32>
    %p = dit.softmax %n : tensor<4x3xf32>
    %s = tensor.extract_slice %p[0, 1] [4, 2] [1, 1] : tensor<4x3xf32> to tensor<4x2xf32>
    %q = dit.reduce sum %s dims = [1] : tensor<4x2xf32>
    %q1 = tensor.expand_shape %q [[0, 1]] output_shape [4, 1] : tensor<4xf32> into tensor<4x1xf32>
    %c = tensor.concat dim(1) %s, %q1 : (tensor<4x2xf32>, tensor<4x1xf32>) -> tensor<4x3xf32>
    %m = dit.matmul %c, %w {transpose_rhs} : tensor<4x3xf32>, tensor<6x3xf32> -> tensor<4x6xf32>
    %f = tensor.collapse_shape %x [[0], [1, 2, 3]] : tensor<4x1x2x3xf32> into tensor<4x6xf32>
    %g = arith.addf %f, %m : tensor<4x6xf32>
    %o = dit.matmul %g, %w2 {transpose_rhs} : tensor<4x6xf32>, tensor<6x6xf32> -> tensor<4x6xf32>
    %table = dit.read @table : tensor<11x6xf32>
    %l = dit.gather %table, %y : tensor<11x6xf32>, tensor<4xi64>
    %z = arith.addf %o, %l : tensor<4x6xf32>
    %r = tensor.expand_shape %z [[0], [1, 2, 3]] output_shape [4, 1, 2, 3] : tensor<4x6xf32> into tensor<4x1x2x3xf32>
    return %r : tensor<4x1x2x3xf32>
  }
}

// -----

// A product of all rows of the batch is not one of fewer rows: the sum over the
// batch stays, and with it the second product; the first is stored.
// CHECK: dit.global @conditioning state : tensor<3x6xf32>
// CHECK-NOT: dit.global @conditioning
// CHECK-LABEL: func.func @prologue()
// CHECK: dit.matmul %{{.*}} -> tensor<3x6xf32>
// CHECK-NOT: dit.matmul
// CHECK-LABEL: func.func @sample_step()
// CHECK: dit.reduce sum %{{.*}} dims = [0] : tensor<4x6xf32>
// CHECK: dit.matmul %{{.*}} -> tensor<1x6xf32>
module @rows_are_mixed {
  dit.global @table parameter : tensor<11x5xf32>
  dit.global @w parameter : tensor<6x5xf32>
  dit.global @w2 parameter : tensor<6x6xf32>
  func.func @forward(%x: tensor<4x1x2x3xf32>, %t: tensor<4xf32>, %y: tensor<4xi64>) -> tensor<4x1x2x3xf32>
      attributes {dit.inputs = ["x", "t", "y"]} {
    %table = dit.read @table : tensor<11x5xf32>
    %w = dit.read @w : tensor<6x5xf32>
    %w2 = dit.read @w2 : tensor<6x6xf32>
    %e = dit.gather %table, %y : tensor<11x5xf32>, tensor<4xi64>
    %m = dit.matmul %e, %w {transpose_rhs} : tensor<4x5xf32>, tensor<6x5xf32> -> tensor<4x6xf32>
    %s = dit.reduce sum %m dims = [0] : tensor<4x6xf32>
    %s1 = tensor.expand_shape %s [[0, 1]] output_shape [1, 6] : tensor<6xf32> into tensor<1x6xf32>
    %o = dit.matmul %s1, %w2 {transpose_rhs} : tensor<1x6xf32>, tensor<6x6xf32> -> tensor<1x6xf32>
    %o1 = tensor.collapse_shape %o [[0, 1]] : tensor<1x6xf32> into tensor<6xf32>
    %ob = dit.broadcast %o1 dims = [1] : tensor<6xf32> -> tensor<4x6xf32>
    %a = arith.addf %ob, %m : tensor<4x6xf32>
    %v = tensor.expand_shape %a [[0], [1, 2, 3]] output_shape [4, 1, 2, 3] : tensor<4x6xf32> into tensor<4x1x2x3xf32>
    %b = dit.broadcast %t dims = [0] : tensor<4xf32> -> tensor<4x1x2x3xf32>
    %f = arith.mulf %x, %b : tensor<4x1x2x3xf32>
    %r = arith.addf %f, %v : tensor<4x1x2x3xf32>
    return %r : tensor<4x1x2x3xf32>
  }
}

// -----

// What has one row has equal rows: constants may have the shape of a batch of
// one, where the other batch reads another constant. The product with the same
// weight is the same value: one table.
// CHECK: dit.global @conditioning state : tensor<2x2x6xf32>
// CHECK-NOT: dit.global @conditioning
// CHECK-LABEL: func.func @prologue()
// CHECK: math.sin
// CHECK-NOT: math.sin
// CHECK-LABEL: func.func @sample_step()
// CHECK-NOT: dit.matmul
// CHECK-LABEL: func.func @sample_step_single()
// CHECK-NOT: math.sin
// CHECK: dit.gather %{{.*}} : tensor<2x2x6xf32>, tensor<1xi64>
// CHECK-NOT: dit.matmul
module @one_row {
  dit.global @table parameter : tensor<11x4xf32>
  dit.global @frequencies parameter : tensor<4xf32>
  dit.global @frequencies_of_one parameter : tensor<1x4xf32>
  dit.global @w parameter : tensor<6x4xf32>
  func.func @forward(%x: tensor<2x1x2x3xf32>, %t: tensor<2xf32>, %y: tensor<2xi64>) -> tensor<2x1x2x3xf32>
      attributes {dit.inputs = ["x", "t", "y"]} {
    %f = dit.read @frequencies : tensor<4xf32>
    %fb = dit.broadcast %f dims = [1] : tensor<4xf32> -> tensor<2x4xf32>
    %tb = dit.broadcast %t dims = [0] : tensor<2xf32> -> tensor<2x4xf32>
    %a = arith.mulf %tb, %fb : tensor<2x4xf32>
    %s = math.sin %a : tensor<2x4xf32>
    %table = dit.read @table : tensor<11x4xf32>
    %e = dit.gather %table, %y : tensor<11x4xf32>, tensor<2xi64>
    %c = arith.addf %s, %e : tensor<2x4xf32>
    %w = dit.read @w : tensor<6x4xf32>
    %m = dit.matmul %c, %w {transpose_rhs} : tensor<2x4xf32>, tensor<6x4xf32> -> tensor<2x6xf32>
    %v = tensor.expand_shape %m [[0], [1, 2, 3]] output_shape [2, 1, 2, 3] : tensor<2x6xf32> into tensor<2x1x2x3xf32>
    %r = arith.mulf %x, %v : tensor<2x1x2x3xf32>
    return %r : tensor<2x1x2x3xf32>
  }
  func.func @forward_single(%x: tensor<1x1x2x3xf32>, %t: tensor<1xf32>, %y: tensor<1xi64>) -> tensor<1x1x2x3xf32> {
    %f = dit.read @frequencies_of_one : tensor<1x4xf32>
    %tb = dit.broadcast %t dims = [0] : tensor<1xf32> -> tensor<1x4xf32>
    %a = arith.mulf %tb, %f : tensor<1x4xf32>
    %s = math.sin %a : tensor<1x4xf32>
    %table = dit.read @table : tensor<11x4xf32>
    %e = dit.gather %table, %y : tensor<11x4xf32>, tensor<1xi64>
    %c = arith.addf %s, %e : tensor<1x4xf32>
    %w = dit.read @w : tensor<6x4xf32>
    %m = dit.matmul %c, %w {transpose_rhs} : tensor<1x4xf32>, tensor<6x4xf32> -> tensor<1x6xf32>
    %v = tensor.expand_shape %m [[0], [1, 2, 3]] output_shape [1, 1, 2, 3] : tensor<1x6xf32> into tensor<1x1x2x3xf32>
    %r = arith.mulf %x, %v : tensor<1x1x2x3xf32>
    return %r : tensor<1x1x2x3xf32>
  }
}

// -----

// Two products with one weight: nothing says which is which at the other batch,
// which computes its own.
// CHECK: dit.global @conditioning state : tensor<2x2x6xf32>
// CHECK: dit.global @conditioning_0 state : tensor<2x2x6xf32>
// CHECK-LABEL: func.func @sample_step()
// CHECK-NOT: dit.matmul
// CHECK-LABEL: func.func @sample_step_single()
// CHECK: math.sin
// CHECK: dit.matmul
module @apart {
  dit.global @table parameter : tensor<11x4xf32>
  dit.global @frequencies parameter : tensor<4xf32>
  dit.global @frequencies_of_one parameter : tensor<1x4xf32>
  dit.global @w parameter : tensor<6x4xf32>
  func.func @forward(%x: tensor<2x1x2x3xf32>, %t: tensor<2xf32>, %y: tensor<2xi64>) -> tensor<2x1x2x3xf32>
      attributes {dit.inputs = ["x", "t", "y"]} {
    %f = dit.read @frequencies : tensor<4xf32>
    %fb = dit.broadcast %f dims = [1] : tensor<4xf32> -> tensor<2x4xf32>
    %tb = dit.broadcast %t dims = [0] : tensor<2xf32> -> tensor<2x4xf32>
    %a = arith.mulf %tb, %fb : tensor<2x4xf32>
    %s = math.sin %a : tensor<2x4xf32>
    %table = dit.read @table : tensor<11x4xf32>
    %e = dit.gather %table, %y : tensor<11x4xf32>, tensor<2xi64>
    %c = arith.addf %s, %e : tensor<2x4xf32>
    %w = dit.read @w : tensor<6x4xf32>
    %m = dit.matmul %c, %w {transpose_rhs} : tensor<2x4xf32>, tensor<6x4xf32> -> tensor<2x6xf32>
    %v = tensor.expand_shape %m [[0], [1, 2, 3]] output_shape [2, 1, 2, 3] : tensor<2x6xf32> into tensor<2x1x2x3xf32>
    %d = arith.subf %s, %e : tensor<2x4xf32>
    %m2 = dit.matmul %d, %w {transpose_rhs} : tensor<2x4xf32>, tensor<6x4xf32> -> tensor<2x6xf32>
    %v2 = tensor.expand_shape %m2 [[0], [1, 2, 3]] output_shape [2, 1, 2, 3] : tensor<2x6xf32> into tensor<2x1x2x3xf32>
    %x2 = arith.addf %x, %v2 : tensor<2x1x2x3xf32>
    %r = arith.mulf %x2, %v : tensor<2x1x2x3xf32>
    return %r : tensor<2x1x2x3xf32>
  }
  func.func @forward_single(%x: tensor<1x1x2x3xf32>, %t: tensor<1xf32>, %y: tensor<1xi64>) -> tensor<1x1x2x3xf32> {
    %f = dit.read @frequencies_of_one : tensor<1x4xf32>
    %tb = dit.broadcast %t dims = [0] : tensor<1xf32> -> tensor<1x4xf32>
    %a = arith.mulf %tb, %f : tensor<1x4xf32>
    %s = math.sin %a : tensor<1x4xf32>
    %table = dit.read @table : tensor<11x4xf32>
    %e = dit.gather %table, %y : tensor<11x4xf32>, tensor<1xi64>
    %c = arith.addf %s, %e : tensor<1x4xf32>
    %w = dit.read @w : tensor<6x4xf32>
    %m = dit.matmul %c, %w {transpose_rhs} : tensor<1x4xf32>, tensor<6x4xf32> -> tensor<1x6xf32>
    %v = tensor.expand_shape %m [[0], [1, 2, 3]] output_shape [1, 1, 2, 3] : tensor<1x6xf32> into tensor<1x1x2x3xf32>
    %r = arith.mulf %x, %v : tensor<1x1x2x3xf32>
    return %r : tensor<1x1x2x3xf32>
  }
}
