// RUN: dit-opt %s --split-input-file --verify-diagnostics --dit-program-sample

// expected-error@+1 {{has no function @forward}}
module @no_model {}

// -----

// expected-error@+1 {{cannot be sampled: no argument is a picture}}
func.func @forward(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}

// -----

// expected-error@+1 {{cannot be sampled: no argument is named like a timestep}}
func.func @forward(%x: tensor<2x1x2x2xf32>, %s: tensor<2xf32>) -> tensor<2x1x2x2xf32>
    attributes {dit.inputs = ["x", "sigma"]} {
  return %x : tensor<2x1x2x2xf32>
}

// -----

// expected-error@+1 {{cannot be sampled: argument 'text' has no meaning to the sampler}}
func.func @forward(%x: tensor<2x1x2x2xf32>, %t: tensor<2xf32>, %y: tensor<2xi64>, %c: tensor<2x8x4xf32>) -> tensor<2x1x2x2xf32>
    attributes {dit.inputs = ["x", "t", "y", "text"]} {
  return %x : tensor<2x1x2x2xf32>
}

// -----

// expected-error@+1 {{cannot be sampled: the model must have one result, like the picture or with twice its channels}}
func.func @forward(%x: tensor<2x1x2x2xf32>, %t: tensor<2xf32>, %y: tensor<2xi64>) -> tensor<2xf32>
    attributes {dit.inputs = ["x", "t", "y"]} {
  return %t : tensor<2xf32>
}

// -----

// expected-error@+1 {{has batch 3, but guidance needs an even one}}
func.func @forward(%x: tensor<3x1x2x2xf32>, %t: tensor<3xf32>, %y: tensor<3xi64>) -> tensor<3x1x2x2xf32>
    attributes {dit.inputs = ["x", "t", "y"]} {
  return %x : tensor<3x1x2x2xf32>
}

// -----

// expected-error@+1 {{looks its labels up in no table}}
func.func @forward(%x: tensor<2x1x2x2xf32>, %t: tensor<2xf32>, %y: tensor<2xi64>) -> tensor<2x1x2x2xf32>
    attributes {dit.inputs = ["x", "t", "y"]} {
  return %x : tensor<2x1x2x2xf32>
}
