// RUN: dit-opt %s --split-input-file --dit-verify-lowering --verify-diagnostics

// expected-error @below {{has no place}}
dit.global @x input : tensor<4xf32>

// -----

// expected-error @below {{is never launched}}
plan.kernel @k "k" space = [4] rows_per_block = 1 {
^bb0(%a: tensor<4xf32>):
  dit.yield %a : tensor<4xf32>
}

// -----

// expected-error @below {{is left after lowering}}
func.func @f() {
  return
}

// -----

// Nothing is wrong here.
dit.global @x state : tensor<4xf32> {plan.storage = #plan.storage<mapped = false, offset = 0, bytes = 16>}
plan.kernel @k "k" space = [4] rows_per_block = 1 {
^bb0(%a: tensor<4xf32>):
  dit.yield %a : tensor<4xf32>
}
plan.function @f step = "forward" {
  %0 = plan.global @x 16
  plan.launch @k(%0 -> %0) blocks = 1
}
