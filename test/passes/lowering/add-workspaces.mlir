// RUN: dit-opt %s --dit-add-workspaces | FileCheck %s
// RUN: dit-opt %s --dit-add-workspaces --dit-assign-offsets --dit-verify-memory | FileCheck %s --check-prefix=PLACED

dit.global @x input : tensor<8x16xf32>
dit.global @w parameter : tensor<16x16xf32>
dit.global @y output : tensor<8x16xf32>

// The GEMMs of a function share one buffer, from the first to the last.
// CHECK-LABEL: plan.function @two
// CHECK: %[[S:.*]] = plan.buffer 33554432
// CHECK-NEXT: plan.gemm %{{.*}}, %{{.*}} -> %[[A:[^ ]*]] workspace %[[S]]
// CHECK-NOT: plan.buffer 33554432
// CHECK: plan.gemm %[[A]], %{{.*}} workspace %[[S]]
// It is a part of what the function needs.
// PLACED: plan.function @two step = "forward" arena_bytes = 33554944
plan.function @two step = "forward" {
  %x = plan.global @x 512
  %w = plan.global @w 1024
  %y = plan.global @y 512
  %a = plan.buffer 512
  plan.gemm %x, %w -> %a sizes = [8, 16, 16, 1] leading = [16, 16, 16] strides = [0, 0, 0] types = [f32, f32, f32] {transpose_b}
  plan.gemm %a, %w -> %y sizes = [8, 16, 16, 1] leading = [16, 16, 16] strides = [0, 0, 0] types = [f32, f32, f32] {transpose_b}
}

// CHECK-LABEL: plan.function @attention
// CHECK: %[[S:.*]] = plan.buffer 1024
// CHECK: plan.attention %{{.*}} workspace %[[S]] sizes
plan.function @attention step = "attention" {
  %x = plan.global @x 512
  %y = plan.global @y 512
  plan.attention %x, %x, %x -> %y sizes = [1, 2, 8, 8, 8, 8] scale = 0.35
      q_strides = [128, 16, 8] k_strides = [128, 16, 8]
      v_strides = [128, 16, 8] output_strides = [128, 16, 8] type = f32
}

// dP of 2 heads, 64 x 128 for 50 x 70, a number for each of 100 rows, 256 bytes;
// with a shared head of keys the gradients of both; for our kernel nothing.
// CHECK-LABEL: plan.function @gradients
// CHECK: %[[S:.*]] = plan.buffer 33536
// CHECK-NEXT: plan.attention_grad %{{.*}} workspace %[[S]] sizes
// CHECK: %[[T:.*]] = plan.buffer 38016
// CHECK-NEXT: plan.attention_grad %{{.*}} workspace %[[T]] sizes
// CHECK-NOT: workspace
// CHECK: plan.attention_grad {{.*}} {ours}
plan.function @gradients step = "gradients" {
  %x = plan.global @x 512
  %q = plan.buffer 1600
  %k = plan.buffer 2240
  plan.attention_grad %q, %k, %k, %q, %x, %q -> %q, %k, %k sizes = [1, 2, 50, 70, 8, 8] scale = 0.35
      strides = [800, 16, 8, 1120, 16, 8, 1120, 16, 8, 800, 16, 8, 800, 16, 8, 800, 16, 8, 1120, 16, 8, 1120, 16, 8] type = bf16
  plan.attention_grad %q, %k, %k, %q, %x, %q -> %q, %k, %k sizes = [1, 2, 50, 70, 8, 8] scale = 0.35
      strides = [800, 16, 8, 560, 8, 8, 560, 8, 8, 800, 16, 8, 800, 16, 8, 800, 16, 8, 560, 8, 8, 560, 8, 8] type = bf16 {key_head_group = 2 : i64}
  plan.attention_grad %q, %k, %k, %q, %x, %q -> %q, %k, %k sizes = [1, 2, 50, 50, 8, 8] scale = 0.35
      strides = [800, 16, 8, 800, 16, 8, 800, 16, 8, 800, 16, 8, 800, 16, 8, 800, 16, 8, 800, 16, 8, 800, 16, 8] type = bf16 {ours}
}

// Nothing to share, nothing there.
// CHECK-LABEL: plan.function @copies
// CHECK-NOT: plan.buffer
plan.function @copies step = "copies" {
  %x = plan.global @x 512
  %y = plan.global @y 512
  plan.copy %x to %y
}
