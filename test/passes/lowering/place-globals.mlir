// RUN: dit-opt %s --dit-place-globals | FileCheck %s
// RUN: dit-opt %s --dit-place-globals=external-weights | FileCheck %s --check-prefix=EXTERNAL

#one = #dit.piece<name = "one", file = tensor<3xf32>, view = [3], permutation = [0], target = [3], offset = [0], source = dense<1.0> : tensor<3xf32>>
#drawn = #dit.piece<name = "drawn", file = tensor<3xf32>, view = [3], permutation = [0], target = [3], offset = [0], source = #dit.init<zeros, value = 0.0 : f64, fan_in = 0, fan_out = 0, seed = 0, stream = 0>>
#table = #dit.piece<name = "", file = tensor<3xf32>, view = [3], permutation = [0], target = [3], offset = [0], source = dense<1.0> : tensor<3xf32>>

// 76 bytes take 128; what follows begins there.
// CHECK: module attributes {plan.globals_bytes = 1408 : i64, plan.weights_bytes = 192 : i64}
// CHECK: dit.global @x input
// CHECK-SAME: {plan.storage = #plan.storage<mapped = false, offset = 0, bytes = 76>}
dit.global @x input : tensor<19xf32>
// CHECK: dit.global @mapped parameter
// CHECK-SAME: {plan.storage = #plan.storage<mapped = true, offset = 0, bytes = 12>}
// EXTERNAL: dit.global @mapped parameter
// EXTERNAL-SAME: mapped = false
dit.global @mapped parameter : tensor<3xf32> pieces [#one]
// Nothing uses it.
// CHECK-NOT: @dead
dit.global @dead parameter : tensor<3xf32> pieces [#one]
// CHECK: dit.global @drawn parameter
// CHECK-SAME: mapped = false, offset = 128
dit.global @drawn parameter : tensor<3xf32> pieces [#drawn]
// A parameter that a step writes has memory.
// CHECK: dit.global @trained parameter
// CHECK-SAME: mapped = false, offset = 192
dit.global @trained parameter : tensor<3xf32> pieces [#drawn]
// No weight file has a constant.
// CHECK: dit.global @table constant
// CHECK-SAME: mapped = true, offset = 64
// EXTERNAL: dit.global @table constant
// EXTERNAL-SAME: mapped = true, offset = 0
dit.global @table constant : tensor<3xf32> pieces [#table]
// The host reads it by its name.
// CHECK: dit.global @seed input
// CHECK-SAME: mapped = false, offset = 256
dit.global @seed input : tensor<1xi64>
// CHECK: dit.global @zero constant
// CHECK-SAME: mapped = false, offset = 320
dit.global @zero constant : tensor<3xf32>
// Members lie in their flat; the first values of parameters among them follow
// what is mapped.
// CHECK: dit.global @flat state
// CHECK-SAME: mapped = false, offset = 384
dit.global @flat state : tensor<256xf32>
// CHECK: dit.global @member parameter
// CHECK-SAME: {plan.storage = #plan.storage<mapped = false, offset = 640, bytes = 12, initial = 128>}
// EXTERNAL: dit.global @member parameter
// EXTERNAL-SAME: bytes = 12>
dit.global @member parameter : tensor<3xf32> within @flat at 64 pieces [#one]
// CHECK: dit.global @unused parameter
// CHECK-SAME: {plan.storage = #plan.storage<mapped = false, offset = 896, bytes = 12>}
dit.global @unused parameter : tensor<3xf32> within @flat at 128 pieces [#drawn]
// CHECK: dit.global @average state
// CHECK-SAME: {plan.storage = #plan.storage<mapped = false, offset = 1152, bytes = 12>}
dit.global @average state : tensor<3xf32> within @flat at 192 pieces [#one]
plan.function @f step = "forward" {
  %0 = plan.global @mapped 12
  %1 = plan.global @drawn 12
  %2 = plan.global @trained 12
  %3 = plan.global @table 12
  %4 = plan.global @zero 12
  plan.copy %0 to %2
}
