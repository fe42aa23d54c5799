// RUN: dit-opt %s --dit-raise-precision | FileCheck %s

// A model whose weights are fp64 is computed in fp32; its file is fp64.
// CHECK: dit.global @w parameter : tensor<2x4xf32> pieces [#dit.piece<name = "w", file = tensor<2x4xf64>
dit.global @w parameter : tensor<2x4xf64> pieces [#dit.piece<name = "w", file = tensor<2x4xf64>, view = [2, 4], permutation = [0, 1], target = [2, 4], offset = [0, 0], source = unit>]

// CHECK-LABEL: func.func @forward(%arg0: tensor<3x4xf32>, %arg1: tensor<3x2xf32>) -> tensor<3x2xf32>
func.func @forward(%x: tensor<3x4xf64>, %b: tensor<3x2xf32>) -> tensor<3x2xf64> {
  // CHECK-NOT: f64
  %w = dit.read @w : tensor<2x4xf64>
  %y = dit.matmul %x, %w {transpose_rhs} : tensor<3x4xf64>, tensor<2x4xf64> -> tensor<3x2xf64>
  %wide = arith.extf %b : tensor<3x2xf32> to tensor<3x2xf64>
  // CHECK: dense<[{{\[}}1.000000e-01, 5.000000e-01], [1.000000e+00, 1.000000e+00], [1.000000e+00, 2.000000e+00]]> : tensor<3x2xf32>
  %c = arith.constant dense<[[0.1, 0.5], [1.0, 1.0], [1.0, 2.0]]> : tensor<3x2xf64>
  %s = arith.addf %y, %wide : tensor<3x2xf64>
  %r = arith.mulf %s, %c : tensor<3x2xf64>
  return %r : tensor<3x2xf64>
}
