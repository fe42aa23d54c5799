// RUN: dit-opt %s --dit-recognize-norms=report --split-input-file --verify-diagnostics | FileCheck %s

// The mean along another dimension.
// CHECK-LABEL: @norm_of_columns
func.func @norm_of_columns(%x: tensor<64x64xf32>) -> tensor<64x64xf32> {
  // CHECK-NOT: dit.rms_norm
  %n = arith.constant dense<64.0> : tensor<64xf32>
  %0 = arith.mulf %x, %x : tensor<64x64xf32>
  %1 = dit.reduce sum %0 dims = [0] : tensor<64x64xf32>
  %2 = arith.divf %1, %n : tensor<64xf32>
  %3 = math.sqrt %2 : tensor<64xf32>
  %4 = dit.broadcast %3 dims = [0] : tensor<64xf32> -> tensor<64x64xf32>
  // expected-remark @below {{no norm: what is under the root is not the mean of the numerator's squares}}
  %5 = arith.divf %x, %4 : tensor<64x64xf32>
  return %5 : tensor<64x64xf32>
}

// -----

// The statistics of a row are spread along columns.
// CHECK-LABEL: @statistics_of_another_row
func.func @statistics_of_another_row(%x: tensor<64x64xf32>) -> tensor<64x64xf32> {
  // CHECK-NOT: dit.rms_norm
  %n = arith.constant dense<64.0> : tensor<64xf32>
  %0 = arith.mulf %x, %x : tensor<64x64xf32>
  %1 = dit.reduce sum %0 dims = [1] : tensor<64x64xf32>
  // expected-remark @below {{no norm: a mean along the last dimension that no norm takes in}}
  %2 = arith.divf %1, %n : tensor<64xf32>
  %3 = math.sqrt %2 : tensor<64xf32>
  %4 = dit.broadcast %3 dims = [1] : tensor<64xf32> -> tensor<64x64xf32>
  %5 = arith.divf %x, %4 : tensor<64x64xf32>
  return %5 : tensor<64x64xf32>
}

// -----

// CHECK-LABEL: @divided_by_another_length
func.func @divided_by_another_length(%x: tensor<2x64xf32>) -> tensor<2x64xf32> {
  // CHECK-NOT: dit.rms_norm
  %n = arith.constant dense<63.0> : tensor<2xf32>
  %0 = arith.mulf %x, %x : tensor<2x64xf32>
  %1 = dit.reduce sum %0 dims = [1] : tensor<2x64xf32>
  %2 = arith.divf %1, %n : tensor<2xf32>
  %3 = math.sqrt %2 : tensor<2xf32>
  %4 = dit.broadcast %3 dims = [0] : tensor<2xf32> -> tensor<2x64xf32>
  // expected-remark @below {{no norm}}
  %5 = arith.divf %x, %4 : tensor<2x64xf32>
  return %5 : tensor<2x64xf32>
}

// -----

// The variance of another tensor.
// CHECK-LABEL: @scaled_by_another
func.func @scaled_by_another(%x: tensor<2x64xf32>, %y: tensor<2x64xf32>) -> tensor<2x64xf32> {
  // CHECK-NOT: dit.rms_norm
  %n = arith.constant dense<64.0> : tensor<2xf32>
  %0 = arith.mulf %y, %y : tensor<2x64xf32>
  %1 = dit.reduce sum %0 dims = [1] : tensor<2x64xf32>
  %2 = arith.divf %1, %n : tensor<2xf32>
  %3 = math.sqrt %2 : tensor<2xf32>
  %4 = dit.broadcast %3 dims = [0] : tensor<2xf32> -> tensor<2x64xf32>
  // expected-remark @below {{no norm}}
  %5 = arith.divf %x, %4 : tensor<2x64xf32>
  return %5 : tensor<2x64xf32>
}

// -----

// Somebody reads the mean as it is.
// CHECK-LABEL: @statistics_are_used
func.func @statistics_are_used(%x: tensor<2x64xf16>) -> (tensor<2x64xf16>, tensor<2xf32>) {
  // CHECK: dit.layer_norm %{{.*}} : tensor<2x64xf32>
  %0 = arith.extf %x : tensor<2x64xf16> to tensor<2x64xf32>
  %1, %mean, %rstd = dit.layer_norm %0 eps = 1.0e-6 : tensor<2x64xf32>
  %2 = arith.truncf %1 : tensor<2x64xf32> to tensor<2x64xf16>
  return %2, %mean : tensor<2x64xf16>, tensor<2xf32>
}

// -----

// CHECK-LABEL: @mean_alone
func.func @mean_alone(%x: tensor<2x64xf32>) -> tensor<2xf32> {
  // CHECK: dit.reduce
  %n = arith.constant dense<64.0> : tensor<2xf32>
  %0 = dit.reduce sum %x dims = [1] : tensor<2x64xf32>
  // expected-remark @below {{no norm: a mean along the last dimension that no norm takes in}}
  %1 = arith.divf %0, %n : tensor<2xf32>
  return %1 : tensor<2xf32>
}
