// RUN: dit-opt %s --split-input-file --dit-form-kernels --dit-verify-fused --dit-materialize-views --dit-lower-to-plan | FileCheck %s

// The gradients of q, k and v are written where the concat joins them, [head]
// [q, k, v][16]: no kernel copies them.
dit.global @qkv input : tensor<2x8x192xf32>
dit.global @do input : tensor<2x8x64xf32>
dit.global @w parameter : tensor<192x64xf32>
dit.global @back output : tensor<2x8x64xf32>

// CHECK-LABEL: plan.function @joined
// CHECK: %[[QKV:.*]] = plan.global @qkv 12288
// CHECK: plan.attention %{{.*}} -> %[[O:.*]] log_sum_exp %[[LSE:.*]] sizes
// CHECK: %[[DO:.*]] = plan.global @do 4096
// CHECK-NEXT: %[[D:.*]] = plan.buffer 12288
// CHECK-NEXT: %[[DQ:.*]] = plan.slice %[[D]][0, 12160]
// CHECK-NEXT: %[[DK:.*]] = plan.slice %[[D]][64, 12160]
// CHECK-NEXT: %[[DV:.*]] = plan.slice %[[D]][128, 12160]
// CHECK-NEXT: plan.attention_grad %{{.*}}, %{{.*}}, %{{.*}}, %[[O]], %[[LSE]], %[[DO]] -> %[[DQ]], %[[DK]], %[[DV]] sizes = [2, 4, 8, 8, 16, 16] scale = 2.500000e-01
// CHECK-SAME: strides = [1536, 192, 48, 1536, 192, 48, 1536, 192, 48, 512, 64, 16, 512, 64, 16, 1536, 192, 48, 1536, 192, 48, 1536, 192, 48] type = f32
// CHECK: plan.gemm %[[D]],
// CHECK-NOT: plan.launch
func.func @joined() attributes {dit.step = "forward"} {
  %qkv = dit.read @qkv : tensor<2x8x192xf32>
  %do = dit.read @do : tensor<2x8x64xf32>
  %w = dit.read @w : tensor<192x64xf32>
  %e = tensor.expand_shape %qkv [[0], [1], [2, 3, 4]] output_shape [2, 8, 4, 3, 16] : tensor<2x8x192xf32> into tensor<2x8x4x3x16xf32>
  %q = tensor.extract_slice %e[0, 0, 0, 0, 0] [2, 8, 4, 1, 16] [1, 1, 1, 1, 1] : tensor<2x8x4x3x16xf32> to tensor<2x8x4x16xf32>
  %k = tensor.extract_slice %e[0, 0, 0, 1, 0] [2, 8, 4, 1, 16] [1, 1, 1, 1, 1] : tensor<2x8x4x3x16xf32> to tensor<2x8x4x16xf32>
  %v = tensor.extract_slice %e[0, 0, 0, 2, 0] [2, 8, 4, 1, 16] [1, 1, 1, 1, 1] : tensor<2x8x4x3x16xf32> to tensor<2x8x4x16xf32>
  %o, %lse = dit.attention %q, %k, %v scale = 0.25 : tensor<2x8x4x16xf32>, tensor<2x8x4x16xf32>, tensor<2x8x4x16xf32>
  %g = tensor.expand_shape %do [[0], [1], [2, 3]] output_shape [2, 8, 4, 16] : tensor<2x8x64xf32> into tensor<2x8x4x16xf32>
  %dq, %dk, %dv = dit.attention_grad %q, %k, %v output %o, %lse cotangent %g scale = 0.25
      : tensor<2x8x4x16xf32>, tensor<2x8x4x16xf32>, tensor<2x8x4x16xf32> output tensor<2x8x4x16xf32>, tensor<2x4x8xf32> cotangent tensor<2x8x4x16xf32>
  %pq = tensor.expand_shape %dq [[0], [1], [2, 3], [4]] output_shape [2, 8, 4, 1, 16] : tensor<2x8x4x16xf32> into tensor<2x8x4x1x16xf32>
  %pk = tensor.expand_shape %dk [[0], [1], [2, 3], [4]] output_shape [2, 8, 4, 1, 16] : tensor<2x8x4x16xf32> into tensor<2x8x4x1x16xf32>
  %pv = tensor.expand_shape %dv [[0], [1], [2, 3], [4]] output_shape [2, 8, 4, 1, 16] : tensor<2x8x4x16xf32> into tensor<2x8x4x1x16xf32>
  %d = tensor.concat dim(3) %pq, %pk, %pv : (tensor<2x8x4x1x16xf32>, tensor<2x8x4x1x16xf32>, tensor<2x8x4x1x16xf32>) -> tensor<2x8x4x3x16xf32>
  %c = tensor.collapse_shape %d [[0], [1], [2, 3, 4]] : tensor<2x8x4x3x16xf32> into tensor<2x8x192xf32>
  %b = dit.matmul %c, %w : tensor<2x8x192xf32>, tensor<192x64xf32> -> tensor<2x8x64xf32>
  dit.write %b, @back : tensor<2x8x64xf32>
  return
}

