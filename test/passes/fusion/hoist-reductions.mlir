// RUN: dit-opt %s --dit-hoist-reductions | FileCheck %s

// Sums run where their operands are made; the wide kernel stays.
// CHECK-LABEL: @bias_gradients
// CHECK: %[[D:.*]] = dit.matmul
// CHECK-NEXT: %[[P:.*]] = dit.kernel "partial"
// CHECK: %[[M:.*]] = dit.kernel "max"
// CHECK: %[[S:.*]] = dit.kernel "sum"{{.*}}(%[[P]])
// CHECK: %[[E:.*]] = dit.matmul %[[D]]
// CHECK: %[[B:.*]] = dit.kernel "double"
// CHECK: return %[[E]], %[[S]], %[[M]], %[[B]]
func.func @bias_gradients(%x: tensor<64x32xf32>, %w: tensor<32x32xf32>)
    -> (tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<64x32xf32>) {
  %d = dit.matmul %x, %w : tensor<64x32xf32>, tensor<32x32xf32> -> tensor<64x32xf32>
  %e = dit.matmul %d, %w : tensor<64x32xf32>, tensor<32x32xf32> -> tensor<64x32xf32>
  %double = dit.kernel "double" space = [64, 32](%d) : (tensor<64x32xf32>) -> tensor<64x32xf32> {
  ^bb0(%a: tensor<64x32xf32>):
    %r = arith.addf %a, %a : tensor<64x32xf32>
    dit.yield %r : tensor<64x32xf32>
  }
  %p = dit.kernel "partial" space = [64, 32](%d) : (tensor<64x32xf32>) -> tensor<4x32xf32> {
  ^bb0(%a: tensor<64x32xf32>):
    %v = tensor.expand_shape %a [[0, 1], [2]] output_shape [4, 16, 32] : tensor<64x32xf32> into tensor<4x16x32xf32>
    %r = dit.reduce sum %v dims = [1] {dit.partial} : tensor<4x16x32xf32>
    dit.yield %r : tensor<4x32xf32>
  }
  %s = dit.kernel "sum" space = [1, 32](%p) : (tensor<4x32xf32>) -> tensor<32xf32> {
  ^bb0(%a: tensor<4x32xf32>):
    %r = dit.reduce sum %a dims = [0] : tensor<4x32xf32>
    dit.yield %r : tensor<32xf32>
  }
  %m = dit.kernel "max" space = [1, 32](%d) : (tensor<64x32xf32>) -> tensor<32xf32> {
  ^bb0(%a: tensor<64x32xf32>):
    %r = dit.reduce max %a dims = [0] : tensor<64x32xf32>
    dit.yield %r : tensor<32xf32>
  }
  return %e, %s, %m, %double : tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<64x32xf32>
}
