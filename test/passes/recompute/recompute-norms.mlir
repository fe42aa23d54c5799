// RUN: dit-opt %s --dit-recompute-norms | FileCheck %s

// The gradient of the scale reads the row behind a product: it is made again.
// CHECK-LABEL: @gradient_of_scale
func.func @gradient_of_scale(%x: tensor<8x64x192xf32>, %w: tensor<192x192xf32>, %scale: tensor<8x64x192xf32>)
    -> (tensor<8x64x192xf32>, tensor<8x64x192xf32>, tensor<8x64xf32>, tensor<8x64xf32>) {
  // CHECK-NEXT: %[[N:.*]], %[[M:.*]], %[[R:.*]] = dit.layer_norm %[[X:.*]] eps
  // CHECK-NEXT: %[[H:.*]] = arith.mulf %[[N]], %{{.*}}
  // CHECK-NEXT: %[[D:.*]] = dit.matmul %[[H]]
  // CHECK-NEXT: %[[MS:.*]] = dit.broadcast %[[M]] dims = [0, 1]
  // CHECK-NEXT: %[[C:.*]] = arith.subf %[[X]], %[[MS]]
  // CHECK-NEXT: %[[RS:.*]] = dit.broadcast %[[R]] dims = [0, 1]
  // CHECK-NEXT: %[[A:.*]] = arith.mulf %[[C]], %[[RS]]
  // CHECK-NEXT: arith.mulf %[[D]], %[[A]]
  %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : tensor<8x64x192xf32>
  %h = arith.mulf %n, %scale : tensor<8x64x192xf32>
  %dh = dit.matmul %h, %w : tensor<8x64x192xf32>, tensor<192x192xf32> -> tensor<8x64x192xf32>
  %ds = arith.mulf %dh, %n : tensor<8x64x192xf32>
  return %dh, %ds, %mean, %rstd : tensor<8x64x192xf32>, tensor<8x64x192xf32>, tensor<8x64xf32>, tensor<8x64xf32>
}

// Nobody keeps the statistics: no training.
// CHECK-LABEL: @sampling
func.func @sampling(%x: tensor<8x64x192xf32>, %w: tensor<192x192xf32>) -> tensor<8x64x192xf32> {
  // CHECK-NEXT: dit.layer_norm
  // CHECK-NEXT: dit.matmul
  // CHECK-NEXT: arith.addf %{{.*}}, %result
  // CHECK-NEXT: return
  %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : tensor<8x64x192xf32>
  %y = dit.matmul %n, %w : tensor<8x64x192xf32>, tensor<192x192xf32> -> tensor<8x64x192xf32>
  %z = arith.addf %y, %n : tensor<8x64x192xf32>
  return %z : tensor<8x64x192xf32>
}
