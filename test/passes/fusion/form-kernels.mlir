// RUN: dit-opt %s --dit-form-kernels | FileCheck %s

!tokens = tensor<8x64x192xf32>
!sample = tensor<8x192xf32>

// The stream and the next GEMM's input are two results of one kernel; the
// slices of the modulation are inside, so that it reads the whole vector.
// CHECK-LABEL: @gate_residual_layer_norm_modulate
// CHECK-SAME:  %[[X:.*]]: tensor<8x64x192xf32>, %[[BRANCH:.*]]: tensor<8x64x192xf32>, %[[MOD:.*]]: tensor<8x1152xf32>
func.func @gate_residual_layer_norm_modulate(%x: !tokens, %branch: !tokens, %mod: tensor<8x1152xf32>, %w: tensor<768x192xf32>) -> (!tokens, tensor<8x64x768xf32>) {
  // CHECK-NEXT: %[[K:.*]]:2 = dit.kernel "gate_residual_layer_norm_modulate" space = [8, 64, 192](%[[MOD]], %[[BRANCH]], %[[X]])
  // CHECK-NEXT: ^bb0(%[[M:.*]]: tensor<8x1152xf32>, %[[B:.*]]: tensor<8x64x192xf32>, %[[R:.*]]: tensor<8x64x192xf32>)
  // CHECK:      %[[GATED:.*]] = arith.mulf %{{.*}}, %[[B]]
  // CHECK:      %[[X1:.*]] = arith.addf %[[R]], %[[GATED]]
  // CHECK:      dit.layer_norm %[[X1]]
  // CHECK:      %[[SCALED:.*]] = arith.mulf
  // CHECK:      %[[H:.*]] = arith.addf %[[SCALED]]
  // CHECK-NEXT: dit.yield %[[X1]], %[[H]]
  // CHECK:      %[[F:.*]] = dit.matmul %[[K]]#1
  // CHECK-NEXT: return %[[K]]#0, %[[F]]
  %gate = tensor.extract_slice %mod[0, 384] [8, 192] [1, 1] : tensor<8x1152xf32> to !sample
  %shift = tensor.extract_slice %mod[0, 576] [8, 192] [1, 1] : tensor<8x1152xf32> to !sample
  %scale = tensor.extract_slice %mod[0, 768] [8, 192] [1, 1] : tensor<8x1152xf32> to !sample
  %gates = dit.broadcast %gate dims = [0, 2] : !sample -> !tokens
  %gated = arith.mulf %gates, %branch : !tokens
  %x1 = arith.addf %x, %gated : !tokens
  %n, %mean, %rstd = dit.layer_norm %x1 eps = 1.0e-6 : !tokens
  %one = arith.constant dense<1.0> : !sample
  %factor = arith.addf %scale, %one : !sample
  %factors = dit.broadcast %factor dims = [0, 2] : !sample -> !tokens
  %shifts = dit.broadcast %shift dims = [0, 2] : !sample -> !tokens
  %scaled = arith.mulf %n, %factors : !tokens
  %h = arith.addf %scaled, %shifts : !tokens
  %f = dit.matmul %h, %w {transpose_rhs} : !tokens, tensor<768x192xf32> -> tensor<8x64x768xf32>
  return %x1, %f : !tokens, tensor<8x64x768xf32>
}

// The stream goes on to the second residual, which depends on the first norm
// through the GEMM: one value, made in the first kernel, read by the second.
// CHECK-LABEL: @stream_is_made_once
func.func @stream_is_made_once(%x: !tokens, %p: !tokens, %w: tensor<192x192xf32>) -> !tokens {
  // CHECK:      %[[K:.*]]:2 = dit.kernel "residual_layer_norm"
  // CHECK:      dit.yield %[[X1:.*]], %[[N:.*]] :
  // CHECK:      %[[Q:.*]] = dit.matmul %[[K]]#1
  // CHECK-NEXT: %[[L:.*]] = dit.kernel "residual" {{.*}}(%[[K]]#0, %[[Q]])
  // CHECK-NOT:  dit.kernel
  // CHECK:      return %[[L]]
  %x1 = arith.addf %x, %p : !tokens
  %n, %mean, %rstd = dit.layer_norm %x1 eps = 1.0e-6 : !tokens
  %q = dit.matmul %n, %w {transpose_rhs} : !tokens, tensor<192x192xf32> -> !tokens
  %x2 = arith.addf %x1, %q : !tokens
  return %x2 : !tokens
}

