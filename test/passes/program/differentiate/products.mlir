// RUN: dit-opt %s --dit-differentiate | FileCheck %s
// Matmul, attention and activations: G is the cotangent of the result.

// A Linear: dX = G W, dW = Gᵀ X over all rows, db = column sums.
// CHECK-LABEL: @linear(
func.func @linear(%x: tensor<2x3x4xf32>, %w: tensor<5x4xf32>, %b: tensor<5xf32>, %c: tensor<2x3x5xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0, 1, 2>} {
  %y = dit.matmul %x, %w bias %b {transpose_rhs} : tensor<2x3x4xf32>, tensor<5x4xf32> bias tensor<5xf32> -> tensor<2x3x5xf32>
  %z = arith.mulf %y, %c : tensor<2x3x5xf32>
  %l = dit.reduce sum %z dims = [0, 1, 2] : tensor<2x3x5xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[X:.*]] = dit.matmul %[[G]], %arg1 : tensor<2x3x5xf32>, tensor<5x4xf32> -> tensor<2x3x4xf32>
  // CHECK-NEXT: %[[ROWS:.*]] = tensor.collapse_shape %arg0 {{\[\[}}0, 1], [2]]
  // CHECK-NEXT: %[[GROWS:.*]] = tensor.collapse_shape %[[G]] {{\[\[}}0, 1], [2]]
  // CHECK-NEXT: %[[W:.*]] = dit.matmul %[[GROWS]], %[[ROWS]] {transpose_lhs} : tensor<6x5xf32>, tensor<6x4xf32> -> tensor<5x4xf32>
  // CHECK-NEXT: %[[B:.*]] = dit.reduce sum %[[G]] dims = [0, 1]
  // CHECK-NEXT: return %{{.*}}, %[[X]], %[[W]], %[[B]]
  return %l : tensor<f32>
}

// Only the weight: nothing is computed for x.
// CHECK-LABEL: @weight_alone(
func.func @weight_alone(%x: tensor<3x4xf32>, %w: tensor<4x5xf32>, %c: tensor<3x5xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 1>} {
  %y = dit.matmul %x, %w : tensor<3x4xf32>, tensor<4x5xf32> -> tensor<3x5xf32>
  %z = arith.mulf %y, %c : tensor<3x5xf32>
  %l = dit.reduce sum %z dims = [0, 1] : tensor<3x5xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[W:.*]] = dit.matmul %arg0, %[[G]] {transpose_lhs} : tensor<3x4xf32>, tensor<3x5xf32> -> tensor<4x5xf32>
  // CHECK-NEXT: return %{{.*}}, %[[W]]
  return %l : tensor<f32>
}

// CHECK-LABEL: @batched(
func.func @batched(%x: tensor<2x3x4xf32>, %y: tensor<2x5x4xf32>, %c: tensor<2x3x5xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0, 1>} {
  %p = dit.matmul %x, %y {transpose_rhs} : tensor<2x3x4xf32>, tensor<2x5x4xf32> -> tensor<2x3x5xf32>
  %z = arith.mulf %p, %c : tensor<2x3x5xf32>
  %l = dit.reduce sum %z dims = [0, 1, 2] : tensor<2x3x5xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[X:.*]] = dit.matmul %[[G]], %arg1 : tensor<2x3x5xf32>, tensor<2x5x4xf32> -> tensor<2x3x4xf32>
  // CHECK-NEXT: %[[Y:.*]] = dit.matmul %[[G]], %arg0 {transpose_lhs} : tensor<2x3x5xf32>, tensor<2x3x4xf32> -> tensor<2x5x4xf32>
  // CHECK-NEXT: return %{{.*}}, %[[X]], %[[Y]]
  return %l : tensor<f32>
}

