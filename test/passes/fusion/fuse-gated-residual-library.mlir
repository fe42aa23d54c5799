// RUN: dit-opt %s --dit-form-kernels "--dit-fuse-gated-residual=report=true library=true" --verify-diagnostics | FileCheck %s

!x = tensor<512x192xf32>
!dy = tensor<512x768xf32>
!dw = tensor<768x192xf32>
!tokens = tensor<8x64x192xf32>
!weight = tensor<192x192xf32>

// The gradient of a weight, added to that of the micro-batches before.
// CHECK-LABEL: @sum_of_rows
// CHECK-SAME: %[[OLD:[^:]*]]: tensor<768x192xf32>, %[[DY:[^:]*]]: tensor<512x768xf32>, %[[X:[^:]*]]: tensor<512x192xf32>
func.func @sum_of_rows(%old: !dw, %dy: !dy, %x: !x) -> !dw {
  // CHECK-NEXT: %[[SUM:.*]] = dit.matmul %[[DY]], %[[X]] residual %[[OLD]] {transpose_lhs}
  // CHECK-NEXT: return %[[SUM]]
  %d = dit.matmul %dy, %x {transpose_lhs} : !dy, !x -> !dw
  // expected-remark @+1 {{fused residual into the GEMM}}
  %sum = arith.addf %old, %d : !dw
  return %sum : !dw
}

// CHECK-LABEL: @product_of_rows
func.func @product_of_rows(%x: !tokens, %h: !tokens, %w: !weight) -> !tokens {
  // CHECK: dit.matmul %{{.*}}, %{{.*}} {transpose_rhs}
  // CHECK: dit.kernel "residual"
  %p = dit.matmul %h, %w {transpose_rhs} : !tokens, !weight -> !tokens
  // expected-remark @+1 {{not fused: the GEMM is a library's, and no sum over rows}}
  %y = arith.addf %p, %x : !tokens
  return %y : !tokens
}

// CHECK-LABEL: @gate
func.func @gate(%old: !dw, %dy: !dy, %x: !x, %g: !dw) -> !dw {
  // CHECK: dit.matmul {{.*}} {transpose_lhs}
  // CHECK: dit.kernel
  %d = dit.matmul %dy, %x {transpose_lhs} : !dy, !x -> !dw
  %gated = arith.mulf %g, %d : !dw
  // expected-remark @+1 {{not fused: the library's GEMM has no gate}}
  %sum = arith.addf %old, %gated : !dw
  return %sum : !dw
}

// CHECK-LABEL: @batch_of_sums
func.func @batch_of_sums(%x: tensor<4x8x16xf32>, %a: tensor<4x32x8xf32>, %b: tensor<4x32x16xf32>) -> tensor<4x8x16xf32> {
  // CHECK: dit.kernel "residual"
  %p = dit.matmul %a, %b {transpose_lhs} : tensor<4x32x8xf32>, tensor<4x32x16xf32> -> tensor<4x8x16xf32>
  // expected-remark @+1 {{not fused: the GEMM is a batch of products}}
  %y = arith.addf %x, %p : tensor<4x8x16xf32>
  return %y : tensor<4x8x16xf32>
}
