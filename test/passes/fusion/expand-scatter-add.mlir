// RUN: dit-opt %s --dit-expand-scatter-add | FileCheck %s

// CHECK-LABEL: @labels
// CHECK-SAME: %[[I:.*]]: tensor<8xi64>, %[[U:.*]]: tensor<8x192xf32>
func.func @labels(%i: tensor<8xi64>, %u: tensor<8x192xf32>) -> tensor<11x192xf32> {
  // CHECK: %[[NEG:.*]] = arith.cmpi slt, %[[I]]
  // CHECK: %[[END:.*]] = arith.addi %[[I]]
  // CHECK: %[[FROM:.*]] = arith.select %[[NEG]], %[[END]], %[[I]]
  // CHECK: arith.maxsi %[[FROM]]
  // CHECK: %[[ROW:.*]] = arith.minsi
  // CHECK: %[[ROWS:.*]] = dit.broadcast %[[ROW]] dims = [0] : tensor<8xi64> -> tensor<8x11xi64>
  // CHECK: %[[IS:.*]] = arith.cmpi eq, %[[ROWS]], %{{.*}} : tensor<8x11xi64>
  // CHECK: %[[ONE:.*]] = arith.uitofp %[[IS]] : tensor<8x11xi1> to tensor<8x11xf32>
  // CHECK: %[[D:.*]] = dit.matmul %[[ONE]], %[[U]] {transpose_lhs} : tensor<8x11xf32>, tensor<8x192xf32> -> tensor<11x192xf32>
  // CHECK: return %[[D]]
  %d = dit.scatter_add %i, %u : tensor<8xi64>, tensor<8x192xf32> -> tensor<11x192xf32>
  return %d : tensor<11x192xf32>
}

// Sums are in fp32, whatever the type of the updates.
// CHECK-LABEL: @narrow
func.func @narrow(%i: tensor<2x4xi32>, %u: tensor<2x4x3x5xbf16>) -> tensor<7x3x5xbf16> {
  // CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0, 1], [2, 3]] : tensor<2x4x3x5xbf16> into tensor<8x15xbf16>
  // CHECK: arith.extf
  // CHECK: arith.extsi %{{.*}} : tensor<8xi32> to tensor<8xi64>
  // CHECK: dit.matmul %{{.*}}, %{{.*}} {transpose_lhs} : tensor<8x7xf32>, tensor<8x15xf32> -> tensor<7x15xf32>
  // CHECK: arith.truncf
  %d = dit.scatter_add %i, %u : tensor<2x4xi32>, tensor<2x4x3x5xbf16> -> tensor<7x3x5xbf16>
  return %d : tensor<7x3x5xbf16>
}
