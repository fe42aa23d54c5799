// RUN: dit-opt %s --dit-differentiate --split-input-file --verify-diagnostics

func.func @no_rule(%x: tensor<f32>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // expected-error @below {{'math.floor' op is not differentiable: it has no rule}}
  %0 = math.floor %x : tensor<f32>
  return %0 : tensor<f32>
}

// -----

// Nor has an op that uses the value inside.
func.func @no_rule_for_regions(%x: tensor<4xf32>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // expected-error @below {{'dit.kernel' op is not differentiable: it has no rule}}
  %0 = dit.kernel "negate" space = [1, 4] (%x) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>):
    %n = arith.negf %a : tensor<4xf32>
    dit.yield %n : tensor<4xf32>
  }
  %l = dit.reduce sum %0 dims = [0] : tensor<4xf32>
  return %l : tensor<f32>
}

// -----

func.func private @other(tensor<f32>) -> tensor<f32>
func.func @no_rule_for_calls(%x: tensor<f32>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // expected-error @below {{'func.call' op is not differentiable: it has no rule}}
  %0 = func.call @other(%x) : (tensor<f32>) -> tensor<f32>
  return %0 : tensor<f32>
}

// -----

func.func @exponent(%x: tensor<f32>, %p: tensor<f32>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: 1>} {
  // expected-error @below {{is not differentiable by its exponent}}
  %0 = math.powf %x, %p : tensor<f32>
  return %0 : tensor<f32>
}

// -----

func.func @product(%x: tensor<4xf32>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // expected-error @below {{is not differentiable: products have no rule}}
  %0 = dit.reduce prod %x dims = [0] : tensor<4xf32>
  return %0 : tensor<f32>
}

// -----

func.func @layer_norm_statistics(%x: tensor<4xf32>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // expected-error @below {{is not differentiable through its mean and rstd}}
  %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : tensor<4xf32>
  return %rstd : tensor<f32>
}

// -----

func.func @rms_norm_statistics(%x: tensor<4xf32>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // expected-error @below {{is not differentiable through its rstd}}
  %n, %rstd = dit.rms_norm %x eps = 1.0e-6 : tensor<4xf32>
  return %rstd : tensor<f32>
}

// -----

func.func @epilogue(%x: tensor<1x4xf32>, %w: tensor<1x4xf32>) -> tensor<1x1xf32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // expected-error @below {{is not differentiable with an epilogue: differentiate before fusion}}
  %0 = dit.matmul %x, %w activation = silu {transpose_rhs} : tensor<1x4xf32>, tensor<1x4xf32> -> tensor<1x1xf32>
  return %0 : tensor<1x1xf32>
}

// -----

func.func @log_sum_exp(%q: tensor<1x1x1x4xf32>) -> tensor<1x1x1xf32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // expected-error @below {{is not differentiable through its log_sum_exp}}
  %o, %lse = dit.attention %q, %q, %q scale = 0.5 : tensor<1x1x1x4xf32>, tensor<1x1x1x4xf32>, tensor<1x1x1x4xf32>
  return %lse : tensor<1x1x1xf32>
}

// -----

func.func @mask(%q: tensor<1x1x1x1xf32>, %m: tensor<1x1x1x1xf32>) -> tensor<1x1x1x1xf32> attributes {dit.loss = 0, dit.wrt = array<i64: 1>} {
  // expected-error @below {{is not differentiable by its mask}}
  %o, %lse = dit.attention %q, %q, %q mask %m scale = 0.5 : tensor<1x1x1x1xf32>, tensor<1x1x1x1xf32>, tensor<1x1x1x1xf32>, tensor<1x1x1x1xf32>
  return %o : tensor<1x1x1x1xf32>
}

// -----

func.func @dynamic_slice(%x: tensor<4xf32>, %i: index) -> tensor<1xf32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // expected-error @below {{is not differentiable: its place is dynamic}}
  %0 = tensor.extract_slice %x[%i] [1] [1] : tensor<4xf32> to tensor<1xf32>
  return %0 : tensor<1xf32>
}

// -----

func.func @loss_of_two(%x: tensor<2xf32>) -> tensor<2xf32> attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
  // expected-error @below {{the loss must be one floating-point number, but is 'tensor<2xf32>'}}
  %0 = arith.negf %x : tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

// expected-error @below {{needs a body, 'dit.loss', the index of a result, and 'dit.wrt', indices of arguments}}
func.func @loss_alone(%x: tensor<f32>) -> tensor<f32> attributes {dit.loss = 0} {
  return %x : tensor<f32>
}

// -----

// expected-error @below {{has no result 1 to be the loss}}
func.func @loss_index(%x: tensor<f32>) -> tensor<f32> attributes {dit.loss = 1, dit.wrt = array<i64: 0>} {
  return %x : tensor<f32>
}

// -----

// expected-error @below {{has no argument -1}}
func.func @argument_index(%x: tensor<f32>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: -1>} {
  return %x : tensor<f32>
}

// -----

// expected-error @below {{has no gradient by argument 1, a 'tensor<i64>'}}
func.func @argument_type(%x: tensor<f32>, %y: tensor<i64>) -> tensor<f32> attributes {dit.loss = 0, dit.wrt = array<i64: 1>} {
  return %x : tensor<f32>
}
