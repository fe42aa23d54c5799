// RUN: dit-opt %s --dit-fuse-epilogue=report=true --verify-diagnostics | FileCheck %s

!tokens = tensor<8x64x192xf32>
!hidden = tensor<8x64x768xf32>
!weight = tensor<768x192xf32>

// CHECK-LABEL: @fused
func.func @fused(%x: !tokens, %w: !weight, %b: tensor<768xf32>) -> !hidden {
  %p = dit.matmul %x, %w {transpose_rhs} : !tokens, !weight -> !hidden
  %bs = dit.broadcast %b dims = [2] : tensor<768xf32> -> !hidden
  // expected-remark @+1 {{fused the bias into the GEMM}}
  %s = arith.addf %bs, %p : !hidden
  // expected-remark @+1 {{fused gelu_erf into the GEMM}}
  %g = dit.gelu %s approximate = none : !hidden
  return %g : !hidden
}

// CHECK-LABEL: @two_users
func.func @two_users(%x: !tokens, %w: !weight) -> (!hidden, !hidden) {
  // CHECK: dit.matmul %{{.*}}, %{{.*}} {transpose_rhs}
  // CHECK: dit.gelu
  %p = dit.matmul %x, %w {transpose_rhs} : !tokens, !weight -> !hidden
  // expected-remark @+1 {{not fused: the value before the activation is used too}}
  %g = dit.gelu %p approximate = tanh : !hidden
  return %p, %g : !hidden, !hidden
}

// CHECK-LABEL: @second_activation
func.func @second_activation(%x: !tokens, %w: !weight) -> !hidden {
  // CHECK: dit.matmul {{.*}} activation = silu
  // CHECK: dit.gelu
  %p = dit.matmul %x, %w activation = silu {transpose_rhs} : !tokens, !weight -> !hidden
  // expected-remark @+1 {{not fused: the GEMM's epilogue ends before it}}
  %g = dit.gelu %p approximate = tanh : !hidden
  return %g : !hidden
}

// CHECK-LABEL: @bias_behind_an_activation
func.func @bias_behind_an_activation(%x: !tokens, %w: !weight, %b: tensor<768xf32>) -> !hidden {
  // CHECK: arith.addf
  %p = dit.matmul %x, %w activation = silu {transpose_rhs} : !tokens, !weight -> !hidden
  %bs = dit.broadcast %b dims = [2] : tensor<768xf32> -> !hidden
  // expected-remark @+1 {{not fused: the GEMM's epilogue adds a bias or applies an activation before}}
  %s = arith.addf %p, %bs : !hidden
  return %s : !hidden
}

// A gate is no bias.
// CHECK-LABEL: @one_row_a_sample
func.func @one_row_a_sample(%x: !tokens, %w: !weight, %b: tensor<8x768xf32>) -> !hidden {
  // CHECK: arith.addf
  %p = dit.matmul %x, %w {transpose_rhs} : !tokens, !weight -> !hidden
  %bs = dit.broadcast %b dims = [0, 2] : tensor<8x768xf32> -> !hidden
  %s = arith.addf %p, %bs : !hidden
  return %s : !hidden
}

// CHECK-LABEL: @rounding_with_two_users
func.func @rounding_with_two_users(%x: !tokens, %w: !weight) -> (!hidden, tensor<8x64x768xbf16>) {
  // CHECK: arith.truncf
  %p = dit.matmul %x, %w {transpose_rhs} : !tokens, !weight -> !hidden
  // expected-remark @+1 {{not fused: the value before the rounding is used too}}
  %l = arith.truncf %p : !hidden to tensor<8x64x768xbf16>
  return %p, %l : !hidden, tensor<8x64x768xbf16>
}

// CHECK-LABEL: @rounded_before_the_activation
func.func @rounded_before_the_activation(%x: tensor<8x64x192xbf16>, %w: tensor<768x192xbf16>) -> !hidden {
  // CHECK: dit.gelu
  %p = dit.matmul %x, %w {transpose_rhs} : tensor<8x64x192xbf16>, tensor<768x192xbf16> -> tensor<8x64x768xbf16>
  %e = arith.extf %p : tensor<8x64x768xbf16> to !hidden
  // expected-remark @+1 {{not fused: the product is rounded before the activation}}
  %g = dit.gelu %e approximate = tanh : !hidden
  return %g : !hidden
}
