// RUN: dit-opt %s --dit-form-kernels | FileCheck %s

// What is computed again after something else stays apart from what was
// computed before: two kernels, the second behind the product that it waits
// for. dit.after is gone; the second kernel reads the same value as the first.
// CHECK-LABEL: @again
// CHECK-SAME: %[[X:.*]]: tensor<8x64x192xf32>, %[[S:.*]]: tensor<8x192xf32>, %[[W:.*]]: tensor<192x192xf32>
func.func @again(%x: tensor<8x64x192xf32>, %s: tensor<8x192xf32>, %w: tensor<192x192xf32>)
    -> (tensor<8x64x192xf32>, tensor<8x64x192xf32>) {
  // CHECK-NEXT: %[[H:.*]] = dit.kernel "{{.*}}" space = [8, 64, 192](%[[S]], %[[X]])
  // CHECK:      %[[P:.*]] = dit.matmul %[[H]], %[[W]]
  // CHECK-NOT:  dit.after
  // CHECK-NEXT: %[[AGAIN:.*]] = dit.kernel "{{.*}}" space = [8, 64, 192](%[[S]], %[[X]])
  // CHECK:      %[[Q:.*]] = dit.matmul %[[AGAIN]], %[[W]]
  // CHECK-NEXT: return %[[P]], %[[Q]]
  %e = dit.broadcast %s dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  %h = arith.mulf %e, %x : tensor<8x64x192xf32>
  %p = dit.matmul %h, %w : tensor<8x64x192xf32>, tensor<192x192xf32> -> tensor<8x64x192xf32>
  %later = dit.after %x, %p : tensor<8x64x192xf32>, tensor<8x64x192xf32>
  %again = arith.mulf %e, %later : tensor<8x64x192xf32>
  %q = dit.matmul %again, %w : tensor<8x64x192xf32>, tensor<192x192xf32> -> tensor<8x64x192xf32>
  return %p, %q : tensor<8x64x192xf32>, tensor<8x64x192xf32>
}
