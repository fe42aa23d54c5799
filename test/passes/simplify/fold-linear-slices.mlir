// RUN: dit-opt %s --dit-fold-linear | FileCheck %s

dit.global @q parameter : tensor<16xf32>
dit.global @k parameter : tensor<16xf32>

!x = tensor<2x5x32xf32>
!s = tensor<2x5x16xf32>

// onnxsim joins the weights of projections and leaves their biases.
// CHECK-LABEL: @biases_of_slices
// CHECK-SAME:  %[[X:.*]]: tensor<2x5x32xf32>, %[[W:.*]]: tensor<32x32xf32>
func.func @biases_of_slices(%x: !x, %w: tensor<32x32xf32>) -> (!s, !s) {
  // CHECK: %[[Q:.*]] = dit.read @q
  // CHECK: %[[K:.*]] = dit.read @k
  // CHECK: %[[B:.*]] = tensor.concat dim(0) %[[Q]], %[[K]] : {{.*}} -> tensor<32xf32>
  // CHECK: %[[P:.*]] = dit.matmul %[[X]], %[[W]] bias %[[B]] {transpose_rhs}
  // CHECK: %[[K2:.*]] = tensor.extract_slice %[[P]][0, 0, 16] [2, 5, 16]
  // CHECK: %[[Q2:.*]] = tensor.extract_slice %[[P]][0, 0, 0] [2, 5, 16]
  // CHECK: return %[[Q2]], %[[K2]]
  %p = dit.matmul %x, %w {transpose_rhs} : !x, tensor<32x32xf32> -> tensor<2x5x32xf32>
  %0 = tensor.extract_slice %p[0, 0, 16] [2, 5, 16] [1, 1, 1] : tensor<2x5x32xf32> to !s
  %1 = tensor.extract_slice %p[0, 0, 0] [2, 5, 16] [1, 1, 1] : tensor<2x5x32xf32> to !s
  %bq = dit.read @q : tensor<16xf32>
  %bk = dit.read @k : tensor<16xf32>
  %2 = dit.broadcast %bq dims = [2] : tensor<16xf32> -> !s
  %3 = dit.broadcast %bk dims = [2] : tensor<16xf32> -> !s
  %4 = arith.addf %0, %3 : !s
  %5 = arith.addf %2, %1 : !s
  return %5, %4 : !s, !s
}

// Columns 16 to 31 have no bias.
// CHECK-LABEL: @slice_without_bias
func.func @slice_without_bias(%x: !x, %w: tensor<32x32xf32>) -> (!s, !s) {
  // CHECK-NOT: tensor.concat
  // CHECK: dit.matmul %{{[^b]*}} {transpose_rhs}
  %p = dit.matmul %x, %w {transpose_rhs} : !x, tensor<32x32xf32> -> tensor<2x5x32xf32>
  %0 = tensor.extract_slice %p[0, 0, 0] [2, 5, 16] [1, 1, 1] : tensor<2x5x32xf32> to !s
  %1 = tensor.extract_slice %p[0, 0, 16] [2, 5, 16] [1, 1, 1] : tensor<2x5x32xf32> to !s
  %bq = dit.read @q : tensor<16xf32>
  %2 = dit.broadcast %bq dims = [2] : tensor<16xf32> -> !s
  %3 = arith.addf %0, %2 : !s
  return %3, %1 : !s, !s
}

// Columns 16 to 31 are not used.
// CHECK-LABEL: @columns_left_out
func.func @columns_left_out(%x: !x, %w: tensor<32x32xf32>) -> !s {
  // CHECK-NOT: tensor.concat
  %p = dit.matmul %x, %w {transpose_rhs} : !x, tensor<32x32xf32> -> tensor<2x5x32xf32>
  %0 = tensor.extract_slice %p[0, 0, 0] [2, 5, 16] [1, 1, 1] : tensor<2x5x32xf32> to !s
  %bq = dit.read @q : tensor<16xf32>
  %2 = dit.broadcast %bq dims = [2] : tensor<16xf32> -> !s
  %3 = arith.addf %0, %2 : !s
  return %3 : !s
}