// -----

// Grouped heads and a mask that is repeated; a gradient that is used twice, and
// one that a kernel reads, have buffers of their own.
dit.global @q input : tensor<2x8x4x16xbf16>
dit.global @k input : tensor<2x6x2x16xbf16>
dit.global @mask input : tensor<1x1x8x6xf32>
dit.global @lse input : tensor<2x4x8xf32>
dit.global @dq output : tensor<2x8x4x16xbf16>
dit.global @dk output : tensor<2x6x2x16xf32>
dit.global @dkv output : tensor<2x6x2x32xbf16>
// CHECK-LABEL: plan.function @grouped
// CHECK: %[[DQ:.*]] = plan.global @dq 2048
// CHECK-NEXT: %[[DK:.*]] = plan.buffer 768
// CHECK-NEXT: %[[DV:.*]] = plan.buffer 768
// CHECK-NEXT: plan.attention_grad %{{.*}} -> %[[DQ]], %[[DK]], %[[DV]] mask %{{.*}} [0, 0, 6, 1] sizes = [2, 4, 8, 6, 16, 16]
// CHECK-SAME: type = bf16 {key_head_group = 2 : i64}
// CHECK: plan.launch
func.func @grouped() attributes {dit.step = "forward"} {
  %q = dit.read @q : tensor<2x8x4x16xbf16>
  %k = dit.read @k : tensor<2x6x2x16xbf16>
  %m = dit.read @mask : tensor<1x1x8x6xf32>
  %lse = dit.read @lse : tensor<2x4x8xf32>
  %dq, %dk, %dv = dit.attention_grad %q, %k, %k output %q, %lse cotangent %q mask %m scale = 0.25
      : tensor<2x8x4x16xbf16>, tensor<2x6x2x16xbf16>, tensor<2x6x2x16xbf16> output tensor<2x8x4x16xbf16>, tensor<2x4x8xf32> cotangent tensor<2x8x4x16xbf16> mask tensor<1x1x8x6xf32>
  %dkv = tensor.concat dim(3) %dk, %dv : (tensor<2x6x2x16xbf16>, tensor<2x6x2x16xbf16>) -> tensor<2x6x2x32xbf16>
  %f = arith.extf %dk : tensor<2x6x2x16xbf16> to tensor<2x6x2x16xf32>
  dit.write %dq, @dq : tensor<2x8x4x16xbf16>
  dit.write %f, @dk : tensor<2x6x2x16xf32>
  dit.write %dkv, @dkv : tensor<2x6x2x32xbf16>
  return
}

// -----

