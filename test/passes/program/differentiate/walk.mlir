// RUN: dit-opt %s --dit-differentiate | FileCheck %s
// What the walk visits, and the types of cotangents.

// Only ops between the arguments and the loss are differentiated: floor has no
// rule, but the loss does not depend on it; neither does atan on x.
// CHECK-LABEL: @active(
// CHECK-SAME: -> (tensor<f32>, tensor<f32>)
// CHECK-NOT: dit.loss
func.func @active(%x: tensor<f32>, %y: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %[[E:.*]] = math.exp
  %e = math.exp %x : tensor<f32>
  %nowhere = math.floor %e : tensor<f32>
  // CHECK: %[[FIXED:.*]] = math.atan
  %fixed = math.atan %y : tensor<f32>
  %l = arith.mulf %e, %fixed : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00>
  // CHECK-NEXT: %[[D:.*]] = arith.mulf %[[G]], %[[FIXED]]
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[D]], %[[E]]
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// The loss is the second of two results; it does not depend on y.
// CHECK-LABEL: @unused(
func.func @unused(%x: tensor<f32>, %y: tensor<2xf32>) -> (tensor<2xf32>, tensor<f32>)
    attributes {dit.loss = 1, dit.wrt = array<i64: 1, 0>} {
  %l = arith.negf %x : tensor<f32>
  // CHECK: arith.negf %arg0
  // CHECK: %[[X:.*]] = arith.negf %{{.*}} : tensor<f32>
  // CHECK-NEXT: %[[Y:.*]] = arith.constant dense<0.000000e+00> : tensor<2xf32>
  // CHECK-NEXT: return %arg1, %{{.*}}, %[[Y]], %[[X]]
  return %y, %l : tensor<2xf32>, tensor<f32>
}

// A loss that is an argument.
// CHECK-LABEL: @identity(
func.func @identity(%x: tensor<1xf32>) -> tensor<1xf32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK-NEXT: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<1xf32>
  // CHECK-NEXT: return %arg0, %[[G]]
  return %x : tensor<1xf32>
}

// What is stopped is a constant to the gradient, and gone afterwards.
// CHECK-LABEL: @stop_gradient(
func.func @stop_gradient(%x: tensor<f32>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %[[E:.*]] = math.exp %arg0
  %e = math.exp %x : tensor<f32>
  // CHECK-NEXT: arith.mulf %arg0, %[[E]]
  %s = dit.stop_gradient %e : tensor<f32>
  %l = arith.mulf %x, %s : tensor<f32>
  // CHECK-NEXT: %[[G:.*]] = arith.constant
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[G]], %[[E]]
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// Random numbers, integers and comparisons have no cotangents.
// CHECK-LABEL: @no_cotangents(
func.func @no_cotangents(%x: tensor<2xf32>, %seed: tensor<1xi64>, %n: tensor<2xi64>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %[[Z:.*]] = dit.random
  %z = dit.random normal stream = 1 at (%seed, %seed, %n) : tensor<1xi64>, tensor<1xi64>, tensor<2xi64> -> tensor<2xf32>
  %i = arith.fptosi %x : tensor<2xf32> to tensor<2xi64>
  // CHECK: %[[F:.*]] = arith.sitofp
  %f = arith.sitofp %i : tensor<2xi64> to tensor<2xf32>
  // CHECK: %[[ZF:.*]] = arith.mulf %[[Z]], %[[F]]
  %zf = arith.mulf %z, %f : tensor<2xf32>
  %y = arith.mulf %x, %zf : tensor<2xf32>
  %l = dit.reduce sum %y dims = [0] : tensor<2xf32>
  // CHECK: %[[G:.*]] = dit.broadcast
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[G]], %[[ZF]]
  // CHECK-NEXT: return %{{.*}}, %[[X]]
  return %l : tensor<f32>
}

