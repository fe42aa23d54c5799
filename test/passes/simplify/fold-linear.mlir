// RUN: dit-opt %s --dit-fold-linear --dit-normalize-views | FileCheck %s

!x = tensor<2x64x192xf32>
!h = tensor<2x64x768xf32>

// CHECK-LABEL: @bias_on_the_left
// CHECK-SAME:  %[[X:.*]]: tensor<2x64x192xf32>, %[[W:.*]]: tensor<192x768xf32>, %[[B:.*]]: tensor<768xf32>
func.func @bias_on_the_left(%x: !x, %w: tensor<192x768xf32>, %b: tensor<768xf32>) -> !h {
  // CHECK: %[[T:.*]] = dit.transpose %[[W]] permutation = [1, 0]
  // CHECK: %[[Y:.*]] = dit.matmul %[[X]], %[[T]] bias %[[B]] {transpose_rhs} : tensor<2x64x192xf32>
  // CHECK: return %[[Y]]
  %0 = dit.matmul %x, %w : !x, tensor<192x768xf32> -> !h
  %1 = dit.broadcast %b dims = [2] : tensor<768xf32> -> !h
  %2 = arith.addf %1, %0 : !h
  return %2 : !h
}

// ONNX Runtime: Reshape, Gemm, Reshape.
// CHECK-LABEL: @flattened_tokens
// CHECK-SAME:  %[[X:.*]]: tensor<2x64x192xf32>, %[[W:.*]]: tensor<768x192xf32>, %[[B:.*]]: tensor<768xf32>
func.func @flattened_tokens(%x: !x, %w: tensor<768x192xf32>, %b: tensor<768xf32>) -> !h {
  // CHECK-NEXT: %[[Y:.*]] = dit.matmul %[[X]], %[[W]] bias %[[B]] {transpose_rhs} : {{.*}} -> tensor<2x64x768xf32>
  // CHECK-NEXT: return %[[Y]]
  %0 = tensor.collapse_shape %x [[0, 1], [2]] : !x into tensor<128x192xf32>
  %1 = dit.matmul %0, %w {transpose_rhs} : tensor<128x192xf32>, tensor<768x192xf32> -> tensor<128x768xf32>
  %2 = dit.broadcast %b dims = [1] : tensor<768xf32> -> tensor<128x768xf32>
  %3 = arith.addf %1, %2 : tensor<128x768xf32>
  %4 = tensor.expand_shape %3 [[0, 1], [2]] output_shape [2, 64, 768] : tensor<128x768xf32> into !h
  return %4 : !h
}

// CHECK-LABEL: @two_dimensions_of_tokens
func.func @two_dimensions_of_tokens(%x: tensor<2x8x8x16xf32>, %w: tensor<192x16xf32>) -> tensor<2x8x8x192xf32> {
  // CHECK: dit.matmul %{{.*}} : tensor<2x64x16xf32>, tensor<192x16xf32> -> tensor<2x64x192xf32>
  %0 = dit.matmul %x, %w {transpose_rhs} : tensor<2x8x8x16xf32>, tensor<192x16xf32> -> tensor<2x8x8x192xf32>
  return %0 : tensor<2x8x8x192xf32>
}

// A bias for each row is none.
// CHECK-LABEL: @vector_of_rows
func.func @vector_of_rows(%x: tensor<192x64xf32>, %w: tensor<192x64xf32>, %b: tensor<192xf32>) -> tensor<192x192xf32> {
  // CHECK: dit.matmul %{{[^b]*}} {transpose_rhs}
  // CHECK: arith.addf
  %0 = dit.matmul %x, %w {transpose_rhs} : tensor<192x64xf32>, tensor<192x64xf32> -> tensor<192x192xf32>
  %1 = dit.broadcast %b dims = [0] : tensor<192xf32> -> tensor<192x192xf32>
  %2 = arith.addf %0, %1 : tensor<192x192xf32>
  return %2 : tensor<192x192xf32>
}

