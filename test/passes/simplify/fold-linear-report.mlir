// RUN: dit-opt %s --dit-fold-linear=report --verify-diagnostics | FileCheck %s

dit.global @w parameter : tensor<8x4xf16>

// CHECK-LABEL: @weight_is_read
func.func @weight_is_read(%x: tensor<2x8xf32>) -> tensor<2x4xf32> {
  %0 = dit.read @w : tensor<8x4xf16>
  %1 = arith.extf %0 : tensor<8x4xf16> to tensor<8x4xf32>
  %2 = dit.matmul %x, %1 : tensor<2x8xf32>, tensor<8x4xf32> -> tensor<2x4xf32>
  return %2 : tensor<2x4xf32>
}

// CHECK-LABEL: @weight_is_computed
func.func @weight_is_computed(%x: tensor<2x8xf32>, %y: tensor<4x8xf32>) -> tensor<2x4xf32> {
  // CHECK: dit.matmul
  %0 = arith.addf %y, %y : tensor<4x8xf32>
  // expected-remark @below {{no linear layer: its matrix is computed, not read}}
  %1 = dit.matmul %x, %0 {transpose_rhs} : tensor<2x8xf32>, tensor<4x8xf32> -> tensor<2x4xf32>
  return %1 : tensor<2x4xf32>
}
