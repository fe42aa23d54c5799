// RUN: dit-opt %s --dit-differentiate | FileCheck %s
// One op a function; G is the cotangent of its result, Y the result.

// CHECK-LABEL: @exp(
func.func @exp(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %[[Y:.*]] = math.exp
  %r = math.exp %a : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[G]], %[[Y]]
  // CHECK-NEXT: return %{{.*}}, %[[X]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @log(
func.func @log(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %r = math.log %a : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[X:.*]] = arith.divf %[[G]], %arg0
  // CHECK-NEXT: return %{{.*}}, %[[X]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @sqrt(
func.func @sqrt(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %[[Y:.*]] = math.sqrt
  %r = math.sqrt %a : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[C:.*]] = arith.constant dense<5.000000e-01>
  // CHECK-NEXT: %[[HALF:.*]] = arith.mulf %[[G]], %[[C]]
  // CHECK-NEXT: %[[X:.*]] = arith.divf %[[HALF]], %[[Y]]
  // CHECK-NEXT: return %{{.*}}, %[[X]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @rsqrt(
func.func @rsqrt(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %[[Y:.*]] = math.rsqrt
  %r = math.rsqrt %a : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[S:.*]] = arith.mulf %[[Y]], %[[Y]]
  // CHECK-NEXT: %[[CUBE:.*]] = arith.mulf %[[S]], %[[Y]]
  // CHECK-NEXT: %[[C:.*]] = arith.constant dense<-5.000000e-01>
  // CHECK-NEXT: %[[HALF:.*]] = arith.mulf %[[G]], %[[C]]
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[HALF]], %[[CUBE]]
  // CHECK-NEXT: return %{{.*}}, %[[X]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @sin(
func.func @sin(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %r = math.sin %a : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[COS:.*]] = math.cos %arg0
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[G]], %[[COS]]
  // CHECK-NEXT: return %{{.*}}, %[[X]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @cos(
func.func @cos(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %r = math.cos %a : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[SIN:.*]] = math.sin %arg0
  // CHECK-NEXT: %[[N:.*]] = arith.negf %[[SIN]]
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[G]], %[[N]]
  // CHECK-NEXT: return %{{.*}}, %[[X]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @tanh(
func.func @tanh(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %[[Y:.*]] = math.tanh
  %r = math.tanh %a : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[ONE:.*]] = arith.constant dense<1.000000e+00>
  // CHECK-NEXT: %[[S:.*]] = arith.mulf %[[Y]], %[[Y]]
  // CHECK-NEXT: %[[D:.*]] = arith.subf %[[ONE]], %[[S]]
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[G]], %[[D]]
  // CHECK-NEXT: return %{{.*}}, %[[X]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @erf(
func.func @erf(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %r = math.erf %a : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[S:.*]] = arith.mulf %arg0, %arg0
  // CHECK-NEXT: %[[N:.*]] = arith.negf %[[S]]
  // CHECK-NEXT: %[[BELL:.*]] = math.exp %[[N]]
  // CHECK-NEXT: %[[C:.*]] = arith.constant dense<1.12837923>
  // CHECK-NEXT: %[[F:.*]] = arith.mulf %[[G]], %[[C]]
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[F]], %[[BELL]]
  // CHECK-NEXT: return %{{.*}}, %[[X]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @absf(
func.func @absf(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %r = math.absf %a : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[ZERO:.*]] = arith.constant dense<0.000000e+00>
  // CHECK-NEXT: %[[P:.*]] = arith.cmpf ogt, %arg0, %[[ZERO]]
  // CHECK-NEXT: %[[M:.*]] = arith.cmpf olt, %arg0, %[[ZERO]]
  // CHECK-NEXT: %[[N:.*]] = arith.negf %[[G]]
  // CHECK-NEXT: %[[R:.*]] = arith.select %[[M]], %[[N]], %[[ZERO]]
  // CHECK-NEXT: %[[X:.*]] = arith.select %[[P]], %[[G]], %[[R]]
  // CHECK-NEXT: return %{{.*}}, %[[X]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @powf(
func.func @powf(%a: tensor<f32>, %b: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %r = math.powf %a, %b : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[ONE:.*]] = arith.constant dense<1.000000e+00>
  // CHECK-NEXT: %[[Q:.*]] = arith.subf %arg1, %[[ONE]]
  // CHECK-NEXT: %[[W:.*]] = math.powf %arg0, %[[Q]]
  // CHECK-NEXT: %[[F:.*]] = arith.mulf %[[G]], %arg1
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[F]], %[[W]]
  // CHECK-NEXT: return %{{.*}}, %[[X]] :
  return %r : tensor<f32>
}

// CHECK-LABEL: @powf_of_constant(
func.func @powf_of_constant(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // CHECK: %[[P:.*]] = arith.constant dense<2.500000e+00>
  %p = arith.constant dense<2.5> : tensor<f32>
  %r = math.powf %a, %p : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[Q:.*]] = arith.constant dense<1.500000e+00>
  // CHECK-NEXT: %[[W:.*]] = math.powf %arg0, %[[Q]]
  // CHECK-NEXT: %[[F:.*]] = arith.mulf %[[G]], %[[P]]
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[F]], %[[W]]
  // CHECK-NEXT: return %{{.*}}, %[[X]] :
  return %r : tensor<f32>
}

// No power.
// CHECK-LABEL: @powf_square(
func.func @powf_square(%a: tensor<f32>) -> tensor<f32>
    attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  %p = arith.constant dense<2.0> : tensor<f32>
  %r = math.powf %a, %p : tensor<f32>
  // CHECK: %[[G:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK-NEXT: %[[TWO:.*]] = arith.constant dense<2.000000e+00>
  // CHECK-NEXT: %[[F:.*]] = arith.mulf %[[G]], %[[TWO]]
  // CHECK-NEXT: %[[X:.*]] = arith.mulf %[[F]], %arg0
  // CHECK-NEXT: return %{{.*}}, %[[X]] :
  return %r : tensor<f32>
}
