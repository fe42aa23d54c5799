// RUN: dit-opt %s --dit-fuse-epilogue | FileCheck %s

!tokens = tensor<8x64x192xf32>
!hidden = tensor<8x64x768xf32>
!weight = tensor<768x192xf32>

// CHECK-LABEL: @bias_and_gelu
// CHECK-SAME:  %[[X:.*]]: tensor<8x64x192xf32>, %[[W:.*]]: tensor<768x192xf32>, %[[B:.*]]: tensor<768xf32>
func.func @bias_and_gelu(%x: !tokens, %w: !weight, %b: tensor<768xf32>) -> !hidden {
  // CHECK-NEXT: %[[B2:.*]] = dit.broadcast
  // CHECK-NEXT: %[[F:.*]] = dit.matmul %[[X]], %[[W]] bias %[[B]] activation = gelu_tanh {transpose_rhs}
  // CHECK-NEXT: return %[[F]]
  %p = dit.matmul %x, %w {transpose_rhs} : !tokens, !weight -> !hidden
  %bs = dit.broadcast %b dims = [2] : tensor<768xf32> -> !hidden
  %s = arith.addf %bs, %p : !hidden
  %g = dit.gelu %s approximate = tanh : !hidden
  return %g : !hidden
}

// CHECK-LABEL: @silu
func.func @silu(%x: !tokens, %w: !weight) -> !hidden {
  // CHECK-NEXT: %[[F:.*]] = dit.matmul {{.*}} activation = silu
  // CHECK-NEXT: return %[[F]]
  %p = dit.matmul %x, %w {transpose_rhs} : !tokens, !weight -> !hidden
  %s = dit.sigmoid %p : !hidden
  %y = arith.mulf %s, %p : !hidden
  return %y : !hidden
}

// The activation comes before a reshape as well as after it.
// CHECK-LABEL: @gelu_behind_a_reshape
func.func @gelu_behind_a_reshape(%x: tensor<512x192xf32>, %w: !weight) -> !hidden {
  // CHECK-NEXT: %[[F:.*]] = dit.matmul {{.*}} activation = gelu_erf
  // CHECK-NEXT: %[[V:.*]] = tensor.expand_shape %[[F]]
  // CHECK-NEXT: return %[[V]]
  %p = dit.matmul %x, %w {transpose_rhs} : tensor<512x192xf32>, !weight -> tensor<512x768xf32>
  %v = tensor.expand_shape %p [[0, 1], [2]] output_shape [8, 64, 768] : tensor<512x768xf32> into !hidden
  %g = dit.gelu %v approximate = none : !hidden
  return %g : !hidden
}

// The sums are fp32 and rounded once, after the activation.
// CHECK-LABEL: @rounding
func.func @rounding(%x: tensor<8x64x192xbf16>, %w: tensor<768x192xbf16>) -> tensor<8x64x768xbf16> {
  // CHECK-NEXT: %[[F:.*]] = dit.matmul {{.*}} activation = gelu_tanh {{.*}} -> tensor<8x64x768xbf16>
  // CHECK-NEXT: return %[[F]]
  %p = dit.matmul %x, %w {transpose_rhs} : tensor<8x64x192xbf16>, tensor<768x192xbf16> -> !hidden
  %g = dit.gelu %p approximate = tanh : !hidden
  %l = arith.truncf %g : !hidden to tensor<8x64x768xbf16>
  return %l : tensor<8x64x768xbf16>
}

// A narrowing before the activation is the program's meaning and stays.
// CHECK-LABEL: @rounded_before_the_activation
func.func @rounded_before_the_activation(%x: tensor<8x64x192xbf16>, %w: tensor<768x192xbf16>) -> !hidden {
  // CHECK-NEXT: %[[P:.*]] = dit.matmul {{.*}} {transpose_rhs} {{.*}} -> tensor<8x64x768xbf16>
  // CHECK-NEXT: arith.extf %[[P]]
  // CHECK-NEXT: dit.gelu
  %p = dit.matmul %x, %w {transpose_rhs} : tensor<8x64x192xbf16>, tensor<768x192xbf16> -> tensor<8x64x768xbf16>
  %e = arith.extf %p : tensor<8x64x768xbf16> to !hidden
  %g = dit.gelu %e approximate = tanh : !hidden
  return %g : !hidden
}

// The gradient computes it again, by a kernel: of equal bits both times.
// CHECK-LABEL: @computed_again
func.func @computed_again(%x: !tokens, %w: !weight) -> (!hidden, !hidden) {
  // CHECK-NEXT: dit.matmul
  // CHECK-NOT: activation
  // CHECK-NEXT: dit.gelu %{{.*}} approximate = tanh : tensor
  // CHECK-NEXT: dit.matmul
  // CHECK-NOT: activation
  // CHECK-NEXT: dit.sigmoid %{{[a-z0-9_]+}} : tensor
  // CHECK-NEXT: arith.mulf
  %p = dit.matmul %x, %w {transpose_rhs} : !tokens, !weight -> !hidden
  %g = dit.gelu %p approximate = tanh {dit.rerun} : !hidden
  %q = dit.matmul %x, %w {transpose_rhs} : !tokens, !weight -> !hidden
  %s = dit.sigmoid %q {dit.rerun} : !hidden
  %y = arith.mulf %s, %q : !hidden
  return %g, %y : !hidden, !hidden
}
