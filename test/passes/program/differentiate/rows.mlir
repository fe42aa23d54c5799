// RUN: dit-opt %s --dit-differentiate | FileCheck %s
// Reductions, norms and softmax: G is the cotangent of the result.

// CHECK-LABEL: @reduce_sum(
func.func @reduce_sum(%x: tensor<2x3xf32>, %c: tensor<2xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %0 = dit.reduce sum %x dims = [1] : tensor<2x3xf32>
  %w = arith.mulf %0, %c : tensor<2xf32>
  %l = dit.reduce sum %w dims = [0] : tensor<2xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[X:.*]] = dit.broadcast %[[G]] dims = [0] : tensor<2xf32> -> tensor<2x3xf32>
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// Equal maxima share the cotangent.
// CHECK-LABEL: @reduce_max(
func.func @reduce_max(%x: tensor<2x3xf32>, %c: tensor<2xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %[[MAX:.*]] = dit.reduce max
  %0 = dit.reduce max %x dims = [1] : tensor<2x3xf32>
  %w = arith.mulf %0, %c : tensor<2xf32>
  %l = dit.reduce sum %w dims = [0] : tensor<2xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[SPREAD:.*]] = dit.broadcast %[[MAX]] dims = [0]
  // CHECK-NEXT: %[[TAKEN:.*]] = arith.cmpf oeq, %arg0, %[[SPREAD]]
  // CHECK-NEXT: %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : tensor<2x3xf32>
  // CHECK-NEXT: %[[ONE:.*]] = arith.constant dense<1.000000e+00> : tensor<2x3xf32>
  // CHECK-NEXT: %[[ONES:.*]] = arith.select %[[TAKEN]], %[[ONE]], %[[ZERO]]
  // CHECK-NEXT: %[[COUNT:.*]] = dit.reduce sum %[[ONES]] dims = [1]
  // CHECK-NEXT: %[[SHARE:.*]] = arith.divf %[[G]], %[[COUNT]]
  // CHECK-NEXT: %[[SHARES:.*]] = dit.broadcast %[[SHARE]] dims = [0]
  // CHECK-NEXT: %[[X:.*]] = arith.select %[[TAKEN]], %[[SHARES]], %[[ZERO]]
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// From the saved mean and rstd, with two sums along the row.
// CHECK-LABEL: @layer_norm(
func.func @layer_norm(%x: tensor<2x8xf32>, %c: tensor<2x8xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %{{.*}}, %[[MEAN:.*]], %[[RSTD:.*]] = dit.layer_norm
  %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : tensor<2x8xf32>
  %w = arith.mulf %n, %c : tensor<2x8xf32>
  %l = dit.reduce sum %w dims = [0, 1] : tensor<2x8xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[MEANS:.*]] = dit.broadcast %[[MEAN]] dims = [0]
  // CHECK-NEXT: %[[CENTRED:.*]] = arith.subf %arg0, %[[MEANS]]
  // CHECK-NEXT: %[[RSTDS:.*]] = dit.broadcast %[[RSTD]] dims = [0]
  // CHECK-NEXT: %[[N:.*]] = arith.mulf %[[CENTRED]], %[[RSTDS]]
  // CHECK-NEXT: %[[SIZE:.*]] = arith.constant dense<8.000000e+00> : tensor<2xf32>
  // CHECK-NEXT: %[[GN:.*]] = arith.mulf %[[G]], %[[N]]
  // CHECK-NEXT: %[[SUM1:.*]] = dit.reduce sum %[[GN]] dims = [1]
  // CHECK-NEXT: %[[MEAN1:.*]] = arith.divf %[[SUM1]], %[[SIZE]]
  // CHECK-NEXT: %[[MEANS1:.*]] = dit.broadcast %[[MEAN1]] dims = [0]
  // CHECK-NEXT: %[[ALONG:.*]] = arith.mulf %[[N]], %[[MEANS1]]
  // CHECK-NEXT: %[[SUM0:.*]] = dit.reduce sum %[[G]] dims = [1]
  // CHECK-NEXT: %[[MEAN0:.*]] = arith.divf %[[SUM0]], %[[SIZE]]
  // CHECK-NEXT: %[[MEANS0:.*]] = dit.broadcast %[[MEAN0]] dims = [0]
  // CHECK-NEXT: %[[INNER:.*]] = arith.subf %[[G]], %[[MEANS0]]
  // CHECK-NEXT: %[[REST:.*]] = arith.subf %[[INNER]], %[[ALONG]]
  // CHECK-NEXT: %[[RSTDS2:.*]] = dit.broadcast %[[RSTD]] dims = [0]
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[REST]], %[[RSTDS2]]
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// The same without the mean of G.
// CHECK-LABEL: @rms_norm(
func.func @rms_norm(%x: tensor<2x8xf32>, %c: tensor<2x8xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %{{.*}}, %[[RSTD:.*]] = dit.rms_norm
  %n, %rstd = dit.rms_norm %x eps = 1.0e-6 : tensor<2x8xf32>
  %w = arith.mulf %n, %c : tensor<2x8xf32>
  %l = dit.reduce sum %w dims = [0, 1] : tensor<2x8xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[RSTDS:.*]] = dit.broadcast %[[RSTD]] dims = [0]
  // CHECK-NEXT: %[[N:.*]] = arith.mulf %arg0, %[[RSTDS]]
  // CHECK-NEXT: %[[SIZE:.*]] = arith.constant dense<8.000000e+00> : tensor<2xf32>
  // CHECK-NEXT: %[[GN:.*]] = arith.mulf %[[G]], %[[N]]
  // CHECK-NEXT: %[[SUM:.*]] = dit.reduce sum %[[GN]] dims = [1]
  // CHECK-NEXT: %[[MEAN:.*]] = arith.divf %[[SUM]], %[[SIZE]]
  // CHECK-NEXT: %[[MEANS:.*]] = dit.broadcast %[[MEAN]] dims = [0]
  // CHECK-NEXT: %[[ALONG:.*]] = arith.mulf %[[N]], %[[MEANS]]
  // CHECK-NEXT: %[[REST:.*]] = arith.subf %[[G]], %[[ALONG]]
  // CHECK-NEXT: %[[RSTDS2:.*]] = dit.broadcast %[[RSTD]] dims = [0]
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[REST]], %[[RSTDS2]]
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// CHECK-LABEL: @softmax(
func.func @softmax(%x: tensor<2x8xf32>, %c: tensor<2x8xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %[[P:.*]] = dit.softmax
  %p = dit.softmax %x : tensor<2x8xf32>
  %w = arith.mulf %p, %c : tensor<2x8xf32>
  %l = dit.reduce sum %w dims = [0, 1] : tensor<2x8xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G:.*]] = arith.mulf
  // CHECK-NEXT: %[[GP:.*]] = arith.mulf %[[G]], %[[P]]
  // CHECK-NEXT: %[[DOT:.*]] = dit.reduce sum %[[GP]] dims = [1]
  // CHECK-NEXT: %[[DOTS:.*]] = dit.broadcast %[[DOT]] dims = [0]
  // CHECK-NEXT: %[[INNER:.*]] = arith.subf %[[G]], %[[DOTS]]
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[P]], %[[INNER]]
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}
