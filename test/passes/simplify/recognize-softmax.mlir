// RUN: dit-opt %s --dit-recognize-softmax=report --split-input-file --verify-diagnostics | FileCheck %s

!s = tensor<2x4x64x64xf32>
!r = tensor<2x4x64xf32>

// CHECK-LABEL: @with_the_largest_subtracted
// CHECK-SAME:  %[[X:.*]]: tensor<2x4x64x64xf32>
func.func @with_the_largest_subtracted(%x: !s) -> !s {
  // CHECK: %[[Y:.*]] = dit.softmax %[[X]]
  // CHECK: return %[[Y]]
  %0 = dit.reduce max %x dims = [3] : !s
  %1 = dit.broadcast %0 dims = [0, 1, 2] : !r -> !s
  %2 = arith.subf %x, %1 : !s
  %3 = math.exp %2 : !s
  %4 = dit.reduce sum %3 dims = [3] : !s
  %5 = dit.broadcast %4 dims = [0, 1, 2] : !r -> !s
  %6 = arith.divf %3, %5 : !s
  return %6 : !s
}

// -----

!s = tensor<2x4x64x64xf32>
!r = tensor<2x4x64xf32>

// CHECK-LABEL: @times_the_reciprocal
func.func @times_the_reciprocal(%x: !s) -> !s {
  // CHECK: dit.softmax %arg0
  %one = arith.constant dense<1.0> : !r
  %0 = math.exp %x : !s
  %1 = dit.reduce sum %0 dims = [3] : !s
  %2 = arith.divf %one, %1 : !r
  %3 = dit.broadcast %2 dims = [0, 1, 2] : !r -> !s
  %4 = arith.mulf %3, %0 : !s
  return %4 : !s
}

// -----

!s = tensor<64x64xf32>

// CHECK-LABEL: @along_columns
func.func @along_columns(%x: !s) -> !s {
  // CHECK-NOT: dit.softmax
  // expected-remark @below {{no softmax: it is summed, but not divided by its sum along the last dimension}}
  %0 = math.exp %x : !s
  %1 = dit.reduce sum %0 dims = [0] : !s
  %2 = dit.broadcast %1 dims = [1] : tensor<64xf32> -> !s
  %3 = arith.divf %0, %2 : !s
  return %3 : !s
}
