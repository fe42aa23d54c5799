// RUN: dit-opt %s --dit-form-kernels --split-input-file --verify-diagnostics

func.func @reduction_of_two_dimensions(%x: tensor<8x64x16xf32>) -> tensor<16xf32> {
  // expected-error @+1 {{cannot be computed by a kernel: no kernel can compute dit.reduce}}
  %s = dit.reduce sum %x dims = [0, 1] : tensor<8x64x16xf32>
  return %s : tensor<16xf32>
}

// -----

func.func @moving_slice(%x: tensor<8x64xf32>, %i: index) -> tensor<64xf32> {
  // expected-error @+1 {{cannot be computed by a kernel: it is not a pure op on tensors of static shape}}
  %s = tensor.extract_slice %x[%i, 0] [1, 64] [1, 1] : tensor<8x64xf32> to tensor<64xf32>
  return %s : tensor<64xf32>
}

// -----

func.func @unknown_op(%x: tensor<8x64xf32>) -> tensor<64x8xf32> {
  %shape = arith.constant dense<[64, 8]> : tensor<2xi64>
  // expected-error @+1 {{cannot be computed by a kernel: no kernel can compute tensor.reshape}}
  %s = tensor.reshape %x(%shape) : (tensor<8x64xf32>, tensor<2xi64>) -> tensor<64x8xf32>
  return %s : tensor<64x8xf32>
}