// Statistics that somebody reads are row results.
// CHECK-LABEL: @statistics_as_results
func.func @statistics_as_results(%x: !tokens) -> (!tokens, tensor<8x64xf32>, tensor<8x64xf32>) {
  // CHECK: dit.kernel "layer_norm" space = [8, 64, 192]{{.*}} -> (tensor<8x64x192xf32>, tensor<8x64xf32>, tensor<8x64xf32>)
  // CHECK-NOT: dit.kernel
  // CHECK: return
  %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : !tokens
  return %n, %mean, %rstd : !tokens, tensor<8x64xf32>, tensor<8x64xf32>
}

// Two modulations of one norm are one kernel: neither needs the other.
// CHECK-LABEL: @siblings_share_a_norm
func.func @siblings_share_a_norm(%x: !tokens, %a: !sample, %b: !sample) -> (!tokens, !tokens) {
  // CHECK: %[[K:.*]]:2 = dit.kernel "layer_norm" space = [8, 64, 192]
  // CHECK: dit.layer_norm
  // CHECK-NOT: dit.layer_norm
  // CHECK: return %[[K]]#0, %[[K]]#1
  %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : !tokens
  %as = dit.broadcast %a dims = [0, 2] : !sample -> !tokens
  %bs = dit.broadcast %b dims = [0, 2] : !sample -> !tokens
  %ha = arith.mulf %n, %as : !tokens
  %hb = arith.mulf %n, %bs : !tokens
  return %ha, %hb : !tokens, !tokens
}

// The stream in fp32 and its rounded norm in bf16 come from one kernel.
// CHECK-LABEL: @results_of_two_types
func.func @results_of_two_types(%x: !tokens, %p: !tokens, %w: tensor<192x192xbf16>) -> (!tokens, !tokens) {
  // CHECK: %[[K:.*]]:2 = dit.kernel "residual_layer_norm"{{.*}} -> (tensor<8x64x192xf32>, tensor<8x64x192xbf16>)
  // CHECK: dit.matmul %[[K]]#1
  %x1 = arith.addf %x, %p : !tokens
  %n, %mean, %rstd = dit.layer_norm %x1 eps = 1.0e-6 : !tokens
  %l = arith.truncf %n : !tokens to tensor<8x64x192xbf16>
  %q = dit.matmul %l, %w {transpose_rhs} : tensor<8x64x192xbf16>, tensor<192x192xbf16> -> !tokens
  return %x1, %q : !tokens, !tokens
}

// Nothing between GEMMs: nothing to do.
// CHECK-LABEL: @only_matmuls
func.func @only_matmuls(%x: !tokens, %w: tensor<192x192xf32>) -> !tokens {
  // CHECK-NOT: dit.kernel
  // CHECK: return
  %p = dit.matmul %x, %w {transpose_rhs} : !tokens, tensor<192x192xf32> -> !tokens
  %q = dit.matmul %p, %w {transpose_rhs} : !tokens, tensor<192x192xf32> -> !tokens
  return %q : !tokens
}

// The first product reads a value of the kernel that reads the second: launches
// are put in the order of need, not of the program.
// CHECK-LABEL: @launches_in_order_of_need
func.func @launches_in_order_of_need(%x: !tokens, %y: !tokens, %w: tensor<192x192xf32>) -> (!tokens, !tokens) {
  // CHECK:      %[[Q:.*]] = dit.matmul %arg1
  // CHECK-NEXT: %[[K:.*]]:2 = dit.kernel "residual" {{.*}}%[[Q]]
  // CHECK:      %[[P:.*]] = dit.matmul %[[K]]#0
  // CHECK-NEXT: return %[[P]], %[[K]]#1
  %s = arith.addf %x, %y : !tokens
  %p = dit.matmul %s, %w {transpose_rhs} : !tokens, tensor<192x192xf32> -> !tokens
  %q = dit.matmul %y, %w {transpose_rhs} : !tokens, tensor<192x192xf32> -> !tokens
  %t = arith.addf %s, %q : !tokens
  return %p, %t : !tokens, !tokens
}

// Nobody needs it, so nobody makes it, and it is no reason to split a kernel.
// CHECK-LABEL: @dead_code
func.func @dead_code(%x: !tokens, %w: tensor<192x192xf32>) -> !tokens {
  // CHECK-NEXT: dit.kernel "residual_softmax"
  // CHECK-NOT:  dit.matmul
  // CHECK-NOT:  dit.kernel
  // CHECK:      return
  %s = arith.addf %x, %x : !tokens
  %p = dit.matmul %s, %w {transpose_rhs} : !tokens, tensor<192x192xf32> -> !tokens
  %q = arith.addf %p, %s : !tokens
  %t = dit.softmax %s : !tokens
  return %t : !tokens
}
