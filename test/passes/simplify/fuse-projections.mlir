// RUN: dit-opt %s --dit-fuse-projections --canonicalize --dit-remove-dead-globals | FileCheck %s

// Three weights become the rows [head][q, k, v][d] of one.
// CHECK: dit.global @attn.qkv.weight parameter : tensor<48x32xf32> pieces [
// CHECK-SAME: name = "attn.to_q.weight", {{.*}} view = [1, 2, 8, 32], permutation = [1, 0, 2, 3], target = [2, 3, 8, 32], offset = [0, 0, 0, 0]
// CHECK-SAME: name = "attn.to_k.weight", {{.*}} target = [2, 3, 8, 32], offset = [0, 1, 0, 0]
// CHECK-SAME: name = "attn.to_v.weight", {{.*}} target = [2, 3, 8, 32], offset = [0, 2, 0, 0]
dit.global @attn.to_q.weight parameter : tensor<16x32xf32>
    pieces [#dit.piece<name = "attn.to_q.weight", file = tensor<16x32xf32>, view = [16, 32], permutation = [0, 1], target = [16, 32], offset = [0, 0], source = unit>]
dit.global @attn.to_k.weight parameter : tensor<16x32xf32>
    pieces [#dit.piece<name = "attn.to_k.weight", file = tensor<16x32xf32>, view = [16, 32], permutation = [0, 1], target = [16, 32], offset = [0, 0], source = unit>]
// The file's tensor is [in, out] here.
dit.global @attn.to_v.weight parameter : tensor<16x32xf32>
    pieces [#dit.piece<name = "attn.to_v.weight", file = tensor<32x16xf32>, view = [32, 16], permutation = [1, 0], target = [16, 32], offset = [0, 0], source = unit>]
// One weight of rows [q, k, v][head][d] is permuted.
// CHECK: dit.global @stacked.weight parameter : tensor<48x32xf32> pieces [
// CHECK-SAME: view = [3, 2, 8, 32], permutation = [1, 0, 2, 3], target = [2, 3, 8, 32], offset = [0, 0, 0, 0]
dit.global @stacked.weight parameter : tensor<48x32xf32>
    pieces [#dit.piece<name = "qkv.weight", file = tensor<48x32xf32>, view = [48, 32], permutation = [0, 1], target = [48, 32], offset = [0, 0], source = unit>]
// CHECK: dit.global @stacked.bias parameter : tensor<48xf32> pieces [
// CHECK-SAME: view = [3, 2, 8], permutation = [1, 0, 2], target = [2, 3, 8], offset = [0, 0, 0]
dit.global @stacked.bias parameter : tensor<48xf32>
    pieces [#dit.piece<name = "qkv.bias", file = tensor<48xf32>, view = [48], permutation = [0], target = [48], offset = [0], source = unit>]

// CHECK-LABEL: @three_projections
// CHECK-SAME:  %[[X:.*]]: tensor<2x5x32xf32>
func.func @three_projections(%x: tensor<2x5x32xf32>) -> tensor<2x5x2x8xf32> {
  // CHECK: %[[W:.*]] = dit.read @attn.qkv.weight
  // CHECK: %[[P:.*]] = dit.matmul %[[X]], %[[W]] {transpose_rhs} : {{.*}} -> tensor<2x5x48xf32>
  // CHECK: %[[H:.*]] = tensor.expand_shape %[[P]] {{.*}} into tensor<2x5x2x24xf32>
  // CHECK: %[[Q:.*]] = tensor.extract_slice %[[H]][0, 0, 0, 0] [2, 5, 2, 8]
  // CHECK: %[[K:.*]] = tensor.extract_slice %[[H]][0, 0, 0, 8] [2, 5, 2, 8]
  // CHECK: %[[V:.*]] = tensor.extract_slice %[[H]][0, 0, 0, 16] [2, 5, 2, 8]
  // CHECK: dit.attention %[[Q]], %[[K]], %[[V]]
  %wq = dit.read @attn.to_q.weight : tensor<16x32xf32>
  %wk = dit.read @attn.to_k.weight : tensor<16x32xf32>
  %wv = dit.read @attn.to_v.weight : tensor<16x32xf32>
  %q = dit.matmul %x, %wq {transpose_rhs} : tensor<2x5x32xf32>, tensor<16x32xf32> -> tensor<2x5x16xf32>
  %k = dit.matmul %x, %wk {transpose_rhs} : tensor<2x5x32xf32>, tensor<16x32xf32> -> tensor<2x5x16xf32>
  %v = dit.matmul %x, %wv {transpose_rhs} : tensor<2x5x32xf32>, tensor<16x32xf32> -> tensor<2x5x16xf32>
  %qh = tensor.expand_shape %q [[0], [1], [2, 3]] output_shape [2, 5, 2, 8] : tensor<2x5x16xf32> into tensor<2x5x2x8xf32>
  %kh = tensor.expand_shape %k [[0], [1], [2, 3]] output_shape [2, 5, 2, 8] : tensor<2x5x16xf32> into tensor<2x5x2x8xf32>
  %vh = tensor.expand_shape %v [[0], [1], [2, 3]] output_shape [2, 5, 2, 8] : tensor<2x5x16xf32> into tensor<2x5x2x8xf32>
  %o, %lse = dit.attention %qh, %kh, %vh scale = 0.5 : tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>
  return %o : tensor<2x5x2x8xf32>
}

// CHECK-LABEL: @one_projection
func.func @one_projection(%x: tensor<2x5x32xf32>) -> tensor<2x5x2x8xf32> {
  // CHECK: %[[P:.*]] = dit.matmul %{{.*}} -> tensor<2x5x48xf32>
  // CHECK: %[[H:.*]] = tensor.expand_shape %[[P]] {{.*}} into tensor<2x5x2x24xf32>
  // CHECK: tensor.extract_slice %[[H]][0, 0, 0, 16] [2, 5, 2, 8]
  %w = dit.read @stacked.weight : tensor<48x32xf32>
  %b = dit.read @stacked.bias : tensor<48xf32>
  %p = dit.matmul %x, %w bias %b {transpose_rhs} : tensor<2x5x32xf32>, tensor<48x32xf32> bias tensor<48xf32> -> tensor<2x5x48xf32>
  %h = tensor.expand_shape %p [[0], [1], [2, 3]] output_shape [2, 5, 6, 8] : tensor<2x5x48xf32> into tensor<2x5x6x8xf32>
  %q = tensor.extract_slice %h[0, 0, 0, 0] [2, 5, 2, 8] [1, 1, 1, 1] : tensor<2x5x6x8xf32> to tensor<2x5x2x8xf32>
  %k = tensor.extract_slice %h[0, 0, 2, 0] [2, 5, 2, 8] [1, 1, 1, 1] : tensor<2x5x6x8xf32> to tensor<2x5x2x8xf32>
  %v = tensor.extract_slice %h[0, 0, 4, 0] [2, 5, 2, 8] [1, 1, 1, 1] : tensor<2x5x6x8xf32> to tensor<2x5x2x8xf32>
  %o, %lse = dit.attention %q, %k, %v scale = 0.5 : tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>
  return %o : tensor<2x5x2x8xf32>
}
