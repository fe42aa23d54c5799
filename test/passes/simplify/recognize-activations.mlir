// RUN: dit-opt %s --dit-recognize-activations=report --split-input-file --verify-diagnostics | FileCheck %s

!x = tensor<2x768xf32>

// TorchScript: x·x, x·x², ·0.044715, +x, ·√(2/π), tanh, 1+, x·, ½·.
// CHECK-LABEL: @gelu_of_torchscript
// CHECK-SAME:  %[[A:.*]]: tensor<2x768xf32>, %[[B:.*]]: tensor<2x768xf32>
func.func @gelu_of_torchscript(%a: !x, %b: !x) -> !x {
  // The input is a sum itself, as a Linear's is before its bias is folded.
  // CHECK: %[[X:.*]] = arith.addf %[[A]], %[[B]]
  // CHECK: %[[Y:.*]] = dit.gelu %[[X]] approximate = tanh
  // CHECK: return %[[Y]]
  %cubic = arith.constant dense<0.044714998453855515> : !x
  %root = arith.constant dense<0.7978845834732056> : !x
  %one = arith.constant dense<1.0> : !x
  %half = arith.constant dense<0.5> : !x
  %x = arith.addf %a, %b : !x
  %0 = arith.mulf %x, %x : !x
  %1 = arith.mulf %x, %0 : !x
  %2 = arith.mulf %cubic, %1 : !x
  %3 = arith.addf %x, %2 : !x
  %4 = arith.mulf %root, %3 : !x
  %5 = math.tanh %4 : !x
  %6 = arith.addf %one, %5 : !x
  %7 = arith.mulf %x, %6 : !x
  %8 = arith.mulf %half, %7 : !x
  return %8 : !x
}

// -----

// dynamo in bf16: Pow, and ½(1 + tanh) first; the constants are rounded.
// CHECK-LABEL: @gelu_of_dynamo
func.func @gelu_of_dynamo(%x: tensor<2x768xbf16>) -> tensor<2x768xbf16> {
  // CHECK: dit.gelu %arg0 approximate = tanh : tensor<2x768xbf16>
  %cubic = arith.constant dense<0.044677734375> : tensor<2x768xbf16>
  %root = arith.constant dense<0.796875> : tensor<2x768xbf16>
  %one = arith.constant dense<1.0> : tensor<2x768xbf16>
  %half = arith.constant dense<0.5> : tensor<2x768xbf16>
  %three = arith.constant dense<3.0> : tensor<2x768xbf16>
  %0 = math.powf %x, %three : tensor<2x768xbf16>
  %1 = arith.mulf %cubic, %0 : tensor<2x768xbf16>
  %2 = arith.addf %x, %1 : tensor<2x768xbf16>
  %3 = arith.mulf %root, %2 : tensor<2x768xbf16>
  %4 = math.tanh %3 : tensor<2x768xbf16>
  %5 = arith.addf %4, %one : tensor<2x768xbf16>
  %6 = arith.mulf %half, %5 : tensor<2x768xbf16>
  %7 = arith.mulf %x, %6 : tensor<2x768xbf16>
  return %7 : tensor<2x768xbf16>
}

// -----

!x = tensor<2x768xf32>

// √(2/π) · x · (1 + 0.044715 x²)
// CHECK-LABEL: @gelu_with_x_taken_out
func.func @gelu_with_x_taken_out(%x: !x) -> !x {
  // CHECK: dit.gelu %arg0 approximate = tanh
  %cubic = arith.constant dense<0.044715> : !x
  %root = arith.constant dense<0.7978845608> : !x
  %one = arith.constant dense<1.0> : !x
  %half = arith.constant dense<0.5> : !x
  %0 = arith.mulf %x, %x : !x
  %1 = arith.mulf %0, %cubic : !x
  %2 = arith.addf %1, %one : !x
  %3 = arith.mulf %x, %root : !x
  %4 = arith.mulf %3, %2 : !x
  %5 = math.tanh %4 : !x
  %6 = arith.addf %5, %one : !x
  %7 = arith.mulf %x, %half : !x
  %8 = arith.mulf %7, %6 : !x
  return %8 : !x
}

