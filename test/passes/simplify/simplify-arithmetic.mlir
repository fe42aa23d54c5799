// RUN: dit-opt %s --dit-simplify-arithmetic | FileCheck %s --check-prefixes=CHECK,INFER
// RUN: dit-opt %s --dit-simplify-arithmetic=training | FileCheck %s --check-prefixes=CHECK,TRAIN

dit.global @ones constant : tensor<192xf32>
    pieces [#dit.piece<name = "", file = tensor<192xf32>, view = [192], permutation = [0], target = [192], offset = [0], source = dense<1.0> : tensor<192xf32>>]
dit.global @written_out constant : tensor<4xf32>
    pieces [#dit.piece<name = "", file = tensor<4xf32>, view = [4], permutation = [0], target = [4], offset = [0], source = dense_resource<ones> : tensor<4xf32>>]
dit.global @almost constant : tensor<4xf32>
    pieces [#dit.piece<name = "", file = tensor<4xf32>, view = [4], permutation = [0], target = [4], offset = [0], source = dense<[1.0, 1.0, 1.0, 2.0]> : tensor<4xf32>>]
dit.global @zero_bias parameter : tensor<192xf32> trainable
    pieces [#dit.piece<name = "b", file = tensor<192xf32>, view = [192], permutation = [0], target = [192], offset = [0], source = dense<0.0> : tensor<192xf32>>]
dit.global @zero_weight parameter : tensor<8x192xf32> trainable
    pieces [#dit.piece<name = "w", file = tensor<8x192xf32>, view = [8, 192], permutation = [0, 1], target = [8, 192], offset = [0, 0], source = dense<0.0> : tensor<8x192xf32>>]

// LayerNormalization without affine part, as exporters write it.
// CHECK-LABEL: @norm_times_ones
// CHECK-SAME:  %[[X:.*]]: tensor<2x64x192xf32>
func.func @norm_times_ones(%x: tensor<2x64x192xf32>) -> tensor<2x64x192xf32> {
  // CHECK-NEXT: return %[[X]]
  %w = dit.read @ones : tensor<192xf32>
  %b = dit.broadcast %w dims = [2] : tensor<192xf32> -> tensor<2x64x192xf32>
  %0 = arith.mulf %x, %b : tensor<2x64x192xf32>
  return %0 : tensor<2x64x192xf32>
}

// CHECK-LABEL: @ones_in_the_file
func.func @ones_in_the_file(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK-NEXT: return %arg0
  %w = dit.read @written_out : tensor<4xf32>
  %0 = arith.divf %x, %w : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: @not_uniform
func.func @not_uniform(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: dit.read @almost
  // CHECK: arith.mulf
  %w = dit.read @almost : tensor<4xf32>
  %0 = arith.mulf %x, %w : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// A bias that is zero now will learn.
// CHECK-LABEL: @parameter_of_zeros
func.func @parameter_of_zeros(%x: tensor<192xf32>) -> tensor<192xf32> {
  // INFER-NEXT: return %arg0
  // TRAIN:      dit.read @zero_bias
  // TRAIN:      arith.addf
  %b = dit.read @zero_bias : tensor<192xf32>
  %0 = arith.addf %b, %x : tensor<192xf32>
  return %0 : tensor<192xf32>
}

// A matrix is a weight whatever it holds.
// CHECK-LABEL: @matrix_of_zeros
func.func @matrix_of_zeros(%x: tensor<2x192xf32>) -> tensor<2x8xf32> {
  // CHECK: dit.read @zero_weight
  // CHECK: dit.matmul
  %w = dit.read @zero_weight : tensor<8x192xf32>
  %0 = dit.matmul %x, %w {transpose_rhs} : tensor<2x192xf32>, tensor<8x192xf32> -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// CHECK-LABEL: @neutral_operands
func.func @neutral_operands(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK-NEXT: return %arg0
  %zero = arith.constant dense<0.0> : tensor<4xf32>
  %one = arith.constant dense<1.0> : tensor<4xf32>
  %0 = arith.subf %x, %zero : tensor<4xf32>
  %1 = arith.mulf %one, %0 : tensor<4xf32>
  %2 = arith.divf %1, %one : tensor<4xf32>
  return %2 : tensor<4xf32>
}

// CHECK-LABEL: @division_of_one_stays
func.func @division_of_one_stays(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  // CHECK: arith.divf
  // CHECK: arith.subf
  %zero = arith.constant dense<0.0> : tensor<4xf32>
  %one = arith.constant dense<1.0> : tensor<4xf32>
  %0 = arith.divf %one, %x : tensor<4xf32>
  %1 = arith.subf %zero, %x : tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: @powers
func.func @powers(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  // CHECK: %[[S:.*]] = arith.mulf %arg0, %arg0
  // CHECK: %[[U:.*]] = arith.mulf %arg0, %arg0
  // CHECK: %[[T:.*]] = arith.mulf %[[U]], %arg0
  // CHECK: %[[R:.*]] = math.sqrt %arg0
  // CHECK: %[[P:.*]] = math.powf %arg0
  // CHECK: return %[[S]], %[[T]], %[[R]], %[[P]]
  %two = arith.constant dense<2.0> : tensor<4xf32>
  %three = arith.constant dense<3.0> : tensor<4xf32>
  %half = arith.constant dense<0.5> : tensor<4xf32>
  %other = arith.constant dense<2.5> : tensor<4xf32>
  %0 = math.powf %x, %two : tensor<4xf32>
  %1 = math.powf %x, %three : tensor<4xf32>
  %2 = math.powf %x, %half : tensor<4xf32>
  %3 = math.powf %x, %other : tensor<4xf32>
  return %0, %1, %2, %3 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: @root_of_a_constant
func.func @root_of_a_constant() -> tensor<4xf32> {
  // CHECK: arith.constant dense<1.500000e+00>
  %0 = arith.constant dense<2.25> : tensor<4xf32>
  %1 = math.sqrt %0 : tensor<4xf32>
  return %1 : tensor<4xf32>
}

{-#
  dialect_resources: {
    builtin: {
      ones: "0x040000000000803F0000803F0000803F0000803F"
    }
  }
#-}
