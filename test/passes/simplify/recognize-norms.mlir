// RUN: dit-opt %s --dit-recognize-norms | FileCheck %s

!x = tensor<2x64x192xf32>
!keep = tensor<2x64x1xf32>
!row = tensor<2x64xf32>

// Operator set 14: ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div.
// CHECK-LABEL: @layer_norm_by_division
// CHECK-SAME:  %[[X:.*]]: tensor<2x64x192xf32>
func.func @layer_norm_by_division(%x: !x) -> !x {
  // CHECK: %[[Y:.*]], %{{.*}}, %{{.*}} = dit.layer_norm %[[X]] eps = 9.9999999747524271E-7
  // CHECK: return %[[Y]]
  %n = arith.constant dense<192.0> : !row
  %eps = arith.constant dense<1.0e-6> : !keep
  %two = arith.constant dense<2.0> : !x
  %0 = dit.reduce sum %x dims = [2] : !x
  %1 = arith.divf %0, %n : !row
  %2 = tensor.expand_shape %1 [[0], [1, 2]] output_shape [2, 64, 1] : !row into !keep
  %3 = tensor.collapse_shape %2 [[0], [1, 2]] : !keep into !row
  %4 = dit.broadcast %3 dims = [0, 1] : !row -> !x
  %c = arith.subf %x, %4 : !x
  %5 = math.powf %c, %two : !x
  %6 = dit.reduce sum %5 dims = [2] : !x
  %7 = arith.divf %6, %n : !row
  %8 = tensor.expand_shape %7 [[0], [1, 2]] output_shape [2, 64, 1] : !row into !keep
  %9 = arith.addf %8, %eps : !keep
  %10 = math.sqrt %9 : !keep
  %11 = tensor.collapse_shape %10 [[0], [1, 2]] : !keep into !row
  %12 = dit.broadcast %11 dims = [0, 1] : !row -> !x
  %13 = arith.divf %c, %12 : !x
  return %13 : !x
}

// The mean as a product, rsqrt before the spread, a product at the end.
// CHECK-LABEL: @layer_norm_by_rsqrt
func.func @layer_norm_by_rsqrt(%x: !x) -> !x {
  // CHECK: dit.layer_norm %arg0
  %n = arith.constant dense<5.20833349E-3> : !row
  %eps = arith.constant dense<1.0e-5> : !row
  %0 = dit.reduce sum %x dims = [2] : !x
  %1 = arith.mulf %0, %n : !row
  %2 = dit.broadcast %1 dims = [0, 1] : !row -> !x
  %c = arith.subf %x, %2 : !x
  %3 = arith.mulf %c, %c : !x
  %4 = dit.reduce sum %3 dims = [2] : !x
  %5 = arith.mulf %n, %4 : !row
  %6 = arith.addf %eps, %5 : !row
  %7 = math.rsqrt %6 : !row
  %8 = dit.broadcast %7 dims = [0, 1] : !row -> !x
  %9 = arith.mulf %8, %c : !x
  return %9 : !x
}

// Pow, ReduceMean, Add, Sqrt, Reciprocal, Mul.
// CHECK-LABEL: @rms_norm_by_reciprocal
func.func @rms_norm_by_reciprocal(%x: !x) -> !x {
  // CHECK: dit.rms_norm %arg0 eps = 9.9999999747524271E-7
  %n = arith.constant dense<192.0> : !row
  %eps = arith.constant dense<1.0e-6> : !row
  %one = arith.constant dense<1.0> : !row
  %0 = arith.mulf %x, %x : !x
  %1 = dit.reduce sum %0 dims = [2] : !x
  %2 = arith.divf %1, %n : !row
  %3 = arith.addf %2, %eps : !row
  %4 = math.sqrt %3 : !row
  %5 = arith.divf %one, %4 : !row
  %6 = dit.broadcast %5 dims = [0, 1] : !row -> !x
  %7 = arith.mulf %x, %6 : !x
  return %7 : !x
}

// diffusers: statistics of a half-precision row in fp32. The casts go too.
// CHECK-LABEL: @rms_norm_in_half_precision
// CHECK-SAME:  %[[X:.*]]: tensor<2x64x192xf16>
func.func @rms_norm_in_half_precision(%h: tensor<2x64x192xf16>) -> tensor<2x64x192xf16> {
  // CHECK-NOT: arith.truncf
  // CHECK: %[[Y:.*]], %{{.*}} = dit.rms_norm %[[X]] {{.*}} : tensor<2x64x192xf16>
  // CHECK: return %[[Y]]
  %n = arith.constant dense<192.0> : !row
  %eps = arith.constant dense<1.0e-6> : !row
  %x = arith.extf %h : tensor<2x64x192xf16> to !x
  %0 = arith.mulf %x, %x : !x
  %1 = dit.reduce sum %0 dims = [2] : !x
  %2 = arith.divf %1, %n : !row
  %3 = arith.addf %2, %eps : !row
  %4 = math.rsqrt %3 : !row
  %5 = dit.broadcast %4 dims = [0, 1] : !row -> !x
  %6 = arith.mulf %x, %5 : !x
  %7 = arith.truncf %6 : !x to tensor<2x64x192xf16>
  return %7 : tensor<2x64x192xf16>
}

// LayerNormalization with stash_type 1 around casts.
// CHECK-LABEL: @casts_around_a_norm
func.func @casts_around_a_norm(%x: tensor<2x192xbf16>) -> tensor<2x192xbf16> {
  // CHECK-NEXT: dit.layer_norm %arg0 {{.*}} : tensor<2x192xbf16>
  // CHECK-NEXT: return
  %0 = arith.extf %x : tensor<2x192xbf16> to tensor<2x192xf32>
  %1, %mean, %rstd = dit.layer_norm %0 eps = 1.0e-6 : tensor<2x192xf32>
  %2 = arith.truncf %1 : tensor<2x192xf32> to tensor<2x192xbf16>
  return %2 : tensor<2x192xbf16>
}
