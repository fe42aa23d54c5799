// RUN: dit-opt %s --split-input-file --dit-lower-to-plan | FileCheck %s
// RUN: dit-opt %s --split-input-file --dit-lower-to-plan=report --verify-diagnostics -o /dev/null

// Two globals exchange their values: each goes through a buffer.
dit.global @a state : tensor<8xf32>
dit.global @b state : tensor<8xf32>
// CHECK-LABEL: plan.function @exchange
// CHECK-DAG: %[[A:.*]] = plan.global @a 32
// CHECK-DAG: %[[B:.*]] = plan.global @b 32
// CHECK: plan.copy %[[A]] to %[[T:.*]]
// CHECK: plan.copy %[[B]] to %[[U:.*]]
// CHECK: plan.copy %[[T]] to %[[B]]
// CHECK: plan.copy %[[U]] to %[[A]]
func.func @exchange() attributes {dit.step = "forward"} {
  %a = dit.read @a : tensor<8xf32>
  %b = dit.read @b : tensor<8xf32>
  // expected-remark @below {{copies 32 bytes at the end of the step}}
  dit.write %a, @b : tensor<8xf32>
  // expected-remark @below {{copies 32 bytes at the end of the step}}
  dit.write %b, @a : tensor<8xf32>
  return
}

// -----

// Rows of a value, the value itself, and a value whose bytes are all equal.
dit.global @a state : tensor<8x4xf32>
dit.global @rows output : tensor<2x4xf32>
dit.global @zero state : tensor<1xi64>
dit.global @one state : tensor<1xi64>
// CHECK-LABEL: plan.function @slices_and_constants
// CHECK: %[[ROWS:.*]] = plan.global @rows 32
// CHECK: %[[A:.*]] = plan.global @a 128
// CHECK: %[[S:.*]] = plan.slice %[[A]][48, 32]
// CHECK: %[[Z:.*]] = plan.global @zero 8
// CHECK: %[[O:.*]] = plan.global @one 8
// CHECK: %[[C:.*]] = plan.global @constant_0 8
// CHECK-NEXT: plan.copy %[[S]] to %[[ROWS]]
// CHECK-NEXT: plan.fill %[[Z]] with 0
// CHECK-NEXT: plan.copy %[[C]] to %[[O]]
// CHECK-NEXT: }
func.func @slices_and_constants() attributes {dit.step = "forward"} {
  %a = dit.read @a : tensor<8x4xf32>
  %s = tensor.extract_slice %a[3, 0] [2, 4] [1, 1] : tensor<8x4xf32> to tensor<2x4xf32>
  %zero = arith.constant dense<0> : tensor<1xi64>
  %one = arith.constant dense<1> : tensor<1xi64>
  // expected-remark @below {{copies 32 bytes at the end of the step}}
  dit.write %s, @rows : tensor<2x4xf32>
  dit.write %a, @a : tensor<8x4xf32>
  dit.write %zero, @zero : tensor<1xi64>
  // expected-remark @below {{copies 8 bytes at the end of the step}}
  dit.write %one, @one : tensor<1xi64>
  return
}

// -----

// One value in two globals: made in the first, copied to the second.
dit.global @x input : tensor<4x8xf32>
dit.global @y output : tensor<4x8xf32>
dit.global @z output : tensor<32xf32>
// CHECK-LABEL: plan.function @two_outputs
// CHECK: plan.launch @dit_double_0(%{{.*}} -> %[[FIRST:.*]]) blocks
// CHECK: plan.copy %[[FIRST]] to %{{.*}}
// CHECK-NEXT: }
func.func @two_outputs() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<4x8xf32>
  %y = dit.kernel "double" space = [4, 8] (%x) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.addf %a, %a : tensor<4x8xf32>
    dit.yield %r : tensor<4x8xf32>
  }
  %z = tensor.collapse_shape %y [[0, 1]] : tensor<4x8xf32> into tensor<32xf32>
  dit.write %y, @y : tensor<4x8xf32>
  // expected-remark @below {{copies 128 bytes at the end of the step}}
  dit.write %z, @z : tensor<32xf32>
  return
}
