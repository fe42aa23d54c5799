// RUN: dit-opt %s --split-input-file --verify-diagnostics

func.func @gelu_grad_types(%x: tensor<4xf32>, %dy: tensor<2xf32>) {
  // expected-error @below {{requires the same type for all operands and results}}
  %0 = "dit.gelu_grad"(%x, %dy) {approximate = #dit<approximate tanh>} : (tensor<4xf32>, tensor<2xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @stop_gradient_types(%x: tensor<4xf32>) {
  // expected-error @below {{requires the same type for all operands and results}}
  %0 = "dit.stop_gradient"(%x) : (tensor<4xf32>) -> tensor<4xbf16>
  return
}

// -----

func.func @after_types(%x: tensor<4xf32>, %dy: tensor<4xf32>) {
  // expected-error @below {{failed to verify that all of {input, result} have same type}}
  %0 = "dit.after"(%x, %dy) : (tensor<4xf32>, tensor<4xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @scatter_add_scalar(%i: tensor<4xi64>, %u: tensor<4xf32>) {
  // expected-error @below {{the table is a scalar}}
  %0 = dit.scatter_add %i, %u : tensor<4xi64>, tensor<4xf32> -> tensor<f32>
  return
}

// -----

func.func @scatter_add_no_rows(%i: tensor<4xi64>, %u: tensor<4xf32>) {
  // expected-error @below {{the table has no rows}}
  %0 = dit.scatter_add %i, %u : tensor<4xi64>, tensor<4xf32> -> tensor<0xf32>
  return
}

// -----

func.func @scatter_add_updates(%i: tensor<4x2xi64>, %u: tensor<4x3xf32>) {
  // expected-error @below {{updates must have shape 4, 2, 3: one row of the table for each index}}
  %0 = dit.scatter_add %i, %u : tensor<4x2xi64>, tensor<4x3xf32> -> tensor<11x3xf32>
  return
}

// -----

// Query, key, value and mask must be as in dit.attention.
func.func @attention_grad_heads(%q: tensor<1x2x3x4xf32>, %k: tensor<1x2x2x4xf32>, %lse: tensor<1x3x2xf32>) {
  // expected-error @below {{query has 3 heads, which the 2 of key do not divide}}
  %0:3 = dit.attention_grad %q, %k, %k output %q, %lse cotangent %q scale = 0.5
      : tensor<1x2x3x4xf32>, tensor<1x2x2x4xf32>, tensor<1x2x2x4xf32>
        output tensor<1x2x3x4xf32>, tensor<1x3x2xf32> cotangent tensor<1x2x3x4xf32>
  return
}

// -----

func.func @attention_grad_cotangent(%q: tensor<1x2x3x4xf32>, %v: tensor<1x2x3x5xf32>, %o: tensor<1x2x3x5xf32>, %lse: tensor<1x3x2xf32>) {
  // expected-error @below {{output and cotangent must be 'tensor<1x2x3x5xf32>'}}
  %0:3 = dit.attention_grad %q, %q, %v output %o, %lse cotangent %q scale = 0.5
      : tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x5xf32>
        output tensor<1x2x3x5xf32>, tensor<1x3x2xf32> cotangent tensor<1x2x3x4xf32>
  return
}

// -----

func.func @attention_grad_statistics(%q: tensor<1x2x3x4xbf16>, %lse: tensor<1x3x2xbf16>) {
  // expected-error @below {{log_sum_exp must be 'tensor<1x3x2xf32>'}}
  %0:3 = dit.attention_grad %q, %q, %q output %q, %lse cotangent %q scale = 0.5
      : tensor<1x2x3x4xbf16>, tensor<1x2x3x4xbf16>, tensor<1x2x3x4xbf16>
        output tensor<1x2x3x4xbf16>, tensor<1x3x2xbf16> cotangent tensor<1x2x3x4xbf16>
  return
}

// -----

func.func @attention_grad_results(%q: tensor<1x2x3x4xf32>, %lse: tensor<1x3x2xf32>) {
  // expected-error @below {{inferred type(s)}}
  // expected-error @below {{failed to infer returned types}}
  %0:3 = "dit.attention_grad"(%q, %q, %q, %q, %lse, %q) {scale = 0.5 : f64}
      : (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x3x2xf32>, tensor<1x2x3x4xf32>)
        -> (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x4xbf16>)
  return
}
