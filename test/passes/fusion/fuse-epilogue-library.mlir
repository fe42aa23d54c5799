// RUN: dit-opt %s --dit-fuse-epilogue=library=true | FileCheck %s

!x = tensor<4x32xf32>
!w = tensor<16x32xf32>
!y = tensor<4x16xf32>

// CHECK-LABEL: @gelu_tanh
// CHECK: dit.matmul {{.*}} activation = gelu_tanh
// CHECK-NOT: dit.gelu
func.func @gelu_tanh(%x: !x, %w: !w) -> !y {
  %p = dit.matmul %x, %w {transpose_rhs} : !x, !w -> !y
  %g = dit.gelu %p approximate = tanh : !y
  return %g : !y
}

// CHECK-LABEL: @gelu_erf
// CHECK-NOT: activation
// CHECK: dit.gelu
func.func @gelu_erf(%x: !x, %w: !w) -> !y {
  %p = dit.matmul %x, %w {transpose_rhs} : !x, !w -> !y
  %g = dit.gelu %p approximate = none : !y
  return %g : !y
}

// CHECK-LABEL: @silu
// CHECK-NOT: activation
// CHECK: dit.sigmoid
// CHECK: arith.mulf
func.func @silu(%x: !x, %w: !w) -> !y {
  %p = dit.matmul %x, %w {transpose_rhs} : !x, !w -> !y
  %s = dit.sigmoid %p : !y
  %g = arith.mulf %p, %s : !y
  return %g : !y
}
