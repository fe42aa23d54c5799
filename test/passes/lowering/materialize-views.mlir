// RUN: dit-opt %s --dit-materialize-views | FileCheck %s
// RUN: dit-opt %s --dit-materialize-views=report --verify-diagnostics -o /dev/null

dit.global @mod input : tensor<8x1152xf32>
dit.global @x input : tensor<8x64x192xf32>
dit.global @q input : tensor<2x4x64x48xf32>
dit.global @out output : tensor<64x8xf32>
dit.global @narrow output : tensor<4x192xf32>

// CHECK-LABEL: func.func @slice_moves_into_kernel
// CHECK: %[[MOD:.*]] = dit.read @mod
// CHECK: dit.kernel "scale" space = [8, 192](%[[MOD]]) : (tensor<8x1152xf32>) -> tensor<8x192xf32> {
// CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<8x1152xf32>):
// CHECK-NEXT: %[[S0:.*]] = tensor.extract_slice %[[A]][0, 192] [8, 192] [1, 1]
// CHECK-NEXT: %[[S1:.*]] = tensor.extract_slice %[[A]][0, 384] [8, 192] [1, 1]
// CHECK-NEXT: arith.mulf %[[S0]], %[[S1]]
func.func @slice_moves_into_kernel() attributes {dit.step = "a"} {
  %mod = dit.read @mod : tensor<8x1152xf32>
  %s0 = tensor.extract_slice %mod[0, 192] [8, 192] [1, 1] : tensor<8x1152xf32> to tensor<8x192xf32>
  %s1 = tensor.extract_slice %mod[0, 384] [8, 192] [1, 1] : tensor<8x1152xf32> to tensor<8x192xf32>
  %y = dit.kernel "scale" space = [8, 192] (%s0, %s1) : (tensor<8x192xf32>, tensor<8x192xf32>) -> tensor<8x192xf32> {
  ^bb0(%a: tensor<8x192xf32>, %b: tensor<8x192xf32>):
    %r = arith.mulf %a, %b : tensor<8x192xf32>
    dit.yield %r : tensor<8x192xf32>
  }
  return
}

// Rows of a tensor, and another shape of it, are contiguous where they lie.
// CHECK-LABEL: func.func @contiguous_stays
// CHECK: tensor.extract_slice %{{.*}}[4, 0] [4, 1152] [1, 1]
// CHECK: %[[E:.*]] = tensor.expand_shape
// CHECK: dit.kernel "copy" space = [4, 6, 192](%[[E]])
func.func @contiguous_stays() attributes {dit.step = "b"} {
  %mod = dit.read @mod : tensor<8x1152xf32>
  %s = tensor.extract_slice %mod[4, 0] [4, 1152] [1, 1] : tensor<8x1152xf32> to tensor<4x1152xf32>
  %e = tensor.expand_shape %s [[0], [1, 2]] output_shape [4, 6, 192] : tensor<4x1152xf32> into tensor<4x6x192xf32>
  %y = dit.kernel "copy" space = [4, 6, 192] (%e) : (tensor<4x6x192xf32>) -> tensor<4x6x192xf32> {
  ^bb0(%a: tensor<4x6x192xf32>):
    dit.yield %a : tensor<4x6x192xf32>
  }
  return
}

// A slice of every row has a leading dimension: no copy.
// CHECK-LABEL: func.func @strided_gemm
// CHECK-NOT: dit.kernel
// CHECK: dit.matmul
func.func @strided_gemm() attributes {dit.step = "c"} {
  %mod = dit.read @mod : tensor<8x1152xf32>
  %s = tensor.extract_slice %mod[0, 192] [8, 192] [1, 1] : tensor<8x1152xf32> to tensor<8x192xf32>
  %y = dit.matmul %s, %s {transpose_rhs} : tensor<8x192xf32>, tensor<8x192xf32> -> tensor<8x8xf32>
  return
}

// Some tokens of every sample are a batch of products; with a residual, which
// no batch has, they are copied together.
// CHECK-LABEL: func.func @tokens_of_every_sample
// CHECK: %[[S:.*]] = tensor.extract_slice
// CHECK: dit.matmul %[[S]], %{{.*}} {transpose_rhs}
// CHECK: %[[C:.*]] = dit.kernel "copy_view" space = [8, 32, 192](%{{.*}}) : (tensor<8x64x192xf32>) -> tensor<8x32x192xf32>
// CHECK: dit.matmul %[[C]], %{{.*}} residual %{{.*}}
func.func @tokens_of_every_sample() attributes {dit.step = "d"} {
  %x = dit.read @x : tensor<8x64x192xf32>
  %w = arith.constant dense<1.0> : tensor<192x192xf32>
  %s = tensor.extract_slice %x[0, 32, 0] [8, 32, 192] [1, 1, 1] : tensor<8x64x192xf32> to tensor<8x32x192xf32>
  %y = dit.matmul %s, %w {transpose_rhs} : tensor<8x32x192xf32>, tensor<192x192xf32> -> tensor<8x32x192xf32>
  // expected-remark @below {{copies its operand 0: a matrix needs a contiguous dimension and one stride for its batch and rows}}
  %z = dit.matmul %s, %w residual %y {transpose_rhs} : tensor<8x32x192xf32>, tensor<192x192xf32> residual tensor<8x32x192xf32> -> tensor<8x32x192xf32>
  return
}