// -----

!x = tensor<2x768xf32>

// x / √2 as a division.
// CHECK-LABEL: @gelu_by_erf
func.func @gelu_by_erf(%x: !x) -> !x {
  // CHECK: dit.gelu %arg0 approximate = none
  %root = arith.constant dense<1.4142135> : !x
  %one = arith.constant dense<1.0> : !x
  %half = arith.constant dense<0.5> : !x
  %0 = arith.divf %x, %root : !x
  %1 = math.erf %0 : !x
  %2 = arith.addf %1, %one : !x
  %3 = arith.mulf %x, %2 : !x
  %4 = arith.mulf %3, %half : !x
  return %4 : !x
}

// -----

!x = tensor<2x768xf32>

// CHECK-LABEL: @sigmoid_and_silu
func.func @sigmoid_and_silu(%x: !x) -> (!x, !x) {
  // CHECK-DAG: %[[S:.*]] = dit.sigmoid %arg0
  // CHECK-DAG: %[[Y:.*]] = arith.mulf %arg0, %{{.*}}
  // CHECK: return %{{.*}}, %[[Y]]
  %one = arith.constant dense<1.0> : !x
  %0 = arith.negf %x : !x
  %1 = math.exp %0 : !x
  %2 = arith.addf %one, %1 : !x
  %3 = arith.divf %one, %2 : !x
  %4 = arith.divf %x, %2 : !x
  return %3, %4 : !x, !x
}

// -----

!x = tensor<2x768xf32>

// ONNX Runtime took the ½ into the next product.
// CHECK-LABEL: @gelu_without_its_half
func.func @gelu_without_its_half(%x: !x) -> !x {
  // CHECK: %[[TWO:.*]] = arith.constant dense<2.000000e+00>
  // CHECK: %[[G:.*]] = dit.gelu %arg0 approximate = none
  // CHECK: arith.mulf %[[G]], %[[TWO]]
  %root = arith.constant dense<0.70710678> : !x
  %one = arith.constant dense<1.0> : !x
  %0 = arith.mulf %x, %root : !x
  %1 = math.erf %0 : !x
  %2 = arith.addf %1, %one : !x
  %3 = arith.mulf %x, %2 : !x
  return %3 : !x
}

// -----

!x = tensor<2x768xf32>

// Another cubic coefficient is another function.
// CHECK-LABEL: @other_coefficient
func.func @other_coefficient(%x: !x) -> !x {
  // CHECK-NOT: dit.gelu
  %cubic = arith.constant dense<0.0356774> : !x
  %root = arith.constant dense<0.7978845608> : !x
  %one = arith.constant dense<1.0> : !x
  %half = arith.constant dense<0.5> : !x
  %0 = arith.mulf %x, %x : !x
  %1 = arith.mulf %0, %x : !x
  %2 = arith.mulf %1, %cubic : !x
  %3 = arith.addf %2, %x : !x
  %4 = arith.mulf %3, %root : !x
  // expected-remark @below {{no GELU}}
  %5 = math.tanh %4 : !x
  %6 = arith.addf %5, %one : !x
  %7 = arith.mulf %x, %half : !x
  %8 = arith.mulf %7, %6 : !x
  return %8 : !x
}

// -----

!x = tensor<2x768xf32>

// exp(+x)
// CHECK-LABEL: @sigmoid_of_the_other_sign
func.func @sigmoid_of_the_other_sign(%x: !x) -> !x {
  // CHECK-NOT: dit.sigmoid
  %one = arith.constant dense<1.0> : !x
  %1 = math.exp %x : !x
  %2 = arith.addf %one, %1 : !x
  %3 = arith.divf %one, %2 : !x
  return %3 : !x
}
