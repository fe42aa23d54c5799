// RUN: dit-opt %s --dit-form-kernels=report=true --dit-verify-fused --verify-diagnostics | FileCheck %s

!tokens = tensor<8x64x192xf32>
!sample = tensor<8x192xf32>

// CHECK-LABEL: @fused
func.func @fused(%x: !tokens, %p: !tokens) -> !tokens {
  %x1 = arith.addf %x, %p : !tokens
  %n, %mean, %rstd = dit.layer_norm %x1 eps = 1.0e-6 : !tokens
  // expected-remark @+1 {{fused add, layer_norm, mul into 'residual_layer_norm', 2 in, 1 out}}
  %y = arith.mulf %n, %x1 : !tokens
  return %y : !tokens
}

// Both readers are of the value's space, but the second is behind the first's
// GEMM, and the value behind neither: it goes with the first, which is no
// refusal. Here the GEMM reads the value itself, so that nobody can hold it.
// CHECK-LABEL: @cycle
func.func @cycle(%x: !tokens, %p: !tokens, %w: tensor<192x192xf32>) -> !tokens {
  // CHECK:      %[[X1:.*]] = dit.kernel "residual"
  // CHECK:      %[[Q:.*]] = dit.matmul %[[X1]]
  // CHECK-NEXT: dit.kernel "residual_layer_norm" {{.*}}(%[[X1]], %[[Q]])
  // expected-remark @+1 {{not fused: a cycle through dit.matmul}}
  %x1 = arith.addf %x, %p : !tokens
  %q = dit.matmul %x1, %w {transpose_rhs} : !tokens, tensor<192x192xf32> -> !tokens
  %x2 = arith.addf %x1, %q : !tokens
  // expected-remark @+1 {{fused add, layer_norm into 'residual_layer_norm', 2 in, 1 out}}
  %n, %mean, %rstd = dit.layer_norm %x2 eps = 1.0e-6 : !tokens
  return %n : !tokens
}

// An exponential a sample is not computed again for every token.
// CHECK-LABEL: @repeated
func.func @repeated(%x: !tokens, %s: !sample) -> !tokens {
  // CHECK: dit.kernel "exp" space = [8, 192]
  // CHECK: dit.kernel "mul" space = [8, 64, 192]
  // expected-remark @+1 {{not fused: it would be computed 64 times}}
  %e = math.exp %s : !sample
  %es = dit.broadcast %e dims = [0, 2] : !sample -> !tokens
  %y = arith.mulf %x, %es : !tokens
  return %y : !tokens
}

// A norm over tokens, spread over tokens: the sample is no row of the space.
// CHECK-LABEL: @reduction_of_another_width
func.func @reduction_of_another_width(%x: !tokens, %s: tensor<8x64x64xf32>) -> !tokens {
  // CHECK: dit.kernel "sum" space = [8, 64, 64]
  // CHECK: dit.kernel "layer_norm" space = [8, 64, 192]
  // expected-remark @+1 {{not fused: its rows are 64 wide, but the kernel's are 192}}
  %sum = dit.reduce sum %s dims = [2] : tensor<8x64x64xf32>
  %sums = dit.broadcast %sum dims = [0, 1] : tensor<8x64xf32> -> !tokens
  %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : !tokens
  // expected-remark @+1 {{fused layer_norm, mul into 'layer_norm', 2 in, 1 out}}
  %y = arith.mulf %n, %sums : !tokens
  return %y : !tokens
}

// The norm's rows run across the lane of what reads it.
// CHECK-LABEL: @row_depends_on_the_lane
func.func @row_depends_on_the_lane(%x: tensor<8x64x64xf32>) -> tensor<8x64x64xf32> {
  // CHECK: dit.kernel "softmax" space = [8, 64, 64]
  // CHECK: dit.kernel "softmax" space = [8, 64, 64]
  // expected-remark @+1 {{not fused: its row depends on the kernel's lane}}
  %p = dit.softmax %x : tensor<8x64x64xf32>
  %t = dit.transpose %p permutation = [0, 2, 1] : tensor<8x64x64xf32>
  %q = dit.softmax %t : tensor<8x64x64xf32>
  return %q : tensor<8x64x64xf32>
}

// Readers of other shapes share what they cannot compute once.
// CHECK-LABEL: @readers_of_two_spaces
func.func @readers_of_two_spaces(%x: tensor<64x64xf32>) -> (tensor<8x64x64xf32>, tensor<4x64x64xf32>) {
  // CHECK-COUNT-3: dit.kernel
  // CHECK-NOT:     dit.kernel
  // expected-remark @+1 {{not fused into 2 kernels that use it: it would be computed}}
  %e = math.exp %x : tensor<64x64xf32>
  %a = dit.broadcast %e dims = [1, 2] : tensor<64x64xf32> -> tensor<8x64x64xf32>
  %b = dit.broadcast %e dims = [1, 2] : tensor<64x64xf32> -> tensor<4x64x64xf32>
  // CHECK: return
  return %a, %b : tensor<8x64x64xf32>, tensor<4x64x64xf32>
}

// The head's elements lie apart: attention cannot read that.
// CHECK-LABEL: @copied_for_attention
func.func @copied_for_attention(%q: tensor<2x16x48x4xf32>, %k: tensor<2x16x4x48xf32>) -> tensor<2x16x4x48xf32> {
  // CHECK: %[[Q:.*]] = dit.kernel "transpose"
  // CHECK: dit.attention %[[Q]], %{{.*}}, %{{.*}} scale
  %t = dit.transpose %q permutation = [0, 1, 3, 2] : tensor<2x16x48x4xf32>
  // expected-remark @+1 {{not fused: operand 0 is no strided view of a buffer, so it is copied}}
  %o, %lse = dit.attention %t, %k, %k scale = 0.144 : tensor<2x16x4x48xf32>, tensor<2x16x4x48xf32>, tensor<2x16x4x48xf32>
  return %o : tensor<2x16x4x48xf32>
}
