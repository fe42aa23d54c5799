// RUN: dit-opt %s --dit-emit-cpu-kernels --split-input-file --verify-diagnostics

func.func @unknown_function(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = dit.kernel "k" space = [4, 8] (%x) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    // expected-error @+1 {{no code can be generated: the function has no vector form}}
    %y = math.atan %a : tensor<4x8xf32>
    dit.yield %y : tensor<4x8xf32>
  }
  return %0 : tensor<4x8xf32>
}

// -----

func.func @unknown_op(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> tensor<4x8xf32> {
  %0 = dit.kernel "k" space = [4, 8] (%x, %w) : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>, %b: tensor<8x8xf32>):
    // expected-error @+1 {{no code can be generated: the op is not known inside of a kernel}}
    %y = dit.matmul %a, %b : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32>
    dit.yield %y : tensor<4x8xf32>
  }
  return %0 : tensor<4x8xf32>
}

// -----

func.func @double_erf(%x: tensor<4x8xf64>) -> tensor<4x8xf64> {
  %0 = dit.kernel "k" space = [4, 8] (%x) : (tensor<4x8xf64>) -> tensor<4x8xf64> {
  ^bb0(%a: tensor<4x8xf64>):
    // expected-error @+1 {{erf has no fp64 form}}
    %y = math.erf %a : tensor<4x8xf64>
    dit.yield %y : tensor<4x8xf64>
  }
  return %0 : tensor<4x8xf64>
}

// -----

func.func @complex(%x: tensor<4x8xcomplex<f32>>) -> tensor<4x8xcomplex<f32>> {
  %0 = dit.kernel "k" space = [4, 8] (%x) : (tensor<4x8xcomplex<f32>>) -> tensor<4x8xcomplex<f32>> {
  // expected-error @+1 {{no code can be generated for 'tensor<4x8xcomplex<f32>>'}}
  ^bb0(%a: tensor<4x8xcomplex<f32>>):
    dit.yield %a : tensor<4x8xcomplex<f32>>
  }
  return %0 : tensor<4x8xcomplex<f32>>
}