// Parameters below fp32 have fp32 gradients, straight from the product, also
// behind a view; activations have cotangents of their type.
// CHECK-LABEL: @bf16_parameters(
// CHECK-SAME: -> (tensor<f32>, tensor<8x4x2xf32>, tensor<8xf32>)
func.func @bf16_parameters(%x: tensor<3x8xbf16>, %w: tensor<8x4x2xbf16>, %b: tensor<8xbf16>, %c: tensor<3x8xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 1, 2>} {
  %v = tensor.collapse_shape %w [[0], [1, 2]] : tensor<8x4x2xbf16> into tensor<8x8xbf16>
  %h = dit.matmul %x, %v {transpose_rhs} : tensor<3x8xbf16>, tensor<8x8xbf16> -> tensor<3x8xbf16>
  %y = dit.matmul %h, %v bias %b {transpose_rhs} : tensor<3x8xbf16>, tensor<8x8xbf16> bias tensor<8xbf16> -> tensor<3x8xbf16>
  %f = arith.extf %y : tensor<3x8xbf16> to tensor<3x8xf32>
  %z = arith.mulf %f, %c : tensor<3x8xf32>
  %l = dit.reduce sum %z dims = [0, 1] : tensor<3x8xf32>
  // CHECK: dit.broadcast
  // CHECK-NEXT: %[[G32:.*]] = arith.mulf
  // CHECK-NEXT: %[[G:.*]] = arith.truncf %[[G32]] : tensor<3x8xf32> to tensor<3x8xbf16>
  // CHECK-NEXT: %[[H:.*]] = dit.matmul %[[G]], %{{.*}} : tensor<3x8xbf16>, tensor<8x8xbf16> -> tensor<3x8xbf16>
  // CHECK-NEXT: %[[W1:.*]] = dit.matmul %[[G]], %{{.*}} {transpose_lhs} : tensor<3x8xbf16>, tensor<3x8xbf16> -> tensor<8x8xf32>
  // CHECK-NEXT: %[[TERMS:.*]] = arith.extf %[[G]]
  // CHECK-NEXT: %[[B:.*]] = dit.reduce sum %[[TERMS]] dims = [0] : tensor<3x8xf32>
  // CHECK-NEXT: %[[W0:.*]] = dit.matmul %[[H]], %arg0 {transpose_lhs} : tensor<3x8xbf16>, tensor<3x8xbf16> -> tensor<8x8xf32>
  // CHECK-NEXT: %[[SUM:.*]] = arith.addf %[[W1]], %[[W0]] : tensor<8x8xf32>
  // CHECK-NEXT: %[[W:.*]] = tensor.expand_shape %[[SUM]]
  // CHECK-NEXT: return %{{.*}}, %[[W]], %[[B]]
  return %l : tensor<f32>
}

// Masters are cast for the product: their gradients are not rounded on the way
// back.
// CHECK-LABEL: @masters(
func.func @masters(%x: tensor<3x8xbf16>, %w: tensor<8x8xf32>, %c: tensor<3x8xf32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 1>} {
  %low = arith.truncf %w : tensor<8x8xf32> to tensor<8x8xbf16>
  %y = dit.matmul %x, %low {transpose_rhs} : tensor<3x8xbf16>, tensor<8x8xbf16> -> tensor<3x8xf32>
  %z = arith.mulf %y, %c : tensor<3x8xf32>
  %l = dit.reduce sum %z dims = [0, 1] : tensor<3x8xf32>
  // CHECK: %[[W:.*]] = dit.matmul {{.*}} {transpose_lhs} : tensor<3x8xbf16>, tensor<3x8xbf16> -> tensor<8x8xf32>
  // CHECK-NEXT: return %{{.*}}, %[[W]]
  return %l : tensor<f32>
}

// Contributions below fp32 are summed in fp32 and rounded once.
// CHECK-LABEL: @bf16_sum(
func.func @bf16_sum(%x: tensor<2xf32>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %0 = arith.truncf %x : tensor<2xf32> to tensor<2xbf16>
  %y = arith.negf %0 : tensor<2xbf16>
  %a = math.sin %y : tensor<2xbf16>
  %b = math.cos %y : tensor<2xbf16>
  %m = arith.mulf %a, %b : tensor<2xbf16>
  %f = arith.extf %m : tensor<2xbf16> to tensor<2xf32>
  %l = dit.reduce sum %f dims = [0] : tensor<2xf32>
  // CHECK: dit.broadcast
  // CHECK: %[[SLOPE_B:.*]] = arith.negf
  // CHECK-NEXT: %[[B:.*]] = arith.mulf %{{.*}}, %[[SLOPE_B]] : tensor<2xbf16>
  // CHECK-NEXT: %[[SLOPE_A:.*]] = math.cos
  // CHECK-NEXT: %[[A:.*]] = arith.mulf %{{.*}}, %[[SLOPE_A]]
  // CHECK-NEXT: %[[B32:.*]] = arith.extf %[[B]]
  // CHECK-NEXT: %[[A32:.*]] = arith.extf %[[A]]
  // CHECK-NEXT: %[[SUM:.*]] = arith.addf %[[B32]], %[[A32]] : tensor<2xf32>
  // CHECK-NEXT: %[[Y:.*]] = arith.truncf %[[SUM]] : tensor<2xf32> to tensor<2xbf16>
  // CHECK-NEXT: arith.negf %[[Y]]
  return %l : tensor<f32>
}

// A function without a loss stays as it is.
// CHECK-LABEL: @other(
// CHECK-NEXT: return %arg0 : tensor<f32>
func.func @other(%x: tensor<f32>) -> tensor<f32> {
  return %x : tensor<f32>
}