// The product without the bias is used too.
// CHECK-LABEL: @product_with_two_users
func.func @product_with_two_users(%x: tensor<2x64xf32>, %w: tensor<8x64xf32>, %b: tensor<8xf32>) -> (tensor<2x8xf32>, tensor<2x8xf32>) {
  // CHECK: dit.matmul %{{[^b]*}} {transpose_rhs}
  // CHECK: arith.addf
  %0 = dit.matmul %x, %w {transpose_rhs} : tensor<2x64xf32>, tensor<8x64xf32> -> tensor<2x8xf32>
  %1 = dit.broadcast %b dims = [1] : tensor<8xf32> -> tensor<2x8xf32>
  %2 = arith.addf %0, %1 : tensor<2x8xf32>
  return %0, %2 : tensor<2x8xf32>, tensor<2x8xf32>
}

// Attention's products are not linear layers.
// CHECK-LABEL: @batched_product
func.func @batched_product(%q: tensor<2x4x64x48xf32>, %k: tensor<2x4x48x64xf32>) -> tensor<2x4x64x64xf32> {
  // CHECK-NEXT: dit.matmul %arg0, %arg1 : tensor<2x4x64x48xf32>
  %0 = dit.matmul %q, %k : tensor<2x4x64x48xf32>, tensor<2x4x48x64xf32> -> tensor<2x4x64x64xf32>
  return %0 : tensor<2x4x64x64xf32>
}

// onnxsim: the MLP between two Gemms stays flattened.
// CHECK-LABEL: @flattened_through_an_activation
func.func @flattened_through_an_activation(%x: !x, %w: tensor<768x192xf32>, %u: tensor<192x768xf32>) -> !x {
  // CHECK-NEXT: %[[H:.*]] = dit.matmul %arg0, %arg1 {transpose_rhs} : {{.*}} -> tensor<2x64x768xf32>
  // CHECK-NEXT: %[[G:.*]] = dit.gelu %[[H]] approximate = tanh : tensor<2x64x768xf32>
  // CHECK-NEXT: %[[Y:.*]] = dit.matmul %[[G]], %arg2 {transpose_rhs} : {{.*}} -> tensor<2x64x192xf32>
  // CHECK-NEXT: return %[[Y]]
  %0 = tensor.collapse_shape %x [[0, 1], [2]] : !x into tensor<128x192xf32>
  %1 = dit.matmul %0, %w {transpose_rhs} : tensor<128x192xf32>, tensor<768x192xf32> -> tensor<128x768xf32>
  %2 = dit.gelu %1 approximate = tanh : tensor<128x768xf32>
  %3 = dit.matmul %2, %u {transpose_rhs} : tensor<128x768xf32>, tensor<192x768xf32> -> tensor<128x192xf32>
  %4 = tensor.expand_shape %3 [[0, 1], [2]] output_shape [2, 64, 192] : tensor<128x192xf32> into !x
  return %4 : !x
}

// ONNX Runtime: GELU's ½ is the next product's alpha.
// CHECK-LABEL: @scale_on_both_sides
func.func @scale_on_both_sides(%x: !x, %w: tensor<768x192xf32>, %b: tensor<768xf32>) -> !h {
  // CHECK-NEXT: %[[Y:.*]] = dit.matmul %arg0, %arg1 bias %arg2 {transpose_rhs}
  // CHECK-NEXT: return %[[Y]]
  %two = arith.constant dense<2.0> : !x
  %half = arith.constant dense<0.5> : !h
  %0 = arith.mulf %x, %two : !x
  %1 = dit.matmul %0, %w {transpose_rhs} : !x, tensor<768x192xf32> -> !h
  %2 = arith.mulf %1, %half : !h
  %3 = dit.broadcast %b dims = [2] : tensor<768xf32> -> !h
  %4 = arith.addf %3, %2 : !h
  return %4 : !h
}
