// RUN: dit-opt %s --split-input-file --dit-match-bias | FileCheck %s

#b = #dit.piece<name = "b", file = tensor<16xf32>, view = [16], permutation = [0],
                target = [16], offset = [0], source = dense<1.0> : tensor<16xf32>>

!x = tensor<4x32xbf16>
!w = tensor<16x32xbf16>
!b = tensor<16xf32>
!y = tensor<4x16xbf16>

// CHECK: dit.global @b parameter : tensor<16xf32> pieces [#[[P:.*]]]
// CHECK-NEXT: dit.global @b.bf16 parameter : tensor<16xbf16> pieces [#[[P]]]
// CHECK-NEXT: dit.global @moving
dit.global @b parameter : tensor<16xf32> pieces [#b]
dit.global @moving parameter : tensor<16xf32>
dit.global @masters state : tensor<64xf32>
dit.global @trained parameter : tensor<16xf32> trainable within @masters at 0
dit.global @x input : !x
dit.global @w parameter : !w

// Two GEMMs share the converted bias; one of fp32 keeps its own.
// CHECK-LABEL: @parameter
// CHECK: %[[WIDE:.*]] = dit.read @b : tensor<16xf32>
// CHECK: %[[N0:.*]] = dit.read @b.bf16 : tensor<16xbf16>
// CHECK: dit.matmul %{{.*}} bias %[[N0]] {{.*}} bias tensor<16xbf16>
// CHECK: %[[N1:.*]] = dit.read @b.bf16 : tensor<16xbf16>
// CHECK: dit.matmul %{{.*}} bias %[[N1]] {{.*}} bias tensor<16xbf16>
// CHECK: dit.matmul %{{.*}} bias %[[WIDE]] {{.*}} bias tensor<16xf32>
func.func @parameter() -> (!y, !y, tensor<4x16xf32>) {
  %x = dit.read @x : !x
  %w = dit.read @w : !w
  %b = dit.read @b : !b
  %0 = dit.matmul %x, %w bias %b {transpose_rhs} : !x, !w bias !b -> !y
  %1 = dit.matmul %x, %w bias %b {transpose_rhs} : !x, !w bias !b -> !y
  %2 = dit.matmul %x, %w bias %b {transpose_rhs} : !x, !w bias !b -> tensor<4x16xf32>
  return %0, %1, %2 : !y, !y, tensor<4x16xf32>
}

// What somebody writes is rounded where it is used first.
// CHECK-LABEL: @written
// CHECK: %[[B:.*]] = dit.read @moving : tensor<16xf32>
// CHECK: %[[N:.*]] = arith.truncf %[[B]] : tensor<16xf32> to tensor<16xbf16>
// CHECK: dit.matmul %{{.*}} bias %[[N]]
// CHECK-NEXT: dit.matmul %{{.*}} bias %[[N]]
func.func @written() -> (!y, !y) {
  %x = dit.read @x : !x
  %w = dit.read @w : !w
  %b = dit.read @moving : !b
  %0 = dit.matmul %x, %w bias %b {transpose_rhs} : !x, !w bias !b -> !y
  %1 = dit.matmul %x, %w bias %b {transpose_rhs} : !x, !w bias !b -> !y
  dit.write %b, @moving : !b
  return %0, %1 : !y, !y
}

// A member of a flat global is written with it.
// CHECK-LABEL: @member
// CHECK: %[[B:.*]] = dit.read @trained : tensor<16xf32>
// CHECK: arith.truncf %[[B]] : tensor<16xf32> to tensor<16xbf16>
func.func @member() -> !y {
  %x = dit.read @x : !x
  %w = dit.read @w : !w
  %b = dit.read @trained : !b
  %0 = dit.matmul %x, %w bias %b {transpose_rhs} : !x, !w bias !b -> !y
  return %0 : !y
}

// -----

// Training keeps a low copy of all masters, which biases are members of.
module attributes {dit.training = {masters = "masters", weights = "weights"}} {
// CHECK: dit.global @trained parameter : tensor<16xf32> trainable within @masters at 64
// CHECK-NEXT: dit.global @trained.bf16 state : tensor<16xbf16> within @weights at 64
// CHECK-NEXT: dit.global @average
dit.global @trained parameter : tensor<16xf32> trainable within @masters at 64
dit.global @average state : tensor<16xf32> within @ema at 64
dit.global @w state : tensor<16x32xbf16> within @weights at 128
dit.global @x input : tensor<4x32xbf16>
dit.global @h input : tensor<4x32xf16>
dit.global @v input : tensor<16x32xf16>
dit.global @masters state : tensor<640xf32>
dit.global @ema state : tensor<640xf32>
dit.global @weights state : tensor<640xbf16>

// CHECK-LABEL: @low_copy
// CHECK-NOT: arith.truncf
// CHECK: %[[N0:.*]] = dit.read @trained.bf16 : tensor<16xbf16>
// CHECK: dit.matmul %{{.*}} bias %[[N0]] {{.*}} bias tensor<16xbf16>
// CHECK: %[[N1:.*]] = dit.read @trained.bf16 : tensor<16xbf16>
// CHECK: dit.matmul %{{.*}} bias %[[N1]] {{.*}} bias tensor<16xbf16>
func.func @low_copy() -> (tensor<4x16xbf16>, tensor<4x16xbf16>) {
  %x = dit.read @x : tensor<4x32xbf16>
  %w = dit.read @w : tensor<16x32xbf16>
  %b = dit.read @trained : tensor<16xf32>
  %0 = dit.matmul %x, %w bias %b {transpose_rhs} : tensor<4x32xbf16>, tensor<16x32xbf16> bias tensor<16xf32> -> tensor<4x16xbf16>
  %1 = dit.matmul %x, %w bias %b {transpose_rhs} : tensor<4x32xbf16>, tensor<16x32xbf16> bias tensor<16xf32> -> tensor<4x16xbf16>
  return %0, %1 : tensor<4x16xbf16>, tensor<4x16xbf16>
}

// The averages have no low copy.
// CHECK-LABEL: @evaluate_average
// CHECK: arith.truncf %{{.*}} : tensor<16xf32> to tensor<16xbf16>
func.func @evaluate_average() -> tensor<4x16xbf16> {
  %x = dit.read @x : tensor<4x32xbf16>
  %w = dit.read @w : tensor<16x32xbf16>
  %b = dit.read @average : tensor<16xf32>
  %0 = dit.matmul %x, %w bias %b {transpose_rhs} : tensor<4x32xbf16>, tensor<16x32xbf16> bias tensor<16xf32> -> tensor<4x16xbf16>
  return %0 : tensor<4x16xbf16>
}

// Nor have the masters one of another type.
// CHECK-LABEL: @other_type
// CHECK: arith.truncf %{{.*}} : tensor<16xf32> to tensor<16xf16>
func.func @other_type() -> tensor<4x16xf16> {
  %h = dit.read @h : tensor<4x32xf16>
  %v = dit.read @v : tensor<16x32xf16>
  %b = dit.read @trained : tensor<16xf32>
  %0 = dit.matmul %h, %v bias %b {transpose_rhs} : tensor<4x32xf16>, tensor<16x32xf16> bias tensor<16xf32> -> tensor<4x16xf16>
  return %0 : tensor<4x16xf16>
}
}
