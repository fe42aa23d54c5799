// RUN: dit-opt %s --split-input-file --dit-lower-to-plan | FileCheck %s

// A block's beginning: kernel, packed product, attention on views of it.
dit.global @x input : tensor<8x64x192xf32>
dit.global @w parameter : tensor<576x192xf32> packed <columns = 32, vnni = 1>
dit.global @b parameter : tensor<576xf32>
dit.global @y output : tensor<8x64x192xf32>

// CHECK-LABEL: plan.function @block step = "forward" {
// CHECK-NEXT: %[[X:.*]] = plan.global @x 393216
// CHECK-NEXT: %[[H:.*]] = plan.buffer 393216
// CHECK-NEXT: plan.launch @dit_norm_0(%[[X]] -> %[[H]]) blocks = 47
// CHECK-NEXT: %[[W:.*]] = plan.global @w 442368
// CHECK-NEXT: %[[B:.*]] = plan.global @b 2304
// CHECK-NEXT: %[[QKV:.*]] = plan.buffer 1179648
// CHECK-NEXT: plan.gemm %[[H]], %[[W]] -> %[[QKV]] bias %[[B]] : f32 sizes = [512, 576, 192, 1] leading = [192, 0, 576] strides = [0, 0, 0] types = [f32, f32, f32] {packed = #dit.packed<columns = 32, vnni = 1>}
// [head][q, k, v][48]: q, k and v begin 48 elements apart, heads 144.
// CHECK-NEXT: %[[Q:.*]] = plan.slice %[[QKV]][0, 1179264]
// CHECK-NEXT: %[[K:.*]] = plan.slice %[[QKV]][192, 1179264]
// CHECK-NEXT: %[[V:.*]] = plan.slice %[[QKV]][384, 1179264]
// CHECK-NEXT: %[[Y:.*]] = plan.global @y 393216
// CHECK-NEXT: plan.attention %[[Q]], %[[K]], %[[V]] -> %[[Y]] sizes = [8, 4, 64, 64, 48, 48] scale = 1.440000e-01 q_strides = [36864, 576, 144] k_strides = [36864, 576, 144] v_strides = [36864, 576, 144] output_strides = [12288, 192, 48] type = f32
// CHECK-NEXT: }
// 12 KiB of reads and 12 of writes a row: 11 rows are 16 KiB.
// CHECK: plan.kernel @dit_norm_0 "norm" space = [8, 64, 192] rows_per_block = 11 {
// CHECK: dit.layer_norm
// CHECK-NOT: func.func
func.func @block() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<8x64x192xf32>
  %w = dit.read @w : tensor<576x192xf32>
  %b = dit.read @b : tensor<576xf32>
  %h = dit.kernel "norm" space = [8, 64, 192] (%x) : (tensor<8x64x192xf32>) -> tensor<8x64x192xf32> {
  ^bb0(%a: tensor<8x64x192xf32>):
    %n, %mean, %rstd = dit.layer_norm %a eps = 1.0e-6 : tensor<8x64x192xf32>
    dit.yield %n : tensor<8x64x192xf32>
  }
  %qkv = dit.matmul %h, %w bias %b {transpose_rhs} : tensor<8x64x192xf32>, tensor<576x192xf32> bias tensor<576xf32> -> tensor<8x64x576xf32>
  %e = tensor.expand_shape %qkv [[0], [1], [2, 3, 4]] output_shape [8, 64, 4, 3, 48] : tensor<8x64x576xf32> into tensor<8x64x4x3x48xf32>
  %q = tensor.extract_slice %e[0, 0, 0, 0, 0] [8, 64, 4, 1, 48] [1, 1, 1, 1, 1] : tensor<8x64x4x3x48xf32> to tensor<8x64x4x48xf32>
  %k = tensor.extract_slice %e[0, 0, 0, 1, 0] [8, 64, 4, 1, 48] [1, 1, 1, 1, 1] : tensor<8x64x4x3x48xf32> to tensor<8x64x4x48xf32>
  %v = tensor.extract_slice %e[0, 0, 0, 2, 0] [8, 64, 4, 1, 48] [1, 1, 1, 1, 1] : tensor<8x64x4x3x48xf32> to tensor<8x64x4x48xf32>
  %o, %lse = dit.attention %q, %k, %v scale = 0.144 : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>
  %c = tensor.collapse_shape %o [[0], [1], [2, 3]] : tensor<8x64x4x48xf32> into tensor<8x64x192xf32>
  dit.write %c, @y : tensor<8x64x192xf32>
  return
}

