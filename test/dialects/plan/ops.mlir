// RUN: dit-opt %s | dit-opt | FileCheck %s

// CHECK: dit.global @x
// CHECK-SAME: {plan.storage = #plan.storage<mapped = false, offset = 64, bytes = 48>}
dit.global @x state : tensor<3x4xf32>
    {plan.storage = #plan.storage<mapped = false, offset = 64, bytes = 48>}
// A packed weight of 3 rows has a panel of 32.
dit.global @w parameter : tensor<3x4xf32> packed <columns = 32, vnni = 1>
    {plan.storage = #plan.storage<mapped = true, offset = 0, bytes = 512>}

// CHECK: plan.kernel @dit_double_0 "double" space = [3, 4] rows_per_block = 2 {
// CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<3x4xf32>):
// CHECK-NEXT:   arith.addf
// CHECK-NEXT:   dit.yield
plan.kernel @dit_double_0 "double" space = [3, 4] rows_per_block = 2 {
^bb0(%a: tensor<3x4xf32>):
  %r = arith.addf %a, %a : tensor<3x4xf32>
  dit.yield %r : tensor<3x4xf32>
}

// CHECK: plan.function @step step = "forward" arena_bytes = 128 {
plan.function @step step = "forward" arena_bytes = 128 {
  // CHECK: %[[X:.*]] = plan.global @x 48
  %x = plan.global @x 48
  // CHECK: %[[W:.*]] = plan.global @w 512
  %w = plan.global @w 512
  // CHECK: %[[H:.*]] = plan.buffer 48 at 0
  %h = plan.buffer 48 at 0
  // CHECK: %[[Y:.*]] = plan.buffer 36
  %y = plan.buffer 36
  // CHECK: %[[R:.*]] = plan.slice %[[X]][16, 16]
  %r = plan.slice %x[16, 16]
  // CHECK: plan.launch @dit_double_0(%[[X]] -> %[[H]]) blocks = 2
  plan.launch @dit_double_0(%x -> %h) blocks = 2
  // CHECK: plan.gemm %[[H]], %[[W]] -> %[[Y]] bias %[[R]] : f32 gate %[[R]] : f32 residual %[[Y]] activation = silu
  // CHECK-SAME: sizes = [3, 3, 4, 1] leading = [4, 0, 3] strides = [0, 0, 0] types = [f32, f32, f32]
  plan.gemm %h, %w -> %y bias %r : f32 gate %r : f32 residual %y activation = silu
      sizes = [3, 3, 4, 1] leading = [4, 0, 3] strides = [0, 0, 0]
      types = [f32, f32, f32] {packed = #dit.packed<columns = 32, vnni = 1>,
      rows_per_gate = 3 : i64, gate_stride = 3 : i64, residual_stride = 3 : i64}
  // CHECK: plan.gemm %[[H]], %[[W]] -> %[[Y]] aux %[[X]] activation = gelu_tanh_grad
  // CHECK-SAME: {aux_stride = 4 : i64}
  plan.gemm %h, %w -> %y aux %x activation = gelu_tanh_grad
      sizes = [3, 3, 4, 1] leading = [4, 3, 3] strides = [0, 0, 0]
      types = [f32, f32, f32] {aux_stride = 4 : i64}
  // CHECK: plan.attention %[[H]], %[[H]], %[[H]] -> %[[X]] mask %[[R]] [0, 0, 0, 1] log_sum_exp %[[Y]]
  // CHECK-SAME: sizes = [1, 1, 3, 3, 4, 4] scale = 5.000000e-01
  plan.attention %h, %h, %h -> %x mask %r [0, 0, 0, 1] log_sum_exp %y
      sizes = [1, 1, 3, 3, 4, 4] scale = 5.0e-01
      q_strides = [12, 4, 4] k_strides = [12, 4, 4] v_strides = [12, 4, 4]
      output_strides = [12, 4, 4] type = f32
  // CHECK: plan.attention_grad %[[H]], %[[H]], %[[H]], %[[X]], %[[Y]], %[[X]] -> %[[H]], %[[X]], %[[H]] mask %[[R]] [0, 0, 0, 1] workspace %[[Y]]
  // CHECK-SAME: sizes = [1, 1, 3, 3, 4, 4] scale = 5.000000e-01 strides = [12, 4, 4,
  plan.attention_grad %h, %h, %h, %x, %y, %x -> %h, %x, %h
      mask %r [0, 0, 0, 1] workspace %y
      sizes = [1, 1, 3, 3, 4, 4] scale = 5.0e-01
      strides = [12, 4, 4, 12, 4, 4, 12, 4, 4, 12, 4, 4, 12, 4, 4, 12, 4, 4,
                 12, 4, 4, 12, 4, 4] type = f32
  // CHECK: plan.copy %[[R]] to %[[R]]
  plan.copy %r to %r
  // CHECK: plan.fill %[[X]] with 255
  plan.fill %x with 255
}