// [head][3 · 16]; a kernel and a product read what was joined. Key and value
// alone, of a joint projection of another sequence, are placed as well.
dit.global @q input : tensor<2x8x4x16xbf16>
dit.global @lse input : tensor<2x4x8xf32>
dit.global @w parameter : tensor<192x64xbf16>
dit.global @bias output : tensor<2x8x192xf32>
dit.global @back output : tensor<2x8x64xbf16>
dit.global @pairs output : tensor<16x16xbf16>
// CHECK-LABEL: plan.function @joined_flat
// CHECK: %[[D:.*]] = plan.buffer 6144
// CHECK-NEXT: %[[DQ:.*]] = plan.slice %[[D]][0, 6080]
// CHECK-NEXT: %[[DK:.*]] = plan.slice %[[D]][32, 6080]
// CHECK-NEXT: %[[DV:.*]] = plan.slice %[[D]][64, 6080]
// CHECK-NEXT: plan.attention_grad %{{.*}} -> %[[DQ]], %[[DK]], %[[DV]] sizes
// CHECK-NOT: plan.launch @dit_concat
// CHECK-DAG: plan.gemm %[[D]],
// CHECK-DAG: plan.launch @dit_cast_0(%[[D]] ->
func.func @joined_flat() attributes {dit.step = "forward"} {
  %q = dit.read @q : tensor<2x8x4x16xbf16>
  %lse = dit.read @lse : tensor<2x4x8xf32>
  %w = dit.read @w : tensor<192x64xbf16>
  %dq, %dk, %dv = dit.attention_grad %q, %q, %q output %q, %lse cotangent %q scale = 0.25
      : tensor<2x8x4x16xbf16>, tensor<2x8x4x16xbf16>, tensor<2x8x4x16xbf16> output tensor<2x8x4x16xbf16>, tensor<2x4x8xf32> cotangent tensor<2x8x4x16xbf16>
  %d = tensor.concat dim(3) %dq, %dk, %dv : (tensor<2x8x4x16xbf16>, tensor<2x8x4x16xbf16>, tensor<2x8x4x16xbf16>) -> tensor<2x8x4x48xbf16>
  %c = tensor.collapse_shape %d [[0], [1], [2, 3]] : tensor<2x8x4x48xbf16> into tensor<2x8x192xbf16>
  %b = dit.matmul %c, %w : tensor<2x8x192xbf16>, tensor<192x64xbf16> -> tensor<2x8x64xbf16>
  %f = arith.extf %c : tensor<2x8x192xbf16> to tensor<2x8x192xf32>
  dit.write %b, @back : tensor<2x8x64xbf16>
  dit.write %f, @bias : tensor<2x8x192xf32>
  return
}

// CHECK-LABEL: plan.function @keys_and_values
// CHECK: %[[DQ:.*]] = plan.buffer 2048
// CHECK-NEXT: %[[D:.*]] = plan.buffer 4096
// CHECK-NEXT: %[[DK:.*]] = plan.slice %[[D]][0, 4064]
// CHECK-NEXT: %[[DV:.*]] = plan.slice %[[D]][32, 4064]
// CHECK-NEXT: plan.attention_grad %{{.*}} -> %[[DQ]], %[[DK]], %[[DV]] sizes
func.func @keys_and_values() attributes {dit.step = "forward"} {
  %q = dit.read @q : tensor<2x8x4x16xbf16>
  %lse = dit.read @lse : tensor<2x4x8xf32>
  %dq, %dk, %dv = dit.attention_grad %q, %q, %q output %q, %lse cotangent %q scale = 0.25
      : tensor<2x8x4x16xbf16>, tensor<2x8x4x16xbf16>, tensor<2x8x4x16xbf16> output tensor<2x8x4x16xbf16>, tensor<2x4x8xf32> cotangent tensor<2x8x4x16xbf16>
  %d = tensor.concat dim(3) %dk, %dv : (tensor<2x8x4x16xbf16>, tensor<2x8x4x16xbf16>) -> tensor<2x8x4x32xbf16>
  %s = tensor.collapse_shape %d [[0, 1], [2, 3]] : tensor<2x8x4x32xbf16> into tensor<16x128xbf16>
  %y = dit.matmul %s, %s {transpose_rhs} : tensor<16x128xbf16>, tensor<16x128xbf16> -> tensor<16x16xbf16>
  dit.write %y, @pairs : tensor<16x16xbf16>
  return
}
