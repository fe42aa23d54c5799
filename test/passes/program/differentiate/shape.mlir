// RUN: dit-opt %s --dit-differentiate | FileCheck %s
// The loss is the sum of c times the op's result, so that c is, repeated and
// multiplied with one, the cotangent G of the result.

// CHECK-LABEL: @reshape(
func.func @reshape(%x: tensor<4x6xf32>, %c: tensor<2x2x6xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %y = tensor.expand_shape %x [[0, 1], [2]] output_shape [2, 2, 6] : tensor<4x6xf32> into tensor<2x2x6xf32>
  %w = arith.mulf %y, %c : tensor<2x2x6xf32>
  %l = dit.reduce sum %w dims = [0, 1, 2] : tensor<2x2x6xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[X:.*]] = tensor.collapse_shape %[[G]] {{\[\[}}0, 1], [2]] : tensor<2x2x6xf32> into tensor<4x6xf32>
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// The parts of a split are one concatenation, with zeros where no part is used.
// CHECK-LABEL: @split(
func.func @split(%x: tensor<2x8xf32>, %c: tensor<2x2xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %0 = tensor.extract_slice %x[0, 5] [2, 2] [1, 1] : tensor<2x8xf32> to tensor<2x2xf32>
  %1 = tensor.extract_slice %x[0, 2] [2, 2] [1, 1] : tensor<2x8xf32> to tensor<2x2xf32>
  %2 = tensor.extract_slice %x[0, 0] [2, 2] [1, 1] : tensor<2x8xf32> to tensor<2x2xf32>
  %3 = arith.mulf %0, %1 : tensor<2x2xf32>
  %4 = arith.subf %3, %2 : tensor<2x2xf32>
  %w = arith.mulf %4, %c : tensor<2x2xf32>
  %l = dit.reduce sum %w dims = [0, 1] : tensor<2x2xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[D2:.*]] = arith.negf %[[G]]
  // CHECK-NEXT: %[[D0:.*]] = arith.mulf %[[G]]
  // CHECK-NEXT: %[[D1:.*]] = arith.mulf %[[G]]
  // CHECK-NEXT: %[[Z4:.*]] = arith.constant dense<0.000000e+00> : tensor<2x1xf32>
  // CHECK-NEXT: %[[Z7:.*]] = arith.constant dense<0.000000e+00> : tensor<2x1xf32>
  // CHECK-NEXT: %[[X:.*]] = tensor.concat dim(1) %[[D2]], %[[D1]], %[[Z4]], %[[D0]], %[[Z7]] : {{.*}} -> tensor<2x8xf32>
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// Slices that overlap are placed apart and summed.
// CHECK-LABEL: @overlap(
func.func @overlap(%x: tensor<4xf32>, %c: tensor<3xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %0 = tensor.extract_slice %x[1] [3] [1] : tensor<4xf32> to tensor<3xf32>
  %1 = tensor.extract_slice %x[0] [3] [1] : tensor<4xf32> to tensor<3xf32>
  %2 = arith.addf %0, %1 : tensor<3xf32>
  %w = arith.mulf %2, %c : tensor<3xf32>
  %l = dit.reduce sum %w dims = [0] : tensor<3xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK: %[[A:.*]] = tensor.concat dim(0) %[[G]], %{{.*}} : (tensor<3xf32>, tensor<1xf32>)
  // CHECK: %[[B:.*]] = tensor.concat dim(0) %{{.*}}, %[[G]] : (tensor<1xf32>, tensor<3xf32>)
  // CHECK-NEXT: %[[X:.*]] = arith.addf %[[A]], %[[B]]
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// A stride of two leaves zeros between.
// CHECK-LABEL: @strided(
func.func @strided(%x: tensor<3x5xf32>, %c: tensor<2x2xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %0 = tensor.extract_slice %x[1, 0] [2, 2] [1, 2] : tensor<3x5xf32> to tensor<2x2xf32>
  %w = arith.mulf %0, %c : tensor<2x2xf32>
  %l = dit.reduce sum %w dims = [0, 1] : tensor<2x2xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[E:.*]] = tensor.expand_shape %[[G]] {{\[\[}}0], [1, 2]] output_shape [2, 2, 1]
  // CHECK-NEXT: %[[Z:.*]] = arith.constant dense<0.000000e+00> : tensor<2x2x1xf32>
  // CHECK-NEXT: %[[P:.*]] = tensor.concat dim(2) %[[E]], %[[Z]] : {{.*}} -> tensor<2x2x2xf32>
  // CHECK-NEXT: %[[F:.*]] = tensor.collapse_shape %[[P]] {{.*}} into tensor<2x4xf32>
  // CHECK-NEXT: %[[S:.*]] = tensor.extract_slice %[[F]][0, 0] [2, 3] [1, 1]
  // CHECK-NEXT: %[[Z2:.*]] = arith.constant dense<0.000000e+00> : tensor<2x2xf32>
  // CHECK-NEXT: %[[COLUMNS:.*]] = tensor.concat dim(1) %[[S]], %[[Z2]] : {{.*}} -> tensor<2x5xf32>
  // CHECK-NEXT: %[[Z3:.*]] = arith.constant dense<0.000000e+00> : tensor<1x5xf32>
  // CHECK-NEXT: %[[X:.*]] = tensor.concat dim(0) %[[Z3]], %[[COLUMNS]] : {{.*}} -> tensor<3x5xf32>
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// CHECK-LABEL: @concat(
func.func @concat(%x: tensor<2x3xf32>, %y: tensor<2x1xf32>, %c: tensor<2x4xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0, 1>} {
  %0 = tensor.concat dim(1) %x, %y : (tensor<2x3xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %w = arith.mulf %0, %c : tensor<2x4xf32>
  %l = dit.reduce sum %w dims = [0, 1] : tensor<2x4xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[X:.*]] = tensor.extract_slice %[[G]][0, 0] [2, 3] [1, 1]
  // CHECK-NEXT: %[[Y:.*]] = tensor.extract_slice %[[G]][0, 3] [2, 1] [1, 1]
  // CHECK-NEXT: return %{{.*}}, %[[X]], %[[Y]]
  return %l : tensor<f32>
}

// CHECK-LABEL: @broadcast(
func.func @broadcast(%x: tensor<2x3xf32>, %c: tensor<2x5x3xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %0 = dit.broadcast %x dims = [0, 2] : tensor<2x3xf32> -> tensor<2x5x3xf32>
  %w = arith.mulf %0, %c : tensor<2x5x3xf32>
  %l = dit.reduce sum %w dims = [0, 1, 2] : tensor<2x5x3xf32>
  // CHECK: dit.broadcast %{{.*}} dims = [] :
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[X:.*]] = dit.reduce sum %[[G]] dims = [1] : tensor<2x5x3xf32>
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// CHECK-LABEL: @transpose(
func.func @transpose(%x: tensor<2x3x4xf32>, %c: tensor<4x2x3xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %0 = dit.transpose %x permutation = [2, 0, 1] : tensor<2x3x4xf32>
  %w = arith.mulf %0, %c : tensor<4x2x3xf32>
  %l = dit.reduce sum %w dims = [0, 1, 2] : tensor<4x2x3xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[X:.*]] = dit.transpose %[[G]] permutation = [1, 2, 0] : tensor<4x2x3xf32>
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// CHECK-LABEL: @gather(
func.func @gather(%table: tensor<5x3xf32>, %i: tensor<4xi64>, %c: tensor<4x3xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %0 = dit.gather %table, %i : tensor<5x3xf32>, tensor<4xi64>
  %w = arith.mulf %0, %c : tensor<4x3xf32>
  %l = dit.reduce sum %w dims = [0, 1] : tensor<4x3xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[X:.*]] = dit.scatter_add %arg1, %[[G]] : tensor<4xi64>, tensor<4x3xf32> -> tensor<5x3xf32>
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}