// CHECK-LABEL: func.func @attention_needs_contiguous_heads
// CHECK: dit.kernel "copy_view" space = [2, 64, 48, 4]
// CHECK: dit.attention
func.func @attention_needs_contiguous_heads() attributes {dit.step = "e"} {
  %q = dit.read @q : tensor<2x4x64x48xf32>
  %k = dit.transpose %q permutation = [0, 2, 3, 1] : tensor<2x4x64x48xf32>
  %v = dit.transpose %q permutation = [0, 2, 1, 3] : tensor<2x4x64x48xf32>
  %w = arith.constant dense<0.0> : tensor<2x64x48x4xf32>
  // expected-remark @below {{copies its operand 1: the head dimension must be contiguous}}
  %o, %l = dit.attention %w, %k, %w scale = 1.0 : tensor<2x64x48x4xf32>, tensor<2x64x48x4xf32>, tensor<2x64x48x4xf32>
  %p, %m = dit.attention %v, %v, %v scale = 1.0 : tensor<2x64x4x48xf32>, tensor<2x64x4x48xf32>, tensor<2x64x4x48xf32>
  return
}

// CHECK-LABEL: func.func @write_of_transposed
// CHECK: %[[C:.*]] = dit.kernel "copy_view" space = [64, 8]
// CHECK: dit.write %[[C]], @out
func.func @write_of_transposed() attributes {dit.step = "f"} {
  %x = arith.constant dense<0.0> : tensor<8x64xf32>
  %t = dit.transpose %x permutation = [1, 0] : tensor<8x64xf32>
  // expected-remark @below {{copies its operand 0: a write needs contiguous bytes}}
  dit.write %t, @out : tensor<64x8xf32>
  return
}

// No strides walk a collapse across a gap.
// CHECK-LABEL: func.func @collapse_across_a_gap
// CHECK: %[[E:.*]] = tensor.expand_shape
// CHECK: dit.kernel "copy_view" space = [4, 192](%[[E]]) : (tensor<4x2x12x96xf32>) -> tensor<4x192xf32>
// CHECK: tensor.extract_slice
// CHECK: tensor.collapse_shape
// CHECK: dit.write
func.func @collapse_across_a_gap() attributes {dit.step = "g"} {
  %mod = dit.read @mod : tensor<8x1152xf32>
  %e = tensor.expand_shape %mod [[0, 1], [2, 3]] output_shape [4, 2, 12, 96] : tensor<8x1152xf32> into tensor<4x2x12x96xf32>
  %s = tensor.extract_slice %e[0, 0, 3, 0] [4, 2, 1, 96] [1, 1, 1, 1] : tensor<4x2x12x96xf32> to tensor<4x2x96xf32>
  %c = tensor.collapse_shape %s [[0], [1, 2]] : tensor<4x2x96xf32> into tensor<4x192xf32>
  // expected-remark @below {{copies its operand 0: a write needs contiguous bytes}}
  dit.write %c, @narrow : tensor<4x192xf32>
  return
}

// A kernel's input begins at a multiple of 16 bytes.
// CHECK-LABEL: func.func @odd_begin_moves_into_kernel
// CHECK: %[[X:.*]] = dit.read @table
// CHECK: dit.kernel "copy" space = [4](%[[X]]) : (tensor<16xf32>)
// CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<16xf32>):
// CHECK-NEXT: tensor.extract_slice %[[A]][2] [4] [1]
// CHECK: %[[E:.*]] = tensor.extract_slice %[[X]][4] [4] [1]
// CHECK-NEXT: dit.kernel "copy" space = [4](%[[E]]) : (tensor<4xf32>)
dit.global @table input : tensor<16xf32>
func.func @odd_begin_moves_into_kernel() attributes {dit.step = "odd"} {
  %x = dit.read @table : tensor<16xf32>
  %odd = tensor.extract_slice %x[2] [4] [1] : tensor<16xf32> to tensor<4xf32>
  %y = dit.kernel "copy" space = [4] (%odd) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>):
    dit.yield %a : tensor<4xf32>
  }
  %even = tensor.extract_slice %x[4] [4] [1] : tensor<16xf32> to tensor<4xf32>
  %z = dit.kernel "copy" space = [4] (%even) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>):
    dit.yield %a : tensor<4xf32>
  }
  return
}
