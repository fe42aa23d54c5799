// RUN: dit-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: @two_broadcasts
func.func @two_broadcasts(%x: tensor<192xf32>) -> tensor<8x64x192xf32> {
  // CHECK-NEXT: %[[R:.*]] = dit.broadcast %{{.*}} dims = [2] : tensor<192xf32> -> tensor<8x64x192xf32>
  // CHECK-NEXT: return %[[R]]
  %0 = dit.broadcast %x dims = [1] : tensor<192xf32> -> tensor<64x192xf32>
  %1 = dit.broadcast %0 dims = [1, 2] : tensor<64x192xf32> -> tensor<8x64x192xf32>
  return %1 : tensor<8x64x192xf32>
}

// CHECK-LABEL: @broadcast_of_a_splat
func.func @broadcast_of_a_splat() -> tensor<8x64xf32> {
  // CHECK-NEXT: arith.constant dense<2.000000e+00> : tensor<8x64xf32>
  // CHECK-NOT: dit.broadcast
  %0 = arith.constant dense<2.0> : tensor<f32>
  %1 = dit.broadcast %0 dims = [] : tensor<f32> -> tensor<8x64xf32>
  return %1 : tensor<8x64xf32>
}

// CHECK-LABEL: @broadcast_to_itself
// CHECK-SAME: %[[X:.*]]: tensor<8x64xf32>
func.func @broadcast_to_itself(%x: tensor<8x64xf32>) -> tensor<8x64xf32> {
  // CHECK-NEXT: return %[[X]]
  %0 = dit.broadcast %x dims = [0, 1] : tensor<8x64xf32> -> tensor<8x64xf32>
  return %0 : tensor<8x64xf32>
}

// CHECK-LABEL: @two_transposes
func.func @two_transposes(%x: tensor<2x3x4xf32>) -> tensor<4x2x3xf32> {
  // CHECK-NEXT: dit.transpose %{{.*}} permutation = [2, 0, 1] : tensor<2x3x4xf32>
  // CHECK-NEXT: return
  %0 = dit.transpose %x permutation = [0, 2, 1] : tensor<2x3x4xf32>
  %1 = dit.transpose %0 permutation = [1, 0, 2] : tensor<2x4x3xf32>
  return %1 : tensor<4x2x3xf32>
}

// CHECK-LABEL: @transpose_and_back
// CHECK-SAME: %[[X:.*]]: tensor<2x3xf32>
func.func @transpose_and_back(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: return %[[X]]
  %0 = dit.transpose %x permutation = [1, 0] : tensor<2x3xf32>
  %1 = dit.transpose %0 permutation = [1, 0] : tensor<3x2xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: @reduce_of_nothing
// CHECK-SAME: %[[X:.*]]: tensor<2x3xf32>
func.func @reduce_of_nothing(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: return %[[X]]
  %0 = dit.reduce sum %x dims = [] : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// CHECK-LABEL: @unused_read
func.func @unused_read() {
  // CHECK-NEXT: return
  %0 = dit.read @latent : tensor<4xf32>
  return
}
dit.global @latent state : tensor<4xf32>
