// RUN: dit-opt %s --dit-reduce-along-lane | FileCheck %s

// CHECK-LABEL: @middle
func.func @middle(%x: tensor<8x64x192xf32>) -> tensor<8x192xf32> {
  // CHECK-NEXT: %[[T:.*]] = dit.transpose %{{.*}} permutation = [0, 2, 1]
  // CHECK-NEXT: dit.reduce max %[[T]] dims = [2] : tensor<8x192x64xf32>
  %m = dit.reduce max %x dims = [1] : tensor<8x64x192xf32>
  return %m : tensor<8x192xf32>
}

// CHECK-LABEL: @first_and_last
func.func @first_and_last(%x: tensor<8x64x192xf32>) -> tensor<64xf32> {
  // CHECK-NEXT: %[[T:.*]] = dit.transpose %{{.*}} permutation = [1, 0, 2]
  // CHECK-NEXT: %[[C:.*]] = tensor.collapse_shape %[[T]] {{\[\[}}0], [1, 2]]
  // CHECK-NEXT: dit.reduce sum %[[C]] dims = [1] : tensor<64x1536xf32>
  %s = dit.reduce sum %x dims = [0, 2] : tensor<8x64x192xf32>
  return %s : tensor<64xf32>
}

// No transpose where the dimensions are the last already.
// CHECK-LABEL: @last_two
func.func @last_two(%x: tensor<8x64x192xf32>) -> tensor<8xf32> {
  // CHECK-NEXT: %[[C:.*]] = tensor.collapse_shape %{{.*}} {{\[\[}}0], [1, 2]]
  // CHECK-NEXT: dit.reduce sum %[[C]] dims = [1] : tensor<8x12288xf32>
  %s = dit.reduce sum %x dims = [1, 2] : tensor<8x64x192xf32>
  return %s : tensor<8xf32>
}

// CHECK-LABEL: @last
func.func @last(%x: tensor<8x64x192xf32>) -> tensor<8x64xf32> {
  // CHECK-NEXT: dit.reduce sum %{{.*}} dims = [2] : tensor<8x64x192xf32>
  // CHECK-NEXT: return
  %s = dit.reduce sum %x dims = [2] : tensor<8x64x192xf32>
  return %s : tensor<8x64xf32>
}