// CHECK-LABEL: @transposed_lhs(
func.func @transposed_lhs(%x: tensor<2x4x3xf32>, %w: tensor<4x5xf32>, %c: tensor<2x3x5xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0, 1>} {
  %p = dit.matmul %x, %w {transpose_lhs} : tensor<2x4x3xf32>, tensor<4x5xf32> -> tensor<2x3x5xf32>
  %z = arith.mulf %p, %c : tensor<2x3x5xf32>
  %l = dit.reduce sum %z dims = [0, 1, 2] : tensor<2x3x5xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[XT:.*]] = dit.matmul %[[G]], %arg1 {transpose_rhs} : tensor<2x3x5xf32>, tensor<4x5xf32> -> tensor<2x3x4xf32>
  // CHECK-NEXT: %[[X:.*]] = dit.transpose %[[XT]] permutation = [0, 2, 1]
  // CHECK-NEXT: %[[T:.*]] = dit.transpose %arg0 permutation = [0, 2, 1]
  // CHECK-NEXT: %[[ROWS:.*]] = tensor.collapse_shape %[[T]] {{.*}} into tensor<6x4xf32>
  // CHECK-NEXT: %[[GROWS:.*]] = tensor.collapse_shape %[[G]] {{.*}} into tensor<6x5xf32>
  // CHECK-NEXT: %[[W:.*]] = dit.matmul %[[ROWS]], %[[GROWS]] {transpose_lhs} : tensor<6x4xf32>, tensor<6x5xf32> -> tensor<4x5xf32>
  // CHECK-NEXT: return %{{.*}}, %[[X]], %[[W]]
  return %l : tensor<f32>
}

// From the saved output and log-sum-exp; the parts of a fused projection meet
// in one concatenation.
// CHECK-LABEL: @attention(
func.func @attention(%qkv: tensor<2x5x3x12xf32>, %m: tensor<1x1x5x5xf32>, %c: tensor<2x5x3x4xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %[[Q:.*]] = tensor.extract_slice
  // CHECK: %[[K:.*]] = tensor.extract_slice
  // CHECK: %[[V:.*]] = tensor.extract_slice
  // CHECK: %[[O:.*]], %[[LSE:.*]] = dit.attention
  %q = tensor.extract_slice %qkv[0, 0, 0, 0] [2, 5, 3, 4] [1, 1, 1, 1] : tensor<2x5x3x12xf32> to tensor<2x5x3x4xf32>
  %k = tensor.extract_slice %qkv[0, 0, 0, 4] [2, 5, 3, 4] [1, 1, 1, 1] : tensor<2x5x3x12xf32> to tensor<2x5x3x4xf32>
  %v = tensor.extract_slice %qkv[0, 0, 0, 8] [2, 5, 3, 4] [1, 1, 1, 1] : tensor<2x5x3x12xf32> to tensor<2x5x3x4xf32>
  %o, %lse = dit.attention %q, %k, %v mask %m scale = 0.5 : tensor<2x5x3x4xf32>, tensor<2x5x3x4xf32>, tensor<2x5x3x4xf32>, tensor<1x1x5x5xf32>
  %w = arith.mulf %o, %c : tensor<2x5x3x4xf32>
  %l = dit.reduce sum %w dims = [0, 1, 2, 3] : tensor<2x5x3x4xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[DQ:.*]], %[[DK:.*]], %[[DV:.*]] = dit.attention_grad %[[Q]], %[[K]], %[[V]] output %[[O]], %[[LSE]] cotangent %[[G]] mask %arg1 scale = 5.000000e-01
  // CHECK-NEXT: %[[X:.*]] = tensor.concat dim(3) %[[DQ]], %[[DK]], %[[DV]] : {{.*}} -> tensor<2x5x3x12xf32>
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// CHECK-LABEL: @gelu(
func.func @gelu(%x: tensor<f32>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %l = dit.gelu %x approximate = tanh : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00>
  // CHECK-NEXT: %[[X:.*]] = dit.gelu_grad %arg0, %[[G]] approximate = tanh : tensor<f32>
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// CHECK-LABEL: @sigmoid(
func.func @sigmoid(%x: tensor<f32>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %[[Y:.*]] = dit.sigmoid
  %l = dit.sigmoid %x : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00>
  // CHECK-NEXT: %[[ONE:.*]] = arith.constant dense<1.000000e+00>
  // CHECK-NEXT: %[[REST:.*]] = arith.subf %[[ONE]], %[[Y]]
  // CHECK-NEXT: %[[SLOPE:.*]] = arith.mulf %[[Y]], %[[REST]]
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[G]], %[[SLOPE]]
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}
