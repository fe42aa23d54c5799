// RUN: dit-opt %s --split-input-file --verify-diagnostics --dit-program-train

dit.global @table constant : tensor<11x16xf32>
// expected-error @+2 {{reads no trainable parameter: there is nothing to train}}
// expected-remark @below {{trains 0 values}}
func.func @forward(%x: tensor<2x1x4x4xf32>, %t: tensor<2xi64>, %y: tensor<2xi64>) -> tensor<2x1x4x4xf32>
    attributes {dit.inputs = ["x", "t", "y"]} {
  %table = dit.read @table : tensor<11x16xf32>
  %e = dit.gather %table, %y : tensor<11x16xf32>, tensor<2xi64>
  %p = tensor.expand_shape %e [[0], [1, 2, 3]] output_shape [2, 1, 4, 4] : tensor<2x16xf32> into tensor<2x1x4x4xf32>
  return %p : tensor<2x1x4x4xf32>
}

// -----

// expected-error @below {{argument 1 is one number for all 2 samples, but training draws one for each}}
func.func @forward(%x: tensor<2x1x4x4xf32>, %t: tensor<1xi64>, %y: tensor<2xi64>) -> tensor<2x1x4x4xf32>
    attributes {dit.inputs = ["x", "t", "y"]} {
  return %x : tensor<2x1x4x4xf32>
}

// -----

// expected-error @below {{looks its labels up in no table; give the number of classes}}
func.func @forward(%x: tensor<2x1x4x4xf32>, %t: tensor<2xi64>, %y: tensor<2xi64>) -> tensor<2x1x4x4xf32>
    attributes {dit.inputs = ["x", "t", "y"]} {
  return %x : tensor<2x1x4x4xf32>
}

// -----

// expected-error @below {{cannot be trained: no argument is named like a timestep}}
func.func @forward(%x: tensor<2x1x4x4xf32>) -> tensor<2x1x4x4xf32>
    attributes {dit.inputs = ["x"]} {
  return %x : tensor<2x1x4x4xf32>
}

// -----

// expected-error @below {{is trained, but its type is 'f64'}}
dit.global @table parameter : tensor<11x16xf64> trainable pieces [#dit.piece<name = "table", file = tensor<11x16xf64>, view = [11, 16], permutation = [0, 1], target = [11, 16], offset = [0, 0], source = unit>]
// expected-remark @below {{trains 176 values in 1 tensors}}
func.func @forward(%x: tensor<2x1x4x4xf32>, %t: tensor<2xi64>, %y: tensor<2xi64>) -> tensor<2x1x4x4xf32>
    attributes {dit.inputs = ["x", "t", "y"]} {
  %table = dit.read @table : tensor<11x16xf64>
  %e = dit.gather %table, %y : tensor<11x16xf64>, tensor<2xi64>
  %f = arith.truncf %e : tensor<2x16xf64> to tensor<2x16xf32>
  %p = tensor.expand_shape %f [[0], [1, 2, 3]] output_shape [2, 1, 4, 4] : tensor<2x16xf32> into tensor<2x1x4x4xf32>
  return %p : tensor<2x1x4x4xf32>
}
