// RUN: dit-opt %s --dit-assign-offsets --dit-verify-memory | FileCheck %s
// RUN: dit-opt %s --dit-assign-offsets=report --verify-diagnostics -o /dev/null

// The module has one arena, as large as the larger function's.
// CHECK: module attributes {plan.arena_bytes = 768 : i64}
dit.global @x state : tensor<100xf32>

// A chain: the third buffer begins where the dead first one was. 400 bytes take
// 512, and a buffer that nobody touches takes none.
// CHECK: plan.function @chain step = "forward" arena_bytes = 768 {
// expected-remark @below {{needs 768 bytes of the arena, of which 0 are lost to fragmentation}}
plan.function @chain step = "forward" {
  %x = plan.global @x 400
  // CHECK: plan.buffer 400 at 0
  %0 = plan.buffer 400
  // CHECK-NOT: plan.buffer 4096
  %unused = plan.buffer 4096
  plan.copy %x to %0
  // CHECK: plan.buffer 256 at 512
  %1 = plan.buffer 256
  // A use of a slice is one of the buffer.
  %s = plan.slice %0[144, 256]
  plan.copy %s to %1
  // CHECK: plan.buffer 256 at 0
  %2 = plan.buffer 256
  plan.copy %1 to %2
  plan.copy %2 to %2
}

// CHECK: plan.function @nothing step = "prologue" arena_bytes = 0 {
// expected-remark @below {{needs 0 bytes of the arena, of which 0 are lost to fragmentation}}
plan.function @nothing step = "prologue" {
  %x = plan.global @x 400
  plan.fill %x with 0
}
