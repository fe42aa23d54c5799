// RUN: not dit-opt %s --dit-program-train=prediction=flow 2>&1 | FileCheck %s --check-prefix=FLOW
// RUN: not dit-opt %s --dit-program-train="prediction=flow schedule=flow learned-sigma=no" 2>&1 | FileCheck %s --check-prefix=WHOLE
// RUN: not dit-opt %s --dit-program-train=prediction=x0 2>&1 | FileCheck %s --check-prefix=PREDICTION
// RUN: not dit-opt %s --dit-program-train=prediction=v 2>&1 | FileCheck %s --check-prefix=VARIANCE
// RUN: not dit-opt %s --dit-program-train=classes=12 2>&1 | FileCheck %s --check-prefix=CLASSES
// RUN: not dit-opt %s --dit-program-train=learned-sigma=perhaps 2>&1 | FileCheck %s --check-prefix=SIGMA
// RUN: dit-opt %s --dit-program-train="prediction=v learned-sigma=no" | FileCheck %s --check-prefix=VELOCITY

// FLOW: prediction flow does not go with schedule ddpm-linear
// WHOLE: takes whole timesteps ('i64'), but a flow tells it 1000 t, which is not whole
// PREDICTION: prediction must be eps, v or flow, not 'x0'
// VARIANCE: predicts its variance, whose loss needs prediction eps, not v: --learned-sigma no trains the first 1 of its 2 channels alone
// CLASSES: has a label table of 11 rows, too few for 12 classes
// SIGMA: learned sigma must be auto, yes or no, not 'perhaps'

// Without its variance the second half of the channels is not looked at.
// VELOCITY: prediction = "v"
// VELOCITY-LABEL: func.func @accumulate_first
// VELOCITY-NOT: @vb
// VELOCITY: return
dit.global @table parameter : tensor<11x32xf32> trainable pieces [#dit.piece<name = "table", file = tensor<11x32xf32>, view = [11, 32], permutation = [0, 1], target = [11, 32], offset = [0, 0], source = unit>]
func.func @forward(%x: tensor<2x1x4x4xf32>, %t: tensor<2xi64>, %y: tensor<2xi64>) -> tensor<2x2x4x4xf32>
    attributes {dit.inputs = ["x", "t", "y"]} {
  %table = dit.read @table : tensor<11x32xf32>
  %e = dit.gather %table, %y : tensor<11x32xf32>, tensor<2xi64>
  %p = tensor.expand_shape %e [[0], [1, 2, 3]] output_shape [2, 2, 4, 4] : tensor<2x32xf32> into tensor<2x2x4x4xf32>
  return %p : tensor<2x2x4x4xf32>
}
