// RUN: dit-opt %s --dit-fuse-projections=report --split-input-file --verify-diagnostics | FileCheck %s

// CHECK: dit.global @attn.kv.weight parameter : tensor<32x32xf32> pieces [
// CHECK-SAME: name = "k", {{.*}} target = [2, 2, 8, 32], offset = [0, 0, 0, 0]
// CHECK-SAME: name = "v", {{.*}} target = [2, 2, 8, 32], offset = [0, 1, 0, 0]
dit.global @attn.to_k.weight parameter : tensor<16x32xf32>
    pieces [#dit.piece<name = "k", file = tensor<16x32xf32>, view = [16, 32], permutation = [0, 1], target = [16, 32], offset = [0, 0], source = unit>]
dit.global @attn.to_v.weight parameter : tensor<16x32xf32>
    pieces [#dit.piece<name = "v", file = tensor<16x32xf32>, view = [16, 32], permutation = [0, 1], target = [16, 32], offset = [0, 0], source = unit>]

// CHECK-LABEL: @cross_attention
// CHECK-SAME:  %[[Q:.*]]: tensor<2x5x2x8xf32>
func.func @cross_attention(%q: tensor<2x5x2x8xf32>, %y: tensor<2x3x32xf32>) -> tensor<2x5x2x8xf32> {
  // CHECK: %[[H:.*]] = tensor.expand_shape %{{.*}} into tensor<2x3x2x16xf32>
  // CHECK: %[[K:.*]] = tensor.extract_slice %[[H]][0, 0, 0, 0] [2, 3, 2, 8]
  // CHECK: %[[V:.*]] = tensor.extract_slice %[[H]][0, 0, 0, 8] [2, 3, 2, 8]
  // CHECK: dit.attention %[[Q]], %[[K]], %[[V]]
  %wk = dit.read @attn.to_k.weight : tensor<16x32xf32>
  %wv = dit.read @attn.to_v.weight : tensor<16x32xf32>
  %k = dit.matmul %y, %wk {transpose_rhs} : tensor<2x3x32xf32>, tensor<16x32xf32> -> tensor<2x3x16xf32>
  %v = dit.matmul %y, %wv {transpose_rhs} : tensor<2x3x32xf32>, tensor<16x32xf32> -> tensor<2x3x16xf32>
  %kh = tensor.expand_shape %k [[0], [1], [2, 3]] output_shape [2, 3, 2, 8] : tensor<2x3x16xf32> into tensor<2x3x2x8xf32>
  %vh = tensor.expand_shape %v [[0], [1], [2, 3]] output_shape [2, 3, 2, 8] : tensor<2x3x16xf32> into tensor<2x3x2x8xf32>
  // expected-remark @below {{fused K and V into one projection}}
  %o, %lse = dit.attention %q, %kh, %vh scale = 0.5 : tensor<2x5x2x8xf32>, tensor<2x3x2x8xf32>, tensor<2x3x2x8xf32>
  return %o : tensor<2x5x2x8xf32>
}

// -----

dit.global @attn.to_k.weight parameter : tensor<16x32xf32>
    pieces [#dit.piece<name = "k", file = tensor<16x32xf32>, view = [16, 32], permutation = [0, 1], target = [16, 32], offset = [0, 0], source = unit>]
dit.global @attn.to_v.weight parameter : tensor<16x32xf32>
    pieces [#dit.piece<name = "v", file = tensor<16x32xf32>, view = [16, 32], permutation = [0, 1], target = [16, 32], offset = [0, 0], source = unit>]

// CHECK-LABEL: @key_has_another_use
func.func @key_has_another_use(%q: tensor<2x5x2x8xf32>, %y: tensor<2x3x32xf32>) -> (tensor<2x5x2x8xf32>, tensor<2x3x16xf32>) {
  // CHECK-NOT: tensor.extract_slice
  %wk = dit.read @attn.to_k.weight : tensor<16x32xf32>
  %wv = dit.read @attn.to_v.weight : tensor<16x32xf32>
  %k = dit.matmul %y, %wk {transpose_rhs} : tensor<2x3x32xf32>, tensor<16x32xf32> -> tensor<2x3x16xf32>
  %v = dit.matmul %y, %wv {transpose_rhs} : tensor<2x3x32xf32>, tensor<16x32xf32> -> tensor<2x3x16xf32>
  %kh = tensor.expand_shape %k [[0], [1], [2, 3]] output_shape [2, 3, 2, 8] : tensor<2x3x16xf32> into tensor<2x3x2x8xf32>
  %vh = tensor.expand_shape %v [[0], [1], [2, 3]] output_shape [2, 3, 2, 8] : tensor<2x3x16xf32> into tensor<2x3x2x8xf32>
  // expected-remark @below {{projections not fused: a projection has another use}}
  %o, %lse = dit.attention %q, %kh, %vh scale = 0.5 : tensor<2x5x2x8xf32>, tensor<2x3x2x8xf32>, tensor<2x3x2x8xf32>
  return %o, %k : tensor<2x5x2x8xf32>, tensor<2x3x16xf32>
}

// -----

// CHECK-LABEL: @not_projected
func.func @not_projected(%q: tensor<2x5x2x8xf32>) -> tensor<2x5x2x8xf32> {
  // expected-remark @below {{projections not fused: K or V is no view of a linear layer's result}}
  %o, %lse = dit.attention %q, %q, %q scale = 0.5 : tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>
  return %o : tensor<2x5x2x8xf32>
}

// -----

// Q from one product, K and V from another of the same tensor: those two are
// laid out by head.
// CHECK: dit.global @kv.weight parameter : tensor<32x32xf32> pieces [
// CHECK-SAME: view = [2, 2, 8, 32], permutation = [1, 0, 2, 3], target = [2, 2, 8, 32]
dit.global @q.weight parameter : tensor<16x32xf32>
    pieces [#dit.piece<name = "q", file = tensor<16x32xf32>, view = [16, 32], permutation = [0, 1], target = [16, 32], offset = [0, 0], source = unit>]
dit.global @kv.weight parameter : tensor<32x32xf32>
    pieces [#dit.piece<name = "kv", file = tensor<32x32xf32>, view = [32, 32], permutation = [0, 1], target = [32, 32], offset = [0, 0], source = unit>]

// CHECK-LABEL: @two_projections
func.func @two_projections(%x: tensor<2x5x32xf32>) -> tensor<2x5x2x8xf32> {
  // CHECK: %[[H:.*]] = tensor.expand_shape %{{.*}} into tensor<2x5x2x16xf32>
  // CHECK: %[[K:.*]] = tensor.extract_slice %[[H]][0, 0, 0, 0] [2, 5, 2, 8]
  // CHECK: %[[V:.*]] = tensor.extract_slice %[[H]][0, 0, 0, 8] [2, 5, 2, 8]
  // CHECK: dit.attention %{{.*}}, %[[K]], %[[V]]
  %wq = dit.read @q.weight : tensor<16x32xf32>
  %wkv = dit.read @kv.weight : tensor<32x32xf32>
  %q = dit.matmul %x, %wq {transpose_rhs} : tensor<2x5x32xf32>, tensor<16x32xf32> -> tensor<2x5x16xf32>
  %kv = dit.matmul %x, %wkv {transpose_rhs} : tensor<2x5x32xf32>, tensor<32x32xf32> -> tensor<2x5x32xf32>
  %qh = tensor.expand_shape %q [[0], [1], [2, 3]] output_shape [2, 5, 2, 8] : tensor<2x5x16xf32> into tensor<2x5x2x8xf32>
  %kvh = tensor.expand_shape %kv [[0], [1], [2, 3]] output_shape [2, 5, 4, 8] : tensor<2x5x32xf32> into tensor<2x5x4x8xf32>
  %k = tensor.extract_slice %kvh[0, 0, 0, 0] [2, 5, 2, 8] [1, 1, 1, 1] : tensor<2x5x4x8xf32> to tensor<2x5x2x8xf32>
  %v = tensor.extract_slice %kvh[0, 0, 2, 0] [2, 5, 2, 8] [1, 1, 1, 1] : tensor<2x5x4x8xf32> to tensor<2x5x2x8xf32>
  // expected-remark @below {{fused K and V into one projection}}
  %o, %lse = dit.attention %qh, %k, %v scale = 0.5 : tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>
  return %o : tensor<2x5x2x8xf32>
}
