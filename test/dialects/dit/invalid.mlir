// RUN: dit-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{piece 'w' has 6 elements, but its view 4}}
#piece = #dit.piece<name = "w", file = tensor<2x3xf32>, view = [2, 2], permutation = [0, 1], target = [2, 3], offset = [0, 0], source = unit>
dit.global @w parameter : tensor<2x3xf32> pieces [#piece]

// -----

// expected-error @below {{view, permutation, target and offset of piece 'w' must have one rank}}
#piece = #dit.piece<name = "w", file = tensor<2x3xf32>, view = [2, 3], permutation = [0, 1], target = [6], offset = [0], source = unit>
dit.global @w parameter : tensor<2x3xf32> pieces [#piece]

// -----

// expected-error @below {{permutation of piece 'w' is not a permutation}}
#piece = #dit.piece<name = "w", file = tensor<2x3xf32>, view = [2, 3], permutation = [0, 0], target = [2, 3], offset = [0, 0], source = unit>
dit.global @w parameter : tensor<2x3xf32> pieces [#piece]

// -----

// expected-error @below {{piece 'w' reaches from 1 to 3 in dimension 0 of size 2}}
#piece = #dit.piece<name = "w", file = tensor<2x3xf32>, view = [2, 3], permutation = [0, 1], target = [2, 3], offset = [1, 0], source = unit>
dit.global @w parameter : tensor<2x3xf32> pieces [#piece]

// -----

// expected-error @below {{piece 'w' sees the global as 6 elements, but it has 8}}
dit.global @w parameter : tensor<8xf32> pieces [#dit.piece<name = "w", file = tensor<6xf32>, view = [6], permutation = [0], target = [6], offset = [0], source = unit>]

// -----

// expected-error @below {{pieces give 4 of 8 elements}}
dit.global @w parameter : tensor<8xf32> pieces [#dit.piece<name = "w", file = tensor<4xf32>, view = [4], permutation = [0], target = [8], offset = [4], source = unit>]

// -----

// expected-error @below {{piece 'w' is 'tensor<4xf32>', but its values are 'tensor<2xf32>'}}
dit.global @w parameter : tensor<4xf32> pieces [#dit.piece<name = "w", file = tensor<4xf32>, view = [4], permutation = [0], target = [4], offset = [0], source = dense<1.0> : tensor<2xf32>>]

// -----

// expected-note @below {{the flat global is}}
dit.global @flat state : tensor<128xf32>
// expected-error @below {{of type 'tensor<4x16xf32>' cannot be at 60 of @flat}}
dit.global @w parameter : tensor<4x16xf32> within @flat at 60

// -----

// expected-note @below {{the flat global is 'tensor<128xf32>'}}
dit.global @flat state : tensor<128xf32>
// expected-error @below {{cannot be at 64 of @flat: a flat global has rank 1, room for the member}}
dit.global @w parameter : tensor<65xf32> within @flat at 64

// -----

// expected-note @below {{the flat global is}}
dit.global @flat state : tensor<128xf32>
// expected-error @below {{of type 'tensor<4xbf16>' cannot be at 0 of @flat}}
dit.global @w parameter : tensor<4xbf16> within @flat at 0

// -----

dit.global @flat state : tensor<128xf32>
// expected-note @below {{the flat global is}}
dit.global @inner state : tensor<64xf32> within @flat at 0
// expected-error @below {{cannot be at 0 of @inner}}
dit.global @w parameter : tensor<4xf32> within @inner at 0

// -----

// expected-error @below {{no dit.global is named @nowhere}}
dit.global @w parameter : tensor<4xf32> within @nowhere at 0

// -----

dit.global @flat state : tensor<128xf32>
// expected-error @below {{cannot be packed within a flat global}}
dit.global @w parameter : tensor<4x16xf32> within @flat at 0 packed #dit.packed<columns = 32, vnni = 1>

// -----

// expected-error @below {{only a parameter can be trainable}}
dit.global @s state : tensor<4xf32> trainable

// -----

func.func @read_of_nothing() -> tensor<4xf32> {
  // expected-error @below {{no dit.global is named @missing}}
  %0 = dit.read @missing : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// expected-note @below {{declared here}}
dit.global @s state : tensor<4xf32>
func.func @write_of_another_type(%x: tensor<4xbf16>) {
  // expected-error @below {{has type 'tensor<4xbf16>', but @s is 'tensor<4xf32>'}}
  dit.write %x, @s : tensor<4xbf16>
  return
}

// -----

func.func @broadcast_rank(%x: tensor<8x192xf32>) -> tensor<8x64x192xf32> {
  // expected-error @below {{has 1 dims for an input of rank 2}}
  %0 = dit.broadcast %x dims = [0] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  return %0 : tensor<8x64x192xf32>
}

// -----

func.func @broadcast_order(%x: tensor<8x8xf32>) -> tensor<8x8x8xf32> {
  // expected-error @below {{dims must increase and lie below 3}}
  %0 = dit.broadcast %x dims = [1, 0] : tensor<8x8xf32> -> tensor<8x8x8xf32>
  return %0 : tensor<8x8x8xf32>
}

// -----

func.func @broadcast_size(%x: tensor<8x32xf32>) -> tensor<8x64x192xf32> {
  // expected-error @below {{dimension 1 of the input is 32, but dimension 2 of the result is 192}}
  %0 = dit.broadcast %x dims = [0, 2] : tensor<8x32xf32> -> tensor<8x64x192xf32>
  return %0 : tensor<8x64x192xf32>
}

// -----

func.func @transpose_rank(%x: tensor<8x32xf32>) {
  // expected-error @below {{permutes dimension 2, but the input has rank 2}}
  %0 = dit.transpose %x permutation = [1, 2] : tensor<8x32xf32>
  return
}

// -----

func.func @transpose_twice(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {
  // expected-error @below {{permutation must name every dimension of the input, of rank 2, once}}
  %0 = dit.transpose %x permutation = [0, 0] : tensor<8x8xf32>
  return %0 : tensor<8x8xf32>
}

// -----

func.func @reduce_dims(%x: tensor<8x8xf32>) -> tensor<8xf32> {
  // expected-error @below {{dims must increase and lie below the input's rank 2}}
  %0 = dit.reduce sum %x dims = [1, 1] : tensor<8x8xf32>
  return %0 : tensor<8xf32>
}

// -----

func.func @matmul_rank(%x: tensor<8xf32>, %w: tensor<4x8xf32>) -> tensor<4xf32> {
  // expected-error @below {{operands need rank 2 or more}}
  %0 = dit.matmul %x, %w {transpose_rhs} : tensor<8xf32>, tensor<4x8xf32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @matmul_types(%x: tensor<2x8xf32>, %w: tensor<4x8xbf16>) -> tensor<2x4xf32> {
  // expected-error @below {{multiplies 'f32' with 'bf16'}}
  %0 = dit.matmul %x, %w {transpose_rhs} : tensor<2x8xf32>, tensor<4x8xbf16> -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @matmul_batch(%x: tensor<3x2x8xf32>, %w: tensor<5x4x8xf32>) -> tensor<3x2x4xf32> {
  // expected-error @below {{rhs must be shared (rank 2) or have lhs's batch}}
  %0 = dit.matmul %x, %w {transpose_rhs} : tensor<3x2x8xf32>, tensor<5x4x8xf32> -> tensor<3x2x4xf32>
  return %0 : tensor<3x2x4xf32>
}

// -----

func.func @matmul_depth(%x: tensor<2x8xf32>, %w: tensor<4x9xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{depth is 8 in lhs, but 9 in rhs}}
  %0 = dit.matmul %x, %w {transpose_rhs} : tensor<2x8xf32>, tensor<4x9xf32> -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @matmul_result(%x: tensor<3x2x8xf32>, %w: tensor<4x8xf32>) -> tensor<6x4xf32> {
  // expected-error @below {{result must have shape 3, 2, 4}}
  %0 = dit.matmul %x, %w {transpose_rhs} : tensor<3x2x8xf32>, tensor<4x8xf32> -> tensor<6x4xf32>
  return %0 : tensor<6x4xf32>
}

// -----

func.func @matmul_bias(%x: tensor<2x8xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{bias must have 4 elements}}
  %0 = dit.matmul %x, %w bias %b {transpose_rhs} : tensor<2x8xf32>, tensor<4x8xf32> bias tensor<8xf32> -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @matmul_gate_alone(%x: tensor<2x8xf32>, %w: tensor<4x8xf32>, %g: tensor<2x4xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{a gate needs a residual}}
  %0 = dit.matmul %x, %w gate %g {transpose_rhs} : tensor<2x8xf32>, tensor<4x8xf32> gate tensor<2x4xf32> -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @matmul_residual(%x: tensor<2x8xf32>, %w: tensor<4x8xf32>, %r: tensor<2x8xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{residual must be like the result}}
  %0 = dit.matmul %x, %w residual %r {transpose_rhs} : tensor<2x8xf32>, tensor<4x8xf32> residual tensor<2x8xf32> -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @matmul_gate_rows(%x: tensor<2x3x8xf32>, %w: tensor<4x8xf32>, %r: tensor<2x3x4xf32>, %g: tensor<3x4xf32>) -> tensor<2x3x4xf32> {
  // expected-error @below {{gate must be 2 rows of 4 elements}}
  %0 = dit.matmul %x, %w gate %g residual %r {transpose_rhs} : tensor<2x3x8xf32>, tensor<4x8xf32> gate tensor<3x4xf32> residual tensor<2x3x4xf32> -> tensor<2x3x4xf32>
  return %0 : tensor<2x3x4xf32>
}

// -----

func.func @matmul_grad_alone(%x: tensor<2x8xf32>, %w: tensor<4x8xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{gelu_tanh_grad, and nothing else, needs aux}}
  %0 = dit.matmul %x, %w activation = gelu_tanh_grad {transpose_rhs} : tensor<2x8xf32>, tensor<4x8xf32> -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @matmul_aux(%x: tensor<2x8xf32>, %w: tensor<4x8xf32>, %a: tensor<2x4xbf16>) -> tensor<2x4xf32> {
  // expected-error @below {{aux must be like the result}}
  %0 = dit.matmul %x, %w aux %a activation = gelu_tanh_grad {transpose_rhs} : tensor<2x8xf32>, tensor<4x8xf32> aux tensor<2x4xbf16> -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @matmul_saves_without_gelu(%x: tensor<2x8xf32>, %w: tensor<4x8xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{saves what gelu_tanh reads alone}}
  %0, %1 = dit.matmul %x, %w {transpose_rhs} : tensor<2x8xf32>, tensor<4x8xf32> -> tensor<2x4xf32> saved tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @matmul_saved(%x: tensor<2x8xf32>, %w: tensor<4x8xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{saves a tensor that is not like the result}}
  %0, %1 = dit.matmul %x, %w activation = gelu_tanh {transpose_rhs} : tensor<2x8xf32>, tensor<4x8xf32> -> tensor<2x4xf32> saved tensor<2x4xbf16>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @norm_of_scalar(%x: tensor<f32>) -> tensor<f32> {
  // expected-error @below {{needs a last dimension, but its input is a scalar}}
  %0, %1, %2 = dit.layer_norm %x eps = 1.0e-6 : tensor<f32>
  return %0 : tensor<f32>
}

// -----

func.func @attention_rank(%q: tensor<8x64x192xf32>) {
  // expected-error @below {{query, key and value must be [batch, tokens, heads, dim]}}
  %0:2 = "dit.attention"(%q, %q, %q) {scale = 1.0 : f64} : (tensor<8x64x192xf32>, tensor<8x64x192xf32>, tensor<8x64x192xf32>) -> (tensor<8x64x192xf32>, tensor<8x64xf32>)
  return
}

// -----

func.func @attention_types(%q: tensor<8x64x4x48xf32>, %k: tensor<8x64x4x48xbf16>) -> tensor<8x64x4x48xf32> {
  // expected-error @below {{query, key and value must have one element type}}
  %0, %1 = dit.attention %q, %k, %k scale = 1.0 : tensor<8x64x4x48xf32>, tensor<8x64x4x48xbf16>, tensor<8x64x4x48xbf16>
  return %0 : tensor<8x64x4x48xf32>
}

// -----

func.func @attention_tokens(%q: tensor<8x64x4x48xf32>, %v: tensor<8x32x4x48xf32>) -> tensor<8x64x4x48xf32> {
  // expected-error @below {{key and value must share batch, tokens and heads, and query the batch}}
  %0, %1 = dit.attention %q, %q, %v scale = 1.0 : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x32x4x48xf32>
  return %0 : tensor<8x64x4x48xf32>
}

// -----

func.func @attention_dim(%q: tensor<8x64x4x48xf32>, %k: tensor<8x64x4x32xf32>) -> tensor<8x64x4x48xf32> {
  // expected-error @below {{query has head dimension 48, but key 32}}
  %0, %1 = dit.attention %q, %k, %q scale = 1.0 : tensor<8x64x4x48xf32>, tensor<8x64x4x32xf32>, tensor<8x64x4x48xf32>
  return %0 : tensor<8x64x4x48xf32>
}

// -----

func.func @attention_heads(%q: tensor<8x64x4x48xf32>, %k: tensor<8x64x3x48xf32>) -> tensor<8x64x4x48xf32> {
  // expected-error @below {{query has 4 heads, which the 3 of key do not divide}}
  %0, %1 = dit.attention %q, %k, %k scale = 1.0 : tensor<8x64x4x48xf32>, tensor<8x64x3x48xf32>, tensor<8x64x3x48xf32>
  return %0 : tensor<8x64x4x48xf32>
}

// -----

func.func @attention_mask_type(%q: tensor<8x64x4x48xf32>, %m: tensor<8x1x1x64xi1>) -> tensor<8x64x4x48xf32> {
  // expected-error @below {{operand #3 must be}}
  %0, %1 = dit.attention %q, %q, %q mask %m scale = 1.0 : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x1x1x64xi1>
  return %0 : tensor<8x64x4x48xf32>
}

// -----

func.func @attention_mask_rank(%q: tensor<8x64x4x48xf32>, %m: tensor<8x64xf32>) -> tensor<8x64x4x48xf32> {
  // expected-error @below {{mask must be fp32 [batch, heads, queries, keys]}}
  %0, %1 = dit.attention %q, %q, %q mask %m scale = 1.0 : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64xf32>
  return %0 : tensor<8x64x4x48xf32>
}

// -----

func.func @attention_mask_size(%q: tensor<8x64x4x48xf32>, %m: tensor<8x1x1x32xf32>) -> tensor<8x64x4x48xf32> {
  // expected-error @below {{dimension 3 of the mask is 32, not 1 or 64}}
  %0, %1 = dit.attention %q, %q, %q mask %m scale = 1.0 : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x1x1x32xf32>
  return %0 : tensor<8x64x4x48xf32>
}

// -----

func.func @gather_of_scalar(%t: tensor<f32>, %i: tensor<8xi64>) {
  // expected-error @below {{the table is a scalar}}
  %0 = "dit.gather"(%t, %i) : (tensor<f32>, tensor<8xi64>) -> tensor<8xf32>
  return
}

// -----

func.func @gather_of_nothing(%t: tensor<0x4xf32>, %i: tensor<8xi64>) -> tensor<8x4xf32> {
  // expected-error @below {{the table has no rows}}
  %0 = dit.gather %t, %i : tensor<0x4xf32>, tensor<8xi64>
  return %0 : tensor<8x4xf32>
}

// -----

func.func @random_type(%s: tensor<1xi64>, %p: tensor<8xi64>) -> tensor<8x4xbf16> {
  // expected-error @below {{gives fp32}}
  %0 = dit.random normal stream = 0 at (%s, %s, %p) : tensor<1xi64>, tensor<1xi64>, tensor<8xi64> -> tensor<8x4xbf16>
  return %0 : tensor<8x4xbf16>
}

// -----

func.func @random_seed(%s: tensor<2xi64>, %p: tensor<8xi64>) -> tensor<8x4xf32> {
  // expected-error @below {{seed and step are one number each}}
  %0 = dit.random normal stream = 0 at (%s, %s, %p) : tensor<2xi64>, tensor<2xi64>, tensor<8xi64> -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// -----

func.func @random_pictures(%s: tensor<1xi64>, %p: tensor<8xi64>) -> tensor<4x4xf32> {
  // expected-error @below {{needs one picture number for each leading index of the result}}
  %0 = dit.random normal stream = 0 at (%s, %s, %p) : tensor<1xi64>, tensor<1xi64>, tensor<8xi64> -> tensor<4x4xf32>
  return %0 : tensor<4x4xf32>
}

// -----

func.func @kernel_without_lane(%x: tensor<f32>) -> tensor<f32> {
  // expected-error @below {{space has no lane}}
  %0 = dit.kernel "k" space = [] (%x) : (tensor<f32>) -> tensor<f32> {
  ^bb0(%a: tensor<f32>):
    dit.yield %a : tensor<f32>
  }
  return %0 : tensor<f32>
}

// -----

func.func @kernel_result(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  // expected-error @below {{result 0 has 32 elements, which is neither the space's 64 nor its rows' 8}}
  %0 = dit.kernel "k" space = [8, 8] (%x) : (tensor<8x4xf32>) -> tensor<8x4xf32> {
  ^bb0(%a: tensor<8x4xf32>):
    dit.yield %a : tensor<8x4xf32>
  }
  return %0 : tensor<8x4xf32>
}

// -----

func.func @kernel_arguments(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  // expected-error @below {{the body's arguments must have the inputs' types}}
  %0 = dit.kernel "k" space = [8, 4] (%x) : (tensor<8x4xf32>) -> tensor<8x4xf32> {
  ^bb0(%a: tensor<8x4xbf16>):
    %b = arith.extf %a : tensor<8x4xbf16> to tensor<8x4xf32>
    dit.yield %b : tensor<8x4xf32>
  }
  return %0 : tensor<8x4xf32>
}

// -----

func.func @kernel_yield(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %0 = dit.kernel "k" space = [8, 4] (%x) : (tensor<8x4xf32>) -> tensor<8x4xf32> {
  ^bb0(%a: tensor<8x4xf32>):
    // expected-error @below {{must yield the kernel's result types}}
    dit.yield %a, %a : tensor<8x4xf32>, tensor<8x4xf32>
  }
  return %0 : tensor<8x4xf32>
}

// -----

dit.global @s state : tensor<8x4xf32>
func.func @kernel_effect(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %0 = dit.kernel "k" space = [8, 4] (%x) : (tensor<8x4xf32>) -> tensor<8x4xf32> {
  ^bb0(%a: tensor<8x4xf32>):
    // expected-error @below {{cannot be inside a kernel: it must be a pure op without regions}}
    dit.write %a, @s : tensor<8x4xf32>
    dit.yield %a : tensor<8x4xf32>
  }
  return %0 : tensor<8x4xf32>
}
