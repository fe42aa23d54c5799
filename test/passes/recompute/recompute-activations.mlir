// RUN: dit-opt %s --dit-recompute-activations --cse | FileCheck %s
// RUN: dit-opt %s --dit-recompute-activations="what=auto bytes=1" | FileCheck %s --check-prefix=CHEAP
// RUN: dit-opt %s --dit-recompute-activations="what=auto bytes=393217" | FileCheck %s --check-prefix=NEXT
// RUN: dit-opt %s --dit-recompute-activations="what=auto bytes=0" | FileCheck %s --check-prefix=NONE

dit.global @x input : tensor<8x64x192xf32>
dit.global @c input : tensor<8x192xf32>
dit.global @w1 state : tensor<192x192xf32>
dit.global @w2 state : tensor<192x192xf32>
dit.global @dw1 state : tensor<192x192xf32>
dit.global @dw2 state : tensor<192x192xf32>
dit.global @dc state : tensor<8x192xf32>
dit.global @loss output : tensor<8xf32>

// Two blocks, x + gelu(attention(s x wᵀ)), and their gradients.
//
// What the first block's gradient reads is computed again from the stream and
// the modulation once the second block's gradient is there. The second block,
// the last one, is left alone. CSE changes nothing of it.
// h, p and a of 393216 bytes each are dropped, and 8192 of the attention's sums;
// x is kept for its own sake.
// CHECK: module attributes {dit.recomputed_bytes = 1187840 : i64}
// CHECK-LABEL: @accumulate
// CHECK: %[[X:.*]] = dit.read @x
// CHECK: %[[W1:.*]] = dit.read @w1
// CHECK: %[[S:.*]] = dit.broadcast
// CHECK: %[[X1:.*]] = arith.mulf %[[X]], %[[X]]
// CHECK: dit.gelu %{{.*}} {dit.rerun}
// CHECK: dit.attention
// CHECK: dit.gelu %{{.*}} approximate = tanh :
// CHECK: dit.write %{{.*}}, @loss
// CHECK-NOT: dit.after
// CHECK: dit.matmul %[[DP2:.*]], %{{.*}} {transpose_lhs}
// CHECK: %[[DX2:.*]] = arith.addf
// CHECK-NEXT: %[[XA:.*]] = dit.after %[[X1]], %{{.*}} : tensor<8x64x192xf32>
// CHECK-NEXT: %[[H:.*]] = arith.mulf %[[XA]], %[[S]]
// CHECK-NEXT: %[[P:.*]] = dit.matmul %[[H]], %[[W1]]
// CHECK-NEXT: %[[Q:.*]] = tensor.expand_shape %[[P]]
// CHECK-NEXT: %[[A:.*]], %[[L:.*]] = dit.attention %[[Q]], %[[Q]], %[[Q]]
// CHECK-NEXT: %[[O:.*]] = tensor.collapse_shape %[[A]]
// CHECK-NEXT: dit.gelu_grad %[[O]], %[[DX2]]
// CHECK: dit.attention_grad %[[Q]], %[[Q]], %[[Q]] output %[[A]], %[[L]]
// CHECK: dit.matmul %{{.*}}, %[[H]] {transpose_lhs}
// CHECK: arith.mulf %{{.*}}, %[[XA]]
// CHECK: return

// Cheapest first: the modulated row, made right before its product needs it.
// CHEAP: dit.recomputed_bytes = 393216 : i64
// CHEAP-LABEL: @accumulate
// CHEAP-COUNT-2: dit.attention %
// CHEAP-COUNT-2: dit.attention_grad
// CHEAP-NEXT: tensor.collapse_shape
// CHEAP-NEXT: dit.after
// CHEAP-NEXT: arith.mulf
// CHEAP-NEXT: dit.matmul
// CHEAP-NOT: dit.after
// CHEAP: return

// Then the attention, 25 MFLOP for as many bytes, from a product of 38.
// NEXT: dit.recomputed_bytes = 786432 : i64
// NEXT-LABEL: @accumulate
// NEXT: %[[P:.*]] = dit.matmul
// NEXT: dit.matmul
// NEXT: dit.attention_grad
// NEXT: %[[PA:.*]] = dit.after %[[P]]
// NEXT-NEXT: %[[Q:.*]] = tensor.expand_shape %[[PA]]
// NEXT-NEXT: dit.attention %[[Q]], %[[Q]], %[[Q]]
// NEXT: dit.attention_grad
// NEXT: dit.after
// NEXT-NEXT: arith.mulf
// NEXT-NEXT: dit.matmul

