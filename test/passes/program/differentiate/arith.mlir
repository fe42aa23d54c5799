// RUN: dit-opt %s --dit-differentiate | FileCheck %s
// One op a function; G is the cotangent of its result.

// CHECK-LABEL: @addf(
func.func @addf(%a: tensor<f32>, %b: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0, 1>} {
  %r = arith.addf %a, %b : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: return %{{.*}}, %[[G]], %[[G]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @subf(
func.func @subf(%a: tensor<f32>, %b: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0, 1>} {
  %r = arith.subf %a, %b : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[N:.*]] = arith.negf %[[G]]
  // CHECK-NEXT: return %{{.*}}, %[[G]], %[[N]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @mulf(
func.func @mulf(%a: tensor<f32>, %b: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0, 1>} {
  %r = arith.mulf %a, %b : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[A:.*]] = arith.mulf %[[G]], %arg1
  // CHECK-NEXT: %[[B:.*]] = arith.mulf %[[G]], %arg0
  // CHECK-NEXT: return %{{.*}}, %[[A]], %[[B]] :
  return %r : tensor<f32>
}

// Nothing is computed for a.
// CHECK-LABEL: @mulf_by_what_is_fixed(
func.func @mulf_by_what_is_fixed(%a: tensor<f32>, %b: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 1>} {
  %r = arith.mulf %a, %b : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[B:.*]] = arith.mulf %[[G]], %arg0
  // CHECK-NEXT: return %{{.*}}, %[[B]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @square(
func.func @square(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %r = arith.mulf %a, %a : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[A:.*]] = arith.mulf %[[G]], %arg0
  // CHECK-NEXT: %[[B:.*]] = arith.mulf %[[G]], %arg0
  // CHECK-NEXT: %[[S:.*]] = arith.addf %[[A]], %[[B]]
  // CHECK-NEXT: return %{{.*}}, %[[S]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @divf(
func.func @divf(%a: tensor<f32>, %b: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0, 1>} {
  // CHECK: %[[Y:.*]] = arith.divf
  %r = arith.divf %a, %b : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[A:.*]] = arith.divf %[[G]], %arg1
  // CHECK-NEXT: %[[P:.*]] = arith.mulf %[[A]], %[[Y]]
  // CHECK-NEXT: %[[B:.*]] = arith.negf %[[P]]
  // CHECK-NEXT: return %{{.*}}, %[[A]], %[[B]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @negf(
func.func @negf(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %r = arith.negf %a : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[A:.*]] = arith.negf %[[G]]
  // CHECK-NEXT: return %{{.*}}, %[[A]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @maximumf(
func.func @maximumf(%a: tensor<f32>, %b: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0, 1>} {
  %r = arith.maximumf %a, %b : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[ZERO:.*]] = arith.constant dense<0.000000e+00>
  // CHECK-NEXT: %[[TIE:.*]] = arith.cmpf oeq, %arg0, %arg1
  // CHECK-NEXT: %[[LEFT:.*]] = arith.cmpf ogt, %arg0, %arg1
  // CHECK-NEXT: %[[C:.*]] = arith.constant dense<5.000000e-01>
  // CHECK-NEXT: %[[HALF:.*]] = arith.mulf %[[G]], %[[C]]
  // CHECK-NEXT: %[[A0:.*]] = arith.select %[[LEFT]], %[[G]], %[[ZERO]]
  // CHECK-NEXT: %[[A:.*]] = arith.select %[[TIE]], %[[HALF]], %[[A0]]
  // CHECK-NEXT: %[[B0:.*]] = arith.select %[[LEFT]], %[[ZERO]], %[[G]]
  // CHECK-NEXT: %[[B:.*]] = arith.select %[[TIE]], %[[HALF]], %[[B0]]
  // CHECK-NEXT: return %{{.*}}, %[[A]], %[[B]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @minimumf(
func.func @minimumf(%a: tensor<f32>, %b: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0, 1>} {
  %r = arith.minimumf %a, %b : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[ZERO:.*]] = arith.constant dense<0.000000e+00>
  // CHECK-NEXT: %[[TIE:.*]] = arith.cmpf oeq, %arg0, %arg1
  // CHECK-NEXT: %[[LEFT:.*]] = arith.cmpf olt, %arg0, %arg1
  // CHECK-NEXT: %[[C:.*]] = arith.constant dense<5.000000e-01>
  // CHECK-NEXT: %[[HALF:.*]] = arith.mulf %[[G]], %[[C]]
  // CHECK-NEXT: %[[A0:.*]] = arith.select %[[LEFT]], %[[G]], %[[ZERO]]
  // CHECK-NEXT: %[[A:.*]] = arith.select %[[TIE]], %[[HALF]], %[[A0]]
  // CHECK-NEXT: %[[B0:.*]] = arith.select %[[LEFT]], %[[ZERO]], %[[G]]
  // CHECK-NEXT: %[[B:.*]] = arith.select %[[TIE]], %[[HALF]], %[[B0]]
  // CHECK-NEXT: return %{{.*}}, %[[A]], %[[B]] :
  return %r : tensor<f32>
}

// The condition has no cotangent: c gets zero.
// CHECK-LABEL: @select(
func.func @select(%a: tensor<f32>, %b: tensor<f32>, %c: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0, 1, 2>} {
  // CHECK: %[[TAKES_A:.*]] = arith.cmpf
  %i = arith.cmpf ogt, %c, %a : tensor<f32>
  %r = arith.select %i, %a, %b : tensor<i1>, tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[ZERO:.*]] = arith.constant dense<0.000000e+00>
  // CHECK-NEXT: %[[A:.*]] = arith.select %[[TAKES_A]], %[[G]], %[[ZERO]]
  // CHECK-NEXT: %[[B:.*]] = arith.select %[[TAKES_A]], %[[ZERO]], %[[G]]
  // CHECK-NEXT: %[[C:.*]] = arith.constant dense<0.000000e+00>
  // CHECK-NEXT: return %{{.*}}, %[[A]], %[[B]], %[[C]] :
  return %r : tensor<f32>
}
