// RUN: dit-opt %s --dit-form-kernels --dit-verify-fused | FileCheck %s

// Slices of one projection are strides to attention; its result is what the
// next GEMM reads.
// CHECK-LABEL: @strided_operands
func.func @strided_operands(%qkv: tensor<2x16x576xf32>, %w: tensor<192x192xf32>) -> tensor<2x16x192xf32> {
  // CHECK-NOT:  dit.kernel
  // CHECK:      tensor.expand_shape
  // CHECK-NEXT: tensor.extract_slice
  // CHECK-NEXT: tensor.extract_slice
  // CHECK-NEXT: tensor.extract_slice
  // CHECK-NEXT: dit.attention
  // CHECK-NEXT: tensor.collapse_shape
  // CHECK-NEXT: dit.matmul
  %heads = tensor.expand_shape %qkv [[0], [1], [2, 3]] output_shape [2, 16, 4, 144] : tensor<2x16x576xf32> into tensor<2x16x4x144xf32>
  %q = tensor.extract_slice %heads[0, 0, 0, 0] [2, 16, 4, 48] [1, 1, 1, 1] : tensor<2x16x4x144xf32> to tensor<2x16x4x48xf32>
  %k = tensor.extract_slice %heads[0, 0, 0, 48] [2, 16, 4, 48] [1, 1, 1, 1] : tensor<2x16x4x144xf32> to tensor<2x16x4x48xf32>
  %v = tensor.extract_slice %heads[0, 0, 0, 96] [2, 16, 4, 48] [1, 1, 1, 1] : tensor<2x16x4x144xf32> to tensor<2x16x4x48xf32>
  %o, %lse = dit.attention %q, %k, %v scale = 0.144 : tensor<2x16x4x48xf32>, tensor<2x16x4x48xf32>, tensor<2x16x4x48xf32>
  %tokens = tensor.collapse_shape %o [[0], [1], [2, 3]] : tensor<2x16x4x48xf32> into tensor<2x16x192xf32>
  %p = dit.matmul %tokens, %w {transpose_rhs} : tensor<2x16x192xf32>, tensor<192x192xf32> -> tensor<2x16x192xf32>
  return %p : tensor<2x16x192xf32>
}

// The doubled batch and its patches are one kernel, which stores them in the
// order in which the GEMM reads.
// CHECK-LABEL: @patchify
func.func @patchify(%x: tensor<2x4x16x16xf32>, %w: tensor<64x16xf32>) -> tensor<4x64x64xf32> {
  // CHECK-NEXT: %[[K:.*]] = dit.kernel "concat_transpose" space = [4, 64, 16](%{{.*}}) : (tensor<2x4x16x16xf32>) -> tensor<4x64x16xf32>
  // CHECK:      dit.matmul %[[K]]
  %both = tensor.concat dim(0) %x, %x : (tensor<2x4x16x16xf32>, tensor<2x4x16x16xf32>) -> tensor<4x4x16x16xf32>
  %e = tensor.expand_shape %both [[0], [1], [2, 3], [4, 5]] output_shape [4, 4, 8, 2, 8, 2] : tensor<4x4x16x16xf32> into tensor<4x4x8x2x8x2xf32>
  %t = dit.transpose %e permutation = [0, 2, 4, 1, 3, 5] : tensor<4x4x8x2x8x2xf32>
  %patches = tensor.collapse_shape %t [[0], [1, 2], [3, 4, 5]] : tensor<4x8x8x4x2x2xf32> into tensor<4x64x16xf32>
  %y = dit.matmul %patches, %w {transpose_rhs} : tensor<4x64x16xf32>, tensor<64x16xf32> -> tensor<4x64x64xf32>
  return %y : tensor<4x64x64xf32>
}

// Text and picture tokens are brought together once for each of q, k, v; a
// norm before that is inside.
// CHECK-LABEL: @joint_attention
func.func @joint_attention(%qt: tensor<2x8x4x48xf32>, %qi: tensor<2x16x4x48xf32>, %kv: tensor<2x24x4x48xf32>) -> tensor<2x24x4x48xf32> {
  // CHECK-NEXT: %[[Q:.*]] = dit.kernel "rms_norm" space = [2, 24, 4, 48]
  // CHECK:      dit.attention %[[Q]]
  // CHECK-NOT:  dit.kernel
  // CHECK:      return
  %nt, %rt = dit.rms_norm %qt eps = 1.0e-6 : tensor<2x8x4x48xf32>
  %ni, %ri = dit.rms_norm %qi eps = 1.0e-6 : tensor<2x16x4x48xf32>
  %q = tensor.concat dim(1) %nt, %ni : (tensor<2x8x4x48xf32>, tensor<2x16x4x48xf32>) -> tensor<2x24x4x48xf32>
  %o, %lse = dit.attention %q, %kv, %kv scale = 0.144 : tensor<2x24x4x48xf32>, tensor<2x24x4x48xf32>, tensor<2x24x4x48xf32>
  return %o : tensor<2x24x4x48xf32>
}

