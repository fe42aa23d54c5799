// RUN: dit-opt %s --dit-verify-simplified=report --split-input-file --verify-diagnostics

func.func @weight_as_in_the_file(%x: tensor<2x4xf32>, %w: tensor<4x8xf32>) -> tensor<2x8xf32> {
  // expected-error @below {{has a shared rhs that is not [out, in]}}
  %0 = dit.matmul %x, %w : tensor<2x4xf32>, tensor<4x8xf32> -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// -----

func.func @op_of_another_kind(%x: tensor<2x4xf32>) -> tensor<3x4xf32> {
  %0 = arith.constant dense<0.0> : tensor<3x4xf32>
  // expected-error @below {{is not in the subset that simplify leaves}}
  %1 = tensor.insert_slice %x into %0[0, 0] [2, 4] [1, 1] : tensor<2x4xf32> into tensor<3x4xf32>
  return %1 : tensor<3x4xf32>
}

// -----

func.func @no_tensor(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{gives 'index': after simplify every value is a tensor of static shape}}
  %0 = arith.constant 0 : index
  return %x : tensor<2x4xf32>
}

// -----

func.func @legal_but_slow(%x: tensor<2x8x2x4xf32>, %y: tensor<2x2x8x4xf32>, %i: tensor<2xi64>) -> (tensor<2x8x2x4xf32>, tensor<2xi64>) {
  // expected-remark @below {{left: a softmax outside attention, stored whole}}
  %0 = dit.softmax %x : tensor<2x8x2x4xf32>
  // expected-remark @below {{left: outside GELU}}
  %1 = math.tanh %0 : tensor<2x8x2x4xf32>
  %2 = dit.transpose %y permutation = [0, 2, 1, 3] : tensor<2x2x8x4xf32>
  // expected-remark @below {{left: an operand is a transpose, which is copied}}
  %3, %lse = dit.attention %1, %2, %x scale = 0.5 : tensor<2x8x2x4xf32>, tensor<2x8x2x4xf32>, tensor<2x8x2x4xf32>
  // expected-remark @below {{left: integer arithmetic that depends on an input}}
  %4 = arith.addi %i, %i : tensor<2xi64>
  return %3, %4 : tensor<2x8x2x4xf32>, tensor<2xi64>
}
