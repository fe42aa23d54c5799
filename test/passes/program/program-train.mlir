// RUN: dit-opt %s --dit-program-train="clip=1.0 beta2=0.75" --cse --dit-verify-program | FileCheck %s
// RUN: dit-opt %s --dit-program-train -o /dev/null 2>&1 | FileCheck %s --check-prefix=SAYS

// SAYS: remark: trains 432 values in 2 tensors; not trained: b

// The table and the product are trained, in the order in which they are read;
// the frozen bias stays what it is. 11 x 16 = 176 numbers take 192.
// CHECK: module attributes {
// CHECK-SAME: dit.mode = "train"
// CHECK-SAME: dit.training = {applied = "applied", batch = 2 : i64, beta1 = 9.000000e-01 : f64, beta2 = 7.500000e-01 : f64, channels = 1 : i64, classes = 10 : i64, clip = 1.000000e+00 : f64
// CHECK-SAME: learned_sigma = false
// CHECK-SAME: masters = "masters"
// CHECK-SAME: vb = ""
// CHECK-SAME: weights = "weights"
// CHECK: dit.global @table parameter : tensor<11x16xf32> trainable within @masters at 0 pieces
// CHECK: dit.global @w parameter : tensor<16x16xf32> trainable within @masters at 192 pieces
// CHECK: dit.global @b parameter : tensor<16xf32> pieces
// CHECK: dit.global @masters state : tensor<4096xf32>
// CHECK: dit.global @weights state : tensor<4096xbf16>
// CHECK: dit.global @table.gradient state : tensor<11x16xf32> within @gradients at 0
// CHECK: dit.global @table.ema state : tensor<11x16xf32> within @ema at 0 pieces
// CHECK: dit.global @w.bf16 state : tensor<16x16xbf16> within @weights at 192
// CHECK: dit.global @w.gradient state : tensor<16x16xf32> within @gradients at 192
dit.global @table parameter : tensor<11x16xf32> trainable pieces [#dit.piece<name = "table", file = tensor<11x16xf32>, view = [11, 16], permutation = [0, 1], target = [11, 16], offset = [0, 0], source = unit>]
dit.global @w parameter : tensor<16x16xbf16> trainable pieces [#dit.piece<name = "w", file = tensor<16x16xf32>, view = [16, 16], permutation = [0, 1], target = [16, 16], offset = [0, 0], source = unit>]
dit.global @b parameter : tensor<16xf32> pieces [#dit.piece<name = "b", file = tensor<16xf32>, view = [16], permutation = [0], target = [16], offset = [0], source = unit>]

func.func @forward(%x: tensor<2x1x4x4xf32>, %t: tensor<2xi64>, %y: tensor<2xi64>) -> tensor<2x1x4x4xf32>
    attributes {dit.inputs = ["x", "t", "y"], dit.outputs = ["out"]} {
  %table = dit.read @table : tensor<11x16xf32>
  %e = dit.gather %table, %y : tensor<11x16xf32>, tensor<2xi64>
  %f = arith.sitofp %t : tensor<2xi64> to tensor<2xf32>
  %ft = dit.broadcast %f dims = [0] : tensor<2xf32> -> tensor<2x16xf32>
  %c = arith.mulf %e, %ft : tensor<2x16xf32>
  %rows = tensor.collapse_shape %x [[0], [1, 2, 3]] : tensor<2x1x4x4xf32> into tensor<2x16xf32>
  %s = arith.addf %rows, %c : tensor<2x16xf32>
  %l = arith.truncf %s : tensor<2x16xf32> to tensor<2x16xbf16>
  %w = dit.read @w : tensor<16x16xbf16>
  %b = dit.read @b : tensor<16xf32>
  %p = dit.matmul %l, %w bias %b {transpose_rhs} : tensor<2x16xbf16>, tensor<16x16xbf16> bias tensor<16xf32> -> tensor<2x16xf32>
  %out = tensor.expand_shape %p [[0], [1, 2, 3]] output_shape [2, 1, 4, 4] : tensor<2x16xf32> into tensor<2x1x4x4xf32>
  return %out : tensor<2x1x4x4xf32>
}

// CHECK-LABEL: func.func @train_init() attributes {dit.step = "train_init"}
// CHECK: %[[M:.*]] = dit.read @masters
// CHECK-DAG: dit.write %[[M]], @ema
// CHECK-DAG: %[[L:.*]] = arith.truncf %[[M]]
// CHECK-DAG: dit.write %[[L]], @weights

// CHECK-LABEL: func.func @accumulate_first()
// CHECK: dit.random uniform stream = 2
// CHECK: arith.fptosi
// CHECK: %[[DRAWN:.*]] = arith.minsi
// CHECK: dit.random uniform stream = 4
// CHECK: %[[T:.*]] = arith.select %{{.*}}, %{{.*}}, %[[DRAWN]] : tensor<2xi1>, tensor<2xi64>
// CHECK: dit.random normal stream = 3
// CHECK: dit.read @w.bf16
// CHECK: dit.write %{{.*}}, @mse
// CHECK: dit.write %[[T]], @t
// CHECK: %[[DW:.*]] = dit.matmul {{.*}} {transpose_lhs} : tensor<2x16xbf16>, tensor<2x16xbf16> -> tensor<16x16xf32>
// CHECK-NEXT: dit.write %[[DW]], @w.gradient
// CHECK: %[[DT:.*]] = dit.scatter_add
// CHECK-NEXT: dit.write %[[DT]], @table.gradient
// CHECK-NOT: @b.gradient

// CHECK-LABEL: func.func @accumulate()
// CHECK: %[[OLD:.*]] = dit.read @w.gradient
// CHECK: %[[SUM:.*]] = arith.addf %[[OLD]], %{{.*}} : tensor<16x16xf32>
// CHECK: dit.write %[[SUM]], @w.gradient

// The averages are rounded as the weights are.
// CHECK-LABEL: func.func @evaluate()
// CHECK-NOT: dit.read @w.bf16
// CHECK: %[[E:.*]] = dit.read @w.ema
// CHECK: arith.truncf %[[E]] : tensor<16x16xf32> to tensor<16x16xbf16>
// CHECK-NOT: gradient
// CHECK: return

// CHECK-LABEL: func.func @prepare_update()
// CHECK: %[[N:.*]] = dit.read @gradients
// CHECK: dit.reduce sum
// CHECK: %[[NORM:.*]] = arith.mulf
// CHECK: dit.write %[[NORM]], @gradient_norm
// CHECK: %[[FINITE:.*]] = arith.cmpf olt, %[[NORM]]
// CHECK: arith.select %[[FINITE]], %{{.*}}, %{{.*}} : tensor<1xi1>, tensor<1xf32>
// CHECK: %[[NUMBERS:.*]] = tensor.concat dim(0)
// CHECK: dit.write %[[NUMBERS]], @update_numbers
// CHECK-NOT: dit.write %{{.*}}, @loss_scale

// What the update reads of one number is of the step before: hyper-parameters
// may be those of the next one by now.
// CHECK-LABEL: func.func @update()
// CHECK-NOT: dit.read @hyper
// CHECK: %[[ALL:.*]] = dit.read @masters
// CHECK: %[[P:.*]] = tensor.expand_shape %[[ALL]] {{.*}} into tensor<1x4096xf32>
// CHECK: %[[NEW:.*]] = arith.select %{{.*}}, %{{.*}}, %[[P]]
// CHECK: %[[FLAT:.*]] = tensor.collapse_shape %[[NEW]]
// CHECK: dit.write %[[FLAT]], @masters
// CHECK: %[[LOW:.*]] = arith.truncf %[[NEW]] : tensor<1x4096xf32> to tensor<1x4096xbf16>
// CHECK: dit.write %{{.*}}, @weights
// CHECK-NOT: dit.read @hyper
