// RUN: dit-opt %s --dit-form-kernels --dit-fuse-gated-residual=report=true --dit-verify-fused --verify-diagnostics | FileCheck %s

!tokens = tensor<8x64x192xf32>
!weight = tensor<192x192xf32>

// CHECK-LABEL: @gate_and_residual
// CHECK-SAME:  %[[X:.*]]: tensor<8x64x192xf32>, %[[H:.*]]: tensor<8x64x192xf32>, %[[MOD:.*]]: tensor<8x1152xf32>, %[[W:.*]]: tensor<192x192xf32>
func.func @gate_and_residual(%x: !tokens, %h: !tokens, %mod: tensor<8x1152xf32>, %w: !weight) -> !tokens {
  // CHECK-NEXT: %[[G:.*]] = tensor.extract_slice %[[MOD]][0, 384]
  // CHECK-NEXT: %[[Y:.*]] = dit.matmul %[[H]], %[[W]] gate %[[G]] residual %[[X]] {transpose_rhs}
  // CHECK-NEXT: return %[[Y]]
  %gate = tensor.extract_slice %mod[0, 384] [8, 192] [1, 1] : tensor<8x1152xf32> to tensor<8x192xf32>
  %p = dit.matmul %h, %w {transpose_rhs} : !tokens, !weight -> !tokens
  %gates = dit.broadcast %gate dims = [0, 2] : tensor<8x192xf32> -> !tokens
  %gated = arith.mulf %gates, %p : !tokens
  // expected-remark @+1 {{fused gate and residual into the GEMM}}
  %y = arith.addf %x, %gated : !tokens
  return %y : !tokens
}

// CHECK-LABEL: @residual_alone
// CHECK-SAME:  %[[X:.*]]: tensor<8x64x192xf32>, %[[H:.*]]: tensor<8x64x192xf32>
func.func @residual_alone(%x: !tokens, %h: !tokens, %w: !weight) -> !tokens {
  // CHECK-NEXT: dit.matmul %[[H]], %{{.*}} residual %[[X]]
  // CHECK-NEXT: return
  %p = dit.matmul %h, %w {transpose_rhs} : !tokens, !weight -> !tokens
  // expected-remark @+1 {{fused residual into the GEMM}}
  %y = arith.addf %p, %x : !tokens
  return %y : !tokens
}

// A norm follows: its kernel has the stream as a second result.
// CHECK-LABEL: @norm_follows
func.func @norm_follows(%x: !tokens, %h: !tokens, %w: !weight) -> (!tokens, !tokens) {
  // CHECK: %[[P:.*]] = dit.matmul %{{.*}}, %{{.*}} {transpose_rhs}
  // CHECK: dit.kernel "residual_layer_norm" {{.*}}%[[P]]
  %p = dit.matmul %h, %w {transpose_rhs} : !tokens, !weight -> !tokens
  %x1 = arith.addf %x, %p : !tokens
  %n, %mean, %rstd = dit.layer_norm %x1 eps = 1.0e-6 : !tokens
  return %x1, %n : !tokens, !tokens
}

// CHECK-LABEL: @product_is_used_too
func.func @product_is_used_too(%x: !tokens, %h: !tokens, %w: !weight) -> (!tokens, !tokens) {
  // CHECK: dit.kernel "residual"
  %p = dit.matmul %h, %w {transpose_rhs} : !tokens, !weight -> !tokens
  // expected-remark @+1 {{not fused: the GEMM's result is used too}}
  %y = arith.addf %x, %p : !tokens
  return %y, %p : !tokens, !tokens
}

// CHECK-LABEL: @second_residual
func.func @second_residual(%x: !tokens, %r: !tokens, %h: !tokens, %w: !weight) -> !tokens {
  // CHECK: dit.kernel "residual"
  %p = dit.matmul %h, %w residual %r {transpose_rhs} : !tokens, !weight residual !tokens -> !tokens
  // expected-remark @+1 {{not fused: the GEMM has a residual already}}
  %y = arith.addf %x, %p : !tokens
  return %y : !tokens
}

// CHECK-LABEL: @batch_of_products
func.func @batch_of_products(%x: tensor<4x16x16xf32>, %a: tensor<4x16x8xf32>, %b: tensor<4x8x16xf32>) -> tensor<4x16x16xf32> {
  // CHECK: dit.kernel "residual"
  %p = dit.matmul %a, %b : tensor<4x16x8xf32>, tensor<4x8x16xf32> -> tensor<4x16x16xf32>
  // expected-remark @+1 {{not fused: the GEMM is a batch of products}}
  %y = arith.addf %x, %p : tensor<4x16x16xf32>
  return %y : tensor<4x16x16xf32>
}

// One gate for every token is not what an epilogue has.
// CHECK-LABEL: @gate_per_token
func.func @gate_per_token(%x: !tokens, %h: !tokens, %g: !tokens, %w: !weight) -> !tokens {
  // CHECK: dit.kernel "residual"
  %p = dit.matmul %h, %w {transpose_rhs} : !tokens, !weight -> !tokens
  %gated = arith.mulf %g, %p : !tokens
  %y = arith.addf %x, %gated : !tokens
  return %y : !tokens
}

// CHECK-LABEL: @sum_of_rows
func.func @sum_of_rows(%old: tensor<64x32xf32>, %dy: tensor<8x64xf32>, %x: tensor<8x32xf32>) -> tensor<64x32xf32> {
  // CHECK: dit.kernel "residual"
  %d = dit.matmul %dy, %x {transpose_lhs} : tensor<8x64xf32>, tensor<8x32xf32> -> tensor<64x32xf32>
  // expected-remark @+1 {{not fused: the GEMM is a sum over rows, which a kernel adds faster}}
  %sum = arith.addf %old, %d : tensor<64x32xf32>
  return %sum : tensor<64x32xf32>
}