// -----

// Equal but for locations and order of making: one kernel. Another body of the
// same types is another.
dit.global @x input : tensor<4x8xf32>
// CHECK-LABEL: plan.function @equal_kernels
// CHECK: plan.launch @dit_double_0
// CHECK: plan.launch @dit_double_0
// CHECK: plan.launch @dit_double_1
// CHECK-COUNT-2: plan.kernel
// CHECK-NOT: plan.kernel
func.func @equal_kernels() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<4x8xf32>
  %0 = dit.kernel "double" space = [4, 8] (%x) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.addf %a, %a : tensor<4x8xf32> loc("here")
    dit.yield %r : tensor<4x8xf32>
  }
  %1 = dit.kernel "double" space = [4, 8] (%0) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.addf %a, %a : tensor<4x8xf32> loc("there")
    dit.yield %r : tensor<4x8xf32>
  }
  %2 = dit.kernel "double" space = [4, 8] (%1) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.mulf %a, %a : tensor<4x8xf32>
    dit.yield %r : tensor<4x8xf32>
  }
  return
}

// -----

// A transposed view of the right side is the other flag; a slice of the rows'
// columns is a leading dimension; batches have strides.
dit.global @a input : tensor<2x8x96xf32>
dit.global @b input : tensor<2x16x64xf32>
// CHECK-LABEL: plan.function @strides
// CHECK: %[[A:.*]] = plan.global @a 6144
// CHECK: %[[L:.*]] = plan.slice %[[A]][128, 6016]
// CHECK: %[[B:.*]] = plan.global @b 8192
// CHECK: plan.gemm %[[L]], %[[B]] -> %{{.*}} sizes = [8, 16, 64, 2] leading = [96, 64, 16] strides = [768, 1024, 128] types = [f32, f32, f32] {transpose_b}
// All rows in one product.
// CHECK: plan.gemm %{{.*}}, %{{.*}} -> %{{.*}} sizes = [16, 16, 64, 1] leading = [96, 64, 16] strides = [0, 0, 0] types = [f32, f32, f32] {transpose_b}
// The tokens of every sample: a batch that shares its right side.
// CHECK: plan.gemm %{{.*}}, %{{.*}} -> %{{.*}} sizes = [4, 16, 64, 2] leading = [96, 64, 16] strides = [768, 0, 64]
func.func @strides() attributes {dit.step = "forward"} {
  %a = dit.read @a : tensor<2x8x96xf32>
  %b = dit.read @b : tensor<2x16x64xf32>
  %s = tensor.extract_slice %a[0, 0, 32] [2, 8, 64] [1, 1, 1] : tensor<2x8x96xf32> to tensor<2x8x64xf32>
  %t = dit.transpose %b permutation = [0, 2, 1] : tensor<2x16x64xf32>
  %0 = dit.matmul %s, %t : tensor<2x8x64xf32>, tensor<2x64x16xf32> -> tensor<2x8x16xf32>
  %w = tensor.extract_slice %b[0, 0, 0] [1, 16, 64] [1, 1, 1] : tensor<2x16x64xf32> to tensor<16x64xf32>
  %1 = dit.matmul %s, %w {transpose_rhs} : tensor<2x8x64xf32>, tensor<16x64xf32> -> tensor<2x8x16xf32>
  %u = tensor.extract_slice %a[0, 4, 32] [2, 4, 64] [1, 1, 1] : tensor<2x8x96xf32> to tensor<2x4x64xf32>
  %2 = dit.matmul %u, %w {transpose_rhs} : tensor<2x4x64xf32>, tensor<16x64xf32> -> tensor<2x4x16xf32>
  return
}

// -----

