// RUN: dit-opt %s --dit-remove-dead-globals=report --verify-diagnostics | FileCheck %s

// CHECK: dit.global @used
dit.global @used parameter : tensor<2xf32>
// CHECK-NOT: dit.global @unused
// expected-remark @below {{removed: nobody reads it}}
dit.global @unused parameter : tensor<2xf32>
// CHECK-NOT: dit.global @read_in_vain
// expected-remark @below {{removed: nobody reads it}}
dit.global @read_in_vain constant : tensor<2xf32>
// State is the program's, not the file's.
// CHECK: dit.global @counter
dit.global @counter state : tensor<1xi64>

func.func @f() -> tensor<2xf32> {
  %0 = dit.read @used : tensor<2xf32>
  // CHECK-NOT: @read_in_vain
  %1 = dit.read @read_in_vain : tensor<2xf32>
  return %0 : tensor<2xf32>
}