// The GEMM reads the picture's rows of each sample where they are.
// CHECK-LABEL: @rows_of_a_batch
func.func @rows_of_a_batch(%x: tensor<2x24x192xf32>, %w: tensor<192x192xf32>) -> tensor<2x16x192xf32> {
  // CHECK-NOT: dit.kernel
  // CHECK:     %[[V:.*]] = tensor.extract_slice
  // CHECK-NEXT: dit.matmul %[[V]]
  %picture = tensor.extract_slice %x[0, 8, 0] [2, 16, 192] [1, 1, 1] : tensor<2x24x192xf32> to tensor<2x16x192xf32>
  %y = dit.matmul %picture, %w {transpose_rhs} : tensor<2x16x192xf32>, tensor<192x192xf32> -> tensor<2x16x192xf32>
  return %y : tensor<2x16x192xf32>
}

// A return and a write need contiguous bytes.
// CHECK-LABEL: @gap_is_copied
func.func @gap_is_copied(%x: tensor<2x24x192xf32>) -> tensor<2x16x192xf32> {
  // CHECK-NEXT: dit.kernel "copy" space = [2, 16, 192]
  // CHECK-NEXT: ^bb0
  // CHECK-NEXT: tensor.extract_slice
  %picture = tensor.extract_slice %x[0, 8, 0] [2, 16, 192] [1, 1, 1] : tensor<2x24x192xf32> to tensor<2x16x192xf32>
  return %picture : tensor<2x16x192xf32>
}

// A view with a user in a kernel and one outside is in both places.
// CHECK-LABEL: @view_inside_and_outside
func.func @view_inside_and_outside(%mod: tensor<8x384xf32>, %x: tensor<8x192xf32>, %w: tensor<192x192xf32>) -> (tensor<8x192xf32>, tensor<8x192xf32>) {
  // CHECK-SAME:  %[[MOD:.*]]: tensor<8x384xf32>, %[[X:.*]]: tensor<8x192xf32>
  // CHECK-NEXT: %[[V:.*]] = tensor.extract_slice %[[MOD]]
  // CHECK-NEXT: dit.matmul %[[V]]
  // CHECK-NEXT: dit.kernel "mul" space = [8, 192](%[[MOD]], %[[X]])
  // CHECK:      tensor.extract_slice
  %half = tensor.extract_slice %mod[0, 192] [8, 192] [1, 1] : tensor<8x384xf32> to tensor<8x192xf32>
  %y = dit.matmul %half, %w {transpose_rhs} : tensor<8x192xf32>, tensor<192x192xf32> -> tensor<8x192xf32>
  %z = arith.mulf %half, %x : tensor<8x192xf32>
  return %y, %z : tensor<8x192xf32>, tensor<8x192xf32>
}

// Constants are inside kernels, even where one is all there is to write.
// CHECK-LABEL: @constant_result
func.func @constant_result() -> tensor<4xi64> {
  // CHECK-NEXT: dit.kernel "fill" space = [4]() : () -> tensor<4xi64>
  // CHECK-NEXT:   arith.constant
  %c = arith.constant dense<7> : tensor<4xi64>
  return %c : tensor<4xi64>
}

// What one attention reads is made by one kernel where it has one space.
// CHECK-LABEL: @operands_of_one_attention
func.func @operands_of_one_attention(%q: tensor<2x16x4x48xf32>, %k: tensor<2x16x4x48xf32>, %v: tensor<2x16x4x48xf32>) -> tensor<2x16x4x48xf32> {
  // CHECK-NEXT: %[[K:.*]]:2 = dit.kernel "rms_norm" space = [2, 16, 4, 48](%{{.*}}, %{{.*}})
  // CHECK:      dit.attention %[[K]]#0, %[[K]]#1, %{{.*}} scale
  // CHECK-NOT:  dit.kernel
  // CHECK:      return
  %nq, %rq = dit.rms_norm %q eps = 1.0e-6 : tensor<2x16x4x48xf32>
  %nk, %rk = dit.rms_norm %k eps = 1.0e-6 : tensor<2x16x4x48xf32>
  %o, %lse = dit.attention %nq, %nk, %v scale = 0.144 : tensor<2x16x4x48xf32>, tensor<2x16x4x48xf32>, tensor<2x16x4x48xf32>
  return %o : tensor<2x16x4x48xf32>
}
