// RUN: not dit-opt %s --dit-program-sample=classes=20 2>&1 | FileCheck %s --check-prefix=CLASSES
// RUN: not dit-opt %s --dit-program-sample=learned-sigma=yes 2>&1 | FileCheck %s --check-prefix=SIGMA
// RUN: not dit-opt %s --dit-program-sample=cfg-channels=2 2>&1 | FileCheck %s --check-prefix=CHANNELS
// RUN: not dit-opt %s --dit-program-sample=prediction=x0 2>&1 | FileCheck %s --check-prefix=PREDICTION
// RUN: not dit-opt %s --dit-program-sample=prediction=flow 2>&1 | FileCheck %s --check-prefix=FLOW
// RUN: not dit-opt %s --dit-program-sample=label=0 2>&1 | FileCheck %s --check-prefix=ROLE
// RUN: not dit-opt %s --dit-program-sample=hoist-steps=2 2>&1 | FileCheck %s --check-prefix=HOIST
// RUN: dit-opt %s '--dit-program-sample=prediction=flow schedule=flow' | FileCheck %s

// CLASSES: has a label table of 11 rows, too few for 20 classes
// SIGMA: gives 1 channels; learned sigma needs 2
// CHANNELS: has 1 channels; 2 of them cannot be guided
// PREDICTION: prediction must be eps, v or flow, not 'x0'
// FLOW: prediction flow does not go with schedule ddpm-linear
// ROLE: argument 0 does not exist or has another role already
// HOIST: has no matrix product that depends on timestep and label alone: there is nothing to compute 2 steps ahead
// CHECK: prediction = "flow", schedule = "flow"
dit.global @table parameter : tensor<11x4xf32>
func.func @forward(%x: tensor<2x1x2x2xf32>, %t: tensor<2xi64>, %y: tensor<2xi64>) -> tensor<2x1x2x2xf32>
    attributes {dit.inputs = ["x", "t", "y"]} {
  %w = dit.read @table : tensor<11x4xf32>
  %e = dit.gather %w, %y : tensor<11x4xf32>, tensor<2xi64>
  %v = tensor.expand_shape %e [[0], [1, 2, 3]] output_shape [2, 1, 2, 2] : tensor<2x4xf32> into tensor<2x1x2x2xf32>
  %r = arith.addf %x, %v : tensor<2x1x2x2xf32>
  return %r : tensor<2x1x2x2xf32>
}
