// RUN: dit-opt %s --split-input-file --verify-diagnostics --dit-program-forward

// expected-error@+1 {{has no function @forward}}
module @no_model {}

// -----

// expected-error@+1 {{needs 1 names in 'dit.inputs', but has 0}}
func.func @forward(%x: tensor<2xf32>) -> tensor<2xf32> attributes {dit.outputs = ["y"]} {
  return %x : tensor<2xf32>
}