// NONE: dit.recomputed_bytes = 0 : i64
// NONE-NOT: dit.after
func.func @accumulate() attributes {dit.step = "accumulate"} {
  %x0 = dit.read @x : tensor<8x64x192xf32>
  %c = dit.read @c : tensor<8x192xf32>
  %w1 = dit.read @w1 : tensor<192x192xf32>
  %w2 = dit.read @w2 : tensor<192x192xf32>
  %e = math.exp %c : tensor<8x192xf32>
  %s = dit.broadcast %e dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  %x1 = arith.mulf %x0, %x0 : tensor<8x64x192xf32>
  %h1 = arith.mulf %x1, %s : tensor<8x64x192xf32>
  %p1 = dit.matmul %h1, %w1 {transpose_rhs} : tensor<8x64x192xf32>, tensor<192x192xf32> -> tensor<8x64x192xf32>
  %q1 = tensor.expand_shape %p1 [[0], [1], [2, 3]] output_shape [8, 64, 4, 48] : tensor<8x64x192xf32> into tensor<8x64x4x48xf32>
  %a1, %l1 = dit.attention %q1, %q1, %q1 scale = 0.1 : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>
  %o1 = tensor.collapse_shape %a1 [[0], [1], [2, 3]] : tensor<8x64x4x48xf32> into tensor<8x64x192xf32>
  %g1 = dit.gelu %o1 approximate = tanh : tensor<8x64x192xf32>
  %x2 = arith.addf %x1, %g1 : tensor<8x64x192xf32>
  %h2 = arith.mulf %x2, %s : tensor<8x64x192xf32>
  %p2 = dit.matmul %h2, %w2 {transpose_rhs} : tensor<8x64x192xf32>, tensor<192x192xf32> -> tensor<8x64x192xf32>
  %q2 = tensor.expand_shape %p2 [[0], [1], [2, 3]] output_shape [8, 64, 4, 48] : tensor<8x64x192xf32> into tensor<8x64x4x48xf32>
  %a2, %l2 = dit.attention %q2, %q2, %q2 scale = 0.1 : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>
  %o2 = tensor.collapse_shape %a2 [[0], [1], [2, 3]] : tensor<8x64x4x48xf32> into tensor<8x64x192xf32>
  %g2 = dit.gelu %o2 approximate = tanh : tensor<8x64x192xf32>
  %x3 = arith.addf %x2, %g2 : tensor<8x64x192xf32>
  %loss = dit.reduce sum %x3 dims = [1, 2] : tensor<8x64x192xf32>
  dit.write %loss, @loss : tensor<8xf32>
  %dx3 = arith.constant dense<1.0> : tensor<8x64x192xf32>
  %do2 = dit.gelu_grad %o2, %dx3 approximate = tanh : tensor<8x64x192xf32>
  %da2 = tensor.expand_shape %do2 [[0], [1], [2, 3]] output_shape [8, 64, 4, 48] : tensor<8x64x192xf32> into tensor<8x64x4x48xf32>
  %dq2, %dk2, %dv2 = dit.attention_grad %q2, %q2, %q2 output %a2, %l2 cotangent %da2 scale = 0.1
      : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32> output tensor<8x64x4x48xf32>, tensor<8x4x64xf32> cotangent tensor<8x64x4x48xf32>
  %dp2 = tensor.collapse_shape %dq2 [[0], [1], [2, 3]] : tensor<8x64x4x48xf32> into tensor<8x64x192xf32>
  %dw2 = dit.matmul %dp2, %h2 {transpose_lhs} : tensor<8x64x192xf32>, tensor<8x64x192xf32> -> tensor<8x192x192xf32>
  %dw2s = dit.reduce sum %dw2 dims = [0] : tensor<8x192x192xf32>
  %dh2 = dit.matmul %dp2, %w2 : tensor<8x64x192xf32>, tensor<192x192xf32> -> tensor<8x64x192xf32>
  %dm2 = arith.mulf %dh2, %s : tensor<8x64x192xf32>
  %dx2 = arith.addf %dx3, %dm2 : tensor<8x64x192xf32>
  %do1 = dit.gelu_grad %o1, %dx2 approximate = tanh : tensor<8x64x192xf32>
  %da1 = tensor.expand_shape %do1 [[0], [1], [2, 3]] output_shape [8, 64, 4, 48] : tensor<8x64x192xf32> into tensor<8x64x4x48xf32>
  %dq1, %dk1, %dv1 = dit.attention_grad %q1, %q1, %q1 output %a1, %l1 cotangent %da1 scale = 0.1
      : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32> output tensor<8x64x4x48xf32>, tensor<8x4x64xf32> cotangent tensor<8x64x4x48xf32>
  %dp1 = tensor.collapse_shape %dq1 [[0], [1], [2, 3]] : tensor<8x64x4x48xf32> into tensor<8x64x192xf32>
  %dw1 = dit.matmul %dp1, %h1 {transpose_lhs} : tensor<8x64x192xf32>, tensor<8x64x192xf32> -> tensor<8x192x192xf32>
  %dw1s = dit.reduce sum %dw1 dims = [0] : tensor<8x192x192xf32>
  %dh1 = dit.matmul %dp1, %w1 : tensor<8x64x192xf32>, tensor<192x192xf32> -> tensor<8x64x192xf32>
  %dm1 = arith.mulf %dh1, %x1 : tensor<8x64x192xf32>
  %dc = dit.reduce sum %dm1 dims = [1] : tensor<8x64x192xf32>
  dit.write %dc, @dc : tensor<8x192xf32>
  dit.write %dw2s, @dw2 : tensor<192x192xf32>
  dit.write %dw1s, @dw1 : tensor<192x192xf32>
  return
}
