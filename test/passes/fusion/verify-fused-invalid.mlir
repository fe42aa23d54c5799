// RUN: dit-opt %s --dit-verify-fused --split-input-file --verify-diagnostics

func.func @arithmetic_outside(%x: tensor<8x64xf32>) -> tensor<8x64xf32> {
  // expected-error @+1 {{is left outside kernels}}
  %y = arith.addf %x, %x : tensor<8x64xf32>
  return %y : tensor<8x64xf32>
}

// -----

func.func @constant_outside(%w: tensor<8x8xf32>) -> tensor<8x8xf32> {
  // expected-error @+1 {{is left outside kernels}}
  %c = arith.constant dense<1.0> : tensor<8x8xf32>
  %y = dit.matmul %c, %w : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// -----

func.func @gap_for_a_return(%x: tensor<8x64xf32>) -> tensor<8x32xf32> {
  %s = tensor.extract_slice %x[0, 0] [8, 32] [1, 1] : tensor<8x64xf32> to tensor<8x32xf32>
  // expected-error @+1 {{operand 0 is not a strided view that it can read}}
  return %s : tensor<8x32xf32>
}

// -----

func.func @columns_for_a_matmul(%x: tensor<8x64xf32>, %w: tensor<8x8xf32>) -> tensor<64x8xf32> {
  %t = dit.transpose %x permutation = [1, 0] : tensor<8x64xf32>
  // expected-error @+1 {{operand 0 is not a strided view that it can read}}
  %y = dit.matmul %t, %w : tensor<64x8xf32>, tensor<8x8xf32> -> tensor<64x8xf32>
  return %y : tensor<64x8xf32>
}

// -----

func.func @view_into_a_kernel(%x: tensor<8x64xf32>) -> tensor<8x32xf32> {
  %s = tensor.extract_slice %x[0, 0] [8, 32] [1, 1] : tensor<8x64xf32> to tensor<8x32xf32>
  // expected-error @+1 {{reads a view outside kernels}}
  %y = dit.kernel "double" space = [8, 32] (%s) : (tensor<8x32xf32>) -> tensor<8x32xf32> {
  ^bb0(%a: tensor<8x32xf32>):
    %d = arith.addf %a, %a : tensor<8x32xf32>
    dit.yield %d : tensor<8x32xf32>
  }
  return %y : tensor<8x32xf32>
}

// -----

func.func @reduction_across_the_lane(%x: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %y = dit.kernel "softmax" space = [64, 64] (%x) : (tensor<64x64xf32>) -> tensor<64x64xf32> {
  ^bb0(%a: tensor<64x64xf32>):
    // expected-error @+1 {{cannot be in this kernel: its row depends on the kernel's lane}}
    %p = dit.softmax %a : tensor<64x64xf32>
    %t = dit.transpose %p permutation = [1, 0] : tensor<64x64xf32>
    dit.yield %t : tensor<64x64xf32>
  }
  return %y : tensor<64x64xf32>
}

// -----

func.func @reduction_of_another_width(%x: tensor<8x64xf32>, %s: tensor<8x16xf32>) -> tensor<8x64xf32> {
  %y = dit.kernel "scale" space = [8, 64] (%x, %s) : (tensor<8x64xf32>, tensor<8x16xf32>) -> tensor<8x64xf32> {
  ^bb0(%a: tensor<8x64xf32>, %b: tensor<8x16xf32>):
    // expected-error @+1 {{cannot be in this kernel: its rows are 16 wide, but the kernel's are 64}}
    %r = dit.reduce sum %b dims = [1] : tensor<8x16xf32>
    %rs = dit.broadcast %r dims = [0] : tensor<8xf32> -> tensor<8x64xf32>
    %p = arith.mulf %a, %rs : tensor<8x64xf32>
    dit.yield %p : tensor<8x64xf32>
  }
  return %y : tensor<8x64xf32>
}
