// RUN: dit-opt %s --dit-program-train="timestep-sampling=logit-normal logit-mean=-0.5 logit-deviation=2.0 min-snr=5.0" --cse --dit-verify-program | FileCheck %s
// RUN: not dit-opt %s --dit-program-train="timestep-sampling=normal" 2>&1 | FileCheck %s --check-prefix=NORMAL
// RUN: not dit-opt %s --dit-program-train="prediction=flow schedule=flow min-snr=5.0" 2>&1 | FileCheck %s --check-prefix=FLOW

// NORMAL: timestep sampling must be uniform or logit-normal, not 'normal'
// FLOW: is trained as a flow, which has no signal-to-noise weights

// CHECK: min_snr = 5.000000e+00 : f64
// CHECK-SAME: timestep_sampling = "logit-normal:-0.5,2"
dit.global @table parameter : tensor<11x16xf32> trainable pieces [#dit.piece<name = "table", file = tensor<11x16xf32>, view = [11, 16], permutation = [0, 1], target = [11, 16], offset = [0, 0], source = unit>]
func.func @forward(%x: tensor<2x1x4x4xf32>, %t: tensor<2xf32>, %y: tensor<2xi64>) -> tensor<2x1x4x4xf32>
    attributes {dit.inputs = ["x", "t", "y"]} {
  %table = dit.read @table : tensor<11x16xf32>
  %e = dit.gather %table, %y : tensor<11x16xf32>, tensor<2xi64>
  %rows = tensor.collapse_shape %x [[0], [1, 2, 3]] : tensor<2x1x4x4xf32> into tensor<2x16xf32>
  %s = arith.addf %rows, %e : tensor<2x16xf32>
  %out = tensor.expand_shape %s [[0], [1, 2, 3]] output_shape [2, 1, 4, 4] : tensor<2x16xf32> into tensor<2x1x4x4xf32>
  return %out : tensor<2x1x4x4xf32>
}

// The mean square is written before it is weighted.
// CHECK-LABEL: func.func @accumulate()
// CHECK: %[[Z:.*]] = dit.random normal stream = 2 {{.*}} -> tensor<2xf32>
// CHECK: %[[SPREAD:.*]] = arith.mulf %[[Z]], %{{.*}} : tensor<2xf32>
// CHECK: %[[LOGIT:.*]] = arith.addf %[[SPREAD]], %{{.*}} : tensor<2xf32>
// CHECK: %[[U:.*]] = dit.sigmoid %[[LOGIT]] : tensor<2xf32>
// CHECK: arith.fptosi
// CHECK: %[[WEIGHT:.*]] = arith.minimumf %{{.*}} : tensor<2xf32>
// CHECK: %[[MSE:.*]] = arith.mulf %{{.*}} : tensor<2xf32>
// CHECK: arith.mulf %[[WEIGHT]], %[[MSE]] : tensor<2xf32>
// CHECK: dit.write %[[MSE]], @mse

// Evaluations compare, however a run draws.
// CHECK-LABEL: func.func @evaluate()
// CHECK: dit.random uniform stream = 2
// CHECK-NOT: dit.sigmoid
// CHECK: return
