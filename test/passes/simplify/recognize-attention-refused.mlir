// RUN: dit-opt %s --dit-recognize-attention=report --split-input-file --verify-diagnostics | FileCheck %s

!heads = tensor<2x4x64x48xf32>
!scores = tensor<2x4x64x64xf32>

// CHECK-LABEL: @scores_are_a_function_of_the_product
func.func @scores_are_a_function_of_the_product(%q: !heads, %k: !heads, %v: !heads) -> !heads {
  // CHECK-NOT: dit.attention
  %0 = dit.matmul %q, %k {transpose_rhs} : !heads, !heads -> !scores
  %1 = math.tanh %0 : !scores
  // expected-remark @below {{no attention: its input is not a scaled, masked product of two batched tensors}}
  %2 = dit.softmax %1 : !scores
  %3 = dit.matmul %2, %v : !scores, !heads -> !heads
  return %3 : !heads
}

// -----

!heads = tensor<2x4x64x48xf32>
!scores = tensor<2x4x64x64xf32>

// CHECK-LABEL: @probabilities_are_the_result
func.func @probabilities_are_the_result(%q: !heads, %k: !heads) -> !scores {
  // CHECK-NOT: dit.attention
  %0 = dit.matmul %q, %k {transpose_rhs} : !heads, !heads -> !scores
  // expected-remark @below {{no attention: its result does not go to one product with V}}
  %1 = dit.softmax %0 : !scores
  return %1 : !scores
}

// -----

!heads = tensor<2x4x64x48xf32>
!scores = tensor<2x4x64x64xf32>

// V is multiplied with the probabilities of other rows.
// CHECK-LABEL: @transposed_probabilities
func.func @transposed_probabilities(%q: !heads, %k: !heads, %v: !heads) -> !heads {
  // CHECK-NOT: dit.attention
  %0 = dit.matmul %q, %k {transpose_rhs} : !heads, !heads -> !scores
  // expected-remark @below {{no attention}}
  %1 = dit.softmax %0 : !scores
  %2 = dit.transpose %1 permutation = [0, 1, 3, 2] : !scores
  %3 = dit.matmul %2, %v : !scores, !heads -> !heads
  return %3 : !heads
}

// -----

!heads = tensor<2x4x64x48xf32>
!scores = tensor<2x4x64x64xf32>

// Scores of 0 where the condition is false are scores like any other.
// CHECK-LABEL: @zero_elsewhere
func.func @zero_elsewhere(%q: !heads, %k: !heads, %v: !heads, %m: tensor<2x4x64x64xi1>) -> !heads {
  // CHECK-NOT: dit.attention
  %zero = arith.constant dense<0.0> : !scores
  %0 = dit.matmul %q, %k {transpose_rhs} : !heads, !heads -> !scores
  %1 = arith.select %m, %0, %zero : tensor<2x4x64x64xi1>, !scores
  // expected-remark @below {{no attention: its input is not a scaled, masked product}}
  %2 = dit.softmax %1 : !scores
  %3 = dit.matmul %2, %v : !scores, !heads -> !heads
  return %3 : !heads
}
