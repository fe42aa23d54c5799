// RUN: dit-opt %s --dit-raise-precision | FileCheck %s

// The file's type stays in the piece.
// CHECK: dit.global @w parameter : tensor<2x4xf32> pieces [#dit.piece<name = "w", file = tensor<2x4xf16>
dit.global @w parameter : tensor<2x4xf16> pieces [#dit.piece<name = "w", file = tensor<2x4xf16>, view = [2, 4], permutation = [0, 1], target = [2, 4], offset = [0, 0], source = unit>]
// CHECK: dit.global @b parameter : tensor<2xf32>
dit.global @b parameter : tensor<2xbf16>

// CHECK-LABEL: func.func @forward(%arg0: tensor<3x4xf32>) -> tensor<3x2xf32>
func.func @forward(%x: tensor<3x4xf16>) -> tensor<3x2xf16> {
  %w = dit.read @w : tensor<2x4xf16>
  // CHECK: %[[Y:.*]] = dit.matmul {{.*}} : tensor<3x4xf32>, tensor<2x4xf32> -> tensor<3x2xf32>
  %y = dit.matmul %x, %w {transpose_rhs} : tensor<3x4xf16>, tensor<2x4xf16> -> tensor<3x2xf16>
  // CHECK-NOT: extf
  // CHECK-NOT: truncf
  // CHECK: %[[N:.*]], %{{.*}}, %{{.*}} = dit.layer_norm %[[Y]]
  %wide = arith.extf %y : tensor<3x2xf16> to tensor<3x2xf32>
  %n, %mean, %rstd = dit.layer_norm %wide eps = 1.0e-6 : tensor<3x2xf32>
  %narrow = arith.truncf %n : tensor<3x2xf32> to tensor<3x2xf16>
  // CHECK: %[[C:.*]] = arith.constant dense<5.000000e-01> : tensor<3x2xf32>
  %c = arith.constant dense<0.5> : tensor<3x2xf16>
  // CHECK: %[[R:.*]] = arith.mulf %[[N]], %[[C]] : tensor<3x2xf32>
  %r = arith.mulf %narrow, %c : tensor<3x2xf16>
  // CHECK: return %[[R]]
  return %r : tensor<3x2xf16>
}

// CHECK-LABEL: func.func @bf16_and_values
func.func @bf16_and_values() -> tensor<2xbf16> {
  // CHECK: dense<[1.000000e+00, 3.140625]> : tensor<2xf32>
  %c = arith.constant dense<[1.0, 3.140625]> : tensor<2xbf16>
  %b = dit.read @b : tensor<2xbf16>
  %s = arith.addf %b, %c : tensor<2xbf16>
  return %s : tensor<2xbf16>
}

// A rounding that the model asks for stays.
// CHECK-LABEL: func.func @rounding
func.func @rounding(%x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK: arith.truncf %{{.*}} : tensor<2xf32> to tensor<2xf16>
  // CHECK: arith.extf %{{.*}} : tensor<2xf16> to tensor<2xf32>
  %n = arith.truncf %x : tensor<2xf32> to tensor<2xf16>
  %w = arith.extf %n : tensor<2xf16> to tensor<2xf32>
  return %w : tensor<2xf32>
}

// CHECK-LABEL: func.func @double_stays
func.func @double_stays(%x: tensor<2xf64>) -> tensor<2xf16> {
  // CHECK: math.cos %{{.*}} : tensor<2xf64>
  %c = math.cos %x : tensor<2xf64>
  // CHECK: arith.truncf %{{.*}} : tensor<2xf64> to tensor<2xf32>
  %n = arith.truncf %c : tensor<2xf64> to tensor<2xf16>
  return %n : tensor<2xf16>
}