// The epilogue: a gate for every sample, the residual's memory for the result.
dit.global @mod input : tensor<2x96xf32>
dit.global @w parameter : tensor<16x64xf32> packed <columns = 32, vnni = 1>
// CHECK-LABEL: plan.function @epilogue
// CHECK: plan.launch @dit_residual_0(%{{.*}} -> %[[H:.*]], %{{.*}}) blocks
// CHECK: plan.launch @dit_spread_0(%{{.*}} -> %[[R:.*]]) blocks
// CHECK: %[[G:.*]] = plan.slice %{{.*}}[64, 448]
// CHECK-NEXT: plan.gemm %[[H]], %{{.*}} -> %[[R]] gate %[[G]] : f32 residual %[[R]] activation = gelu_tanh sizes = [16, 16, 64, 1]
// CHECK-SAME: {gate_stride = 96 : i64, packed = #dit.packed<columns = 32, vnni = 1>, residual_stride = 16 : i64, rows_per_gate = 8 : i64}
func.func @epilogue() attributes {dit.step = "forward"} {
  %mod = dit.read @mod : tensor<2x96xf32>
  %w = dit.read @w : tensor<16x64xf32>
  %g = tensor.extract_slice %mod[0, 16] [2, 16] [1, 1] : tensor<2x96xf32> to tensor<2x16xf32>
  %h, %r = dit.kernel "residual" space = [2, 8, 64] (%mod) : (tensor<2x96xf32>) -> (tensor<2x8x64xf32>, tensor<2x8xf32>) {
  ^bb0(%a: tensor<2x96xf32>):
    %s = tensor.extract_slice %a[0, 0] [2, 64] [1, 1] : tensor<2x96xf32> to tensor<2x64xf32>
    %b = dit.broadcast %s dims = [0, 2] : tensor<2x64xf32> -> tensor<2x8x64xf32>
    %m = dit.reduce sum %b dims = [2] : tensor<2x8x64xf32>
    dit.yield %b, %m : tensor<2x8x64xf32>, tensor<2x8xf32>
  }
  %e = dit.kernel "spread" space = [2, 8, 16] (%r) : (tensor<2x8xf32>) -> tensor<2x8x16xf32> {
  ^bb0(%a: tensor<2x8xf32>):
    %b = dit.broadcast %a dims = [0, 1] : tensor<2x8xf32> -> tensor<2x8x16xf32>
    dit.yield %b : tensor<2x8x16xf32>
  }
  %y = dit.matmul %h, %w gate %g residual %e activation = gelu_tanh {transpose_rhs} : tensor<2x8x64xf32>, tensor<16x64xf32> gate tensor<2x16xf32> residual tensor<2x8x16xf32> -> tensor<2x8x16xf32>
  return
}

// -----

// Two query heads share a key head; a mask without batch and head repeats.
dit.global @q input : tensor<2x8x4x16xbf16>
dit.global @k input : tensor<2x6x2x16xbf16>
dit.global @mask input : tensor<1x1x8x6xf32>
// CHECK-LABEL: plan.function @grouped_attention
// CHECK: plan.attention %{{.*}}, %{{.*}}, %{{.*}} -> %{{.*}} mask %{{.*}} [0, 0, 6, 1] log_sum_exp %{{.*}} sizes = [2, 4, 8, 6, 16, 16]
// CHECK-SAME: type = bf16 {key_head_group = 2 : i64}
func.func @grouped_attention() attributes {dit.step = "forward"} {
  %q = dit.read @q : tensor<2x8x4x16xbf16>
  %k = dit.read @k : tensor<2x6x2x16xbf16>
  %m = dit.read @mask : tensor<1x1x8x6xf32>
  %o, %lse = dit.attention %q, %k, %k mask %m scale = 0.25 : tensor<2x8x4x16xbf16>, tensor<2x6x2x16xbf16>, tensor<2x6x2x16xbf16>, tensor<1x1x8x6xf32>
  %s = dit.kernel "use" space = [2, 4, 8] (%lse) : (tensor<2x4x8xf32>) -> tensor<2x4x8xf32> {
  ^bb0(%a: tensor<2x4x8xf32>):
    %r = dit.broadcast %a dims = [0, 1, 2] : tensor<2x4x8xf32> -> tensor<2x4x8xf32>
    dit.yield %r : tensor<2x4x8xf32>
  }
  return
}

// -----

// A constant that an instruction reads is a global; equal ones are one.
// CHECK: dit.global @constant_0 constant : tensor<2x3xf32> pieces
// CHECK-NOT: dit.global
// CHECK-LABEL: plan.function @constants
// CHECK: %[[C:.*]] = plan.global @constant_0 24
// CHECK: plan.gemm %[[C]], %[[C]]
func.func @constants() attributes {dit.step = "forward"} {
  %a = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %b = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %y = dit.matmul %a, %b {transpose_rhs} : tensor<2x3xf32>, tensor<2x3xf32> -> tensor<2x2xf32>
  return
}
