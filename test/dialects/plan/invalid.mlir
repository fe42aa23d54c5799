// RUN: dit-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{has 44 bytes of storage, but needs 48}}
dit.global @x state : tensor<3x4xf32> {plan.storage = #plan.storage<mapped = false, offset = 0, bytes = 44>}

// -----

// expected-error @below {{is written, so that it cannot be mapped}}
dit.global @x state : tensor<3x4xf32> {plan.storage = #plan.storage<mapped = true, offset = 0, bytes = 48>}

// -----

// expected-error @below {{offset 4 must be a multiple of 64, not negative}}
dit.global @x state : tensor<3x4xf32> {plan.storage = #plan.storage<mapped = false, offset = 4, bytes = 48>}

// -----

// expected-error @below {{has unknown attribute 'plan.colour'}}
dit.global @x state : tensor<3x4xf32> {plan.colour = 3}

// -----

// expected-error @below {{'plan.storage' must be #plan.storage of a dit.global}}
module attributes {plan.storage = 3} {}

// -----

// expected-error @below {{'plan.arena_bytes' must be an integer of a module}}
module attributes {plan.arena_bytes = "many"} {}

// -----

plan.function @f step = "forward" {
  // expected-error @below {{must have at least one byte, not 0}}
  %0 = plan.buffer 0
}

// -----

plan.function @f step = "forward" {
  // expected-error @below {{offset 32 must be a multiple of 64, not negative}}
  %0 = plan.buffer 64 at 32
}

// -----

plan.function @f step = "forward" {
  // expected-error @below {{no dit.global is named @x}}
  %0 = plan.global @x 64
}

// -----

// expected-note @below {{declared here}}
dit.global @x state : tensor<3x4xf32>
plan.function @f step = "forward" {
  // expected-error @below {{has 64 bytes, but @x is stored in 48}}
  %0 = plan.global @x 64
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{reaches past the 64 bytes of its source}}
  %1 = plan.slice %0[32, 33]
}

// -----

// expected-error @below {{needs at least one row a block}}
plan.kernel @k "k" space = [4] rows_per_block = 0 {
^bb0(%a: tensor<4xf32>):
  dit.yield %a : tensor<4xf32>
}

// -----

// expected-error @below {{result 0 has 4 elements, which is neither the space's 6 nor its rows' 2}}
plan.kernel @k "k" space = [2, 3] rows_per_block = 1 {
^bb0(%a: tensor<4xf32>):
  dit.yield %a : tensor<4xf32>
}

// -----

plan.function @f step = "forward" {
  // expected-error @below {{is no instruction of a plan}}
  %0 = arith.constant dense<1.0> : tensor<4xf32>
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{no plan.kernel is named @k}}
  plan.launch @k(%0 -> %0) blocks = 1
}

// -----

plan.kernel @k "k" space = [4] rows_per_block = 1 {
^bb0(%a: tensor<4xf32>):
  dit.yield %a : tensor<4xf32>
}
plan.function @f step = "forward" {
  %0 = plan.buffer 16
  // expected-error @below {{gives 2 inputs to a kernel with 1}}
  plan.launch @k(%0, %0 -> %0) blocks = 1
}

// -----

plan.kernel @k "k" space = [4] rows_per_block = 1 {
^bb0(%a: tensor<4xf32>):
  dit.yield %a : tensor<4xf32>
}
plan.function @f step = "forward" {
  %0 = plan.buffer 16
  %1 = plan.buffer 32
  // expected-error @below {{result 0 has 32 bytes, but 'tensor<4xf32>' has 16}}
  plan.launch @k(%0 -> %1) blocks = 1
}

// -----

plan.kernel @k "k" space = [4, 1] rows_per_block = 2 {
^bb0(%a: tensor<4xf32>):
  dit.yield %a : tensor<4xf32>
}
plan.function @f step = "forward" {
  %0 = plan.buffer 16
  // expected-error @below {{does 1 blocks of 2}}
  plan.launch @k(%0 -> %0) blocks = 1
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{sizes must be 4 numbers}}
  plan.gemm %0, %0 -> %0 sizes = [4, 4, 4] leading = [4, 4, 4] strides = [0, 0, 0] types = [f32, f32, f32]
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{a needs 76 of 64 bytes}}
  plan.gemm %0, %0 -> %0 sizes = [4, 4, 4, 1] leading = [5, 4, 4] strides = [0, 0, 0] types = [f32, f32, f32] {transpose_a, transpose_b}
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{b needs 512 of 64 bytes}}
  plan.gemm %0, %0 -> %0 sizes = [4, 4, 4, 1] leading = [4, 4, 4] strides = [0, 0, 0] types = [f32, f32, f32] {packed = #dit.packed<columns = 32, vnni = 1>}
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{c needs 128 of 64 bytes}}
  plan.gemm %0, %0 -> %0 sizes = [4, 4, 4, 2] leading = [4, 4, 4] strides = [0, 0, 16] types = [f32, f32, f32]
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  %1 = plan.buffer 8
  // expected-error @below {{bias needs 16 of 8 bytes}}
  plan.gemm %0, %0 -> %0 bias %1 : f32 sizes = [4, 4, 4, 1] leading = [4, 4, 4] strides = [0, 0, 0] types = [f32, f32, f32]
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{a gate needs rows_per_gate}}
  plan.gemm %0, %0 -> %0 gate %0 : f32 residual %0 sizes = [4, 4, 4, 1] leading = [4, 4, 4] strides = [0, 0, 0] types = [f32, f32, f32]
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  %1 = plan.buffer 8
  // expected-error @below {{residual needs 64 of 8 bytes}}
  plan.gemm %0, %0 -> %0 residual %1 sizes = [4, 4, 4, 1] leading = [4, 4, 4] strides = [0, 0, 0] types = [f32, f32, f32] {residual_stride = 4 : i64}
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{gelu_tanh_grad needs aux}}
  plan.gemm %0, %0 -> %0 activation = gelu_tanh_grad sizes = [4, 4, 4, 1] leading = [4, 4, 4] strides = [0, 0, 0] types = [f32, f32, f32]
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{aux goes with gelu_tanh and its gradient}}
  plan.gemm %0, %0 -> %0 aux %0 activation = silu sizes = [4, 4, 4, 1] leading = [4, 4, 4] strides = [0, 0, 0] types = [f32, f32, f32] {aux_stride = 4 : i64}
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{aux needs 76 of 64 bytes}}
  plan.gemm %0, %0 -> %0 aux %0 activation = gelu_tanh sizes = [4, 4, 4, 1] leading = [4, 4, 4] strides = [0, 0, 0] types = [f32, f32, f32] {aux_stride = 5 : i64}
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{k needs 96 of 64 bytes}}
  plan.attention %0, %0, %0 -> %0 sizes = [1, 1, 4, 6, 4, 4] scale = 5.0e-01
      q_strides = [16, 4, 4] k_strides = [16, 4, 4] v_strides = [16, 4, 4]
      output_strides = [16, 4, 4] type = f32
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{key_head_group 2 does not divide 1 heads}}
  plan.attention %0, %0, %0 -> %0 sizes = [1, 1, 4, 4, 4, 4] scale = 5.0e-01
      q_strides = [16, 4, 4] k_strides = [16, 4, 4] v_strides = [16, 4, 4]
      output_strides = [16, 4, 4] type = f32 {key_head_group = 2 : i64}
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  %1 = plan.slice %0[0, 16]
  // expected-error @below {{mask needs 64 of 16 bytes}}
  plan.attention %0, %0, %0 -> %0 mask %1 [0, 0, 4, 1]
      sizes = [1, 1, 4, 4, 4, 4] scale = 5.0e-01
      q_strides = [16, 4, 4] k_strides = [16, 4, 4] v_strides = [16, 4, 4]
      output_strides = [16, 4, 4] type = f32
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{strides must be 24 numbers}}
  plan.attention_grad %0, %0, %0, %0, %0, %0 -> %0, %0, %0
      sizes = [1, 1, 4, 4, 4, 4] scale = 5.0e-01
      strides = [16, 4, 4, 16, 4, 4, 16, 4, 4] type = f32
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  %1 = plan.slice %0[0, 60]
  // expected-error @below {{key_grad needs 64 of 60 bytes}}
  plan.attention_grad %0, %0, %0, %0, %0, %0 -> %0, %1, %0
      sizes = [1, 1, 4, 4, 4, 4] scale = 5.0e-01
      strides = [16, 4, 4, 16, 4, 4, 16, 4, 4, 16, 4, 4, 16, 4, 4, 16, 4, 4,
                 16, 4, 4, 16, 4, 4] type = f32
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  %1 = plan.slice %0[0, 12]
  // expected-error @below {{log_sum_exp needs 16 of 12 bytes}}
  plan.attention_grad %0, %0, %0, %0, %1, %0 -> %0, %0, %0
      sizes = [1, 1, 4, 4, 4, 4] scale = 5.0e-01
      strides = [16, 4, 4, 16, 4, 4, 16, 4, 4, 16, 4, 4, 16, 4, 4, 16, 4, 4,
                 16, 4, 4, 16, 4, 4] type = f32
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  %1 = plan.buffer 65
  // expected-error @below {{copies 65 bytes, but its source has 64}}
  plan.copy %0 to %1
}

// -----

plan.function @f step = "forward" {
  %0 = plan.buffer 64
  // expected-error @below {{fills with 256, which is no byte}}
  plan.fill %0 with 256
}
