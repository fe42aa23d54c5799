// RUN: dit-opt %s --split-input-file --dit-lower-to-plan | FileCheck %s

// The last reader of the latent overwrites it point by point.
dit.global @latent state : tensor<4x8xf32>
// CHECK-LABEL: plan.function @update_in_place
// CHECK: %[[X:.*]] = plan.global @latent 128
// CHECK-NEXT: %[[H:.*]] = plan.buffer 128
// CHECK-NEXT: plan.launch @dit_norm_0(%[[X]] -> %[[H]])
// CHECK-NEXT: plan.launch @dit_update_0(%[[X]], %[[H]] -> %[[X]])
// CHECK-NEXT: }
func.func @update_in_place() attributes {dit.step = "sample_step"} {
  %x = dit.read @latent : tensor<4x8xf32>
  %h = dit.kernel "norm" space = [4, 8] (%x) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %n, %m, %r = dit.layer_norm %a eps = 1.0e-6 : tensor<4x8xf32>
    dit.yield %n : tensor<4x8xf32>
  }
  %y = dit.kernel "update" space = [4, 8] (%x, %h) : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>):
    %r = arith.addf %a, %b : tensor<4x8xf32>
    dit.yield %r : tensor<4x8xf32>
  }
  dit.write %y, @latent : tensor<4x8xf32>
  return
}

// -----

// A reader of the old value comes later: the new one waits in a buffer.
dit.global @latent state : tensor<4x8xf32>
dit.global @out output : tensor<4x8xf32>
// CHECK-LABEL: plan.function @old_value_still_needed
// CHECK: %[[X:.*]] = plan.global @latent 128
// CHECK: %[[Y:.*]] = plan.buffer 128
// CHECK: plan.launch @dit_double_0(%[[X]] -> %[[Y]])
// CHECK: %[[O:.*]] = plan.global @out 128
// CHECK: plan.launch @dit_double_0(%[[X]] -> %[[O]])
// CHECK: plan.copy %[[Y]] to %[[X]]
func.func @old_value_still_needed() attributes {dit.step = "sample_step"} {
  %x = dit.read @latent : tensor<4x8xf32>
  %y = dit.kernel "double" space = [4, 8] (%x) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.addf %a, %a : tensor<4x8xf32>
    dit.yield %r : tensor<4x8xf32>
  }
  %again = dit.read @latent : tensor<4x8xf32>
  %z = dit.kernel "double" space = [4, 8] (%again) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.addf %a, %a : tensor<4x8xf32>
    dit.yield %r : tensor<4x8xf32>
  }
  dit.write %y, @latent : tensor<4x8xf32>
  dit.write %z, @out : tensor<4x8xf32>
  return
}

// -----

// Each point needs another point of the old value.
dit.global @latent state : tensor<8x8xf32>
// CHECK-LABEL: plan.function @transposed_in_place
// CHECK: %[[X:.*]] = plan.global @latent 256
// CHECK: %[[Y:.*]] = plan.buffer 256
// CHECK: plan.launch @dit_transpose_0(%[[X]] -> %[[Y]])
// CHECK: plan.copy %[[Y]] to %[[X]]
func.func @transposed_in_place() attributes {dit.step = "sample_step"} {
  %x = dit.read @latent : tensor<8x8xf32>
  %y = dit.kernel "transpose" space = [8, 8] (%x) : (tensor<8x8xf32>) -> tensor<8x8xf32> {
  ^bb0(%a: tensor<8x8xf32>):
    %r = dit.transpose %a permutation = [1, 0] : tensor<8x8xf32>
    dit.yield %r : tensor<8x8xf32>
  }
  dit.write %y, @latent : tensor<8x8xf32>
  return
}

// -----

// A row is needed whole until its last point is written.
dit.global @latent state : tensor<4x8xf32>
// CHECK-LABEL: plan.function @reduction_in_place
// CHECK: plan.launch @dit_norm_0(%[[X:.*]] -> %[[Y:.*]])
// CHECK: plan.copy %[[Y]] to %[[X]]
func.func @reduction_in_place() attributes {dit.step = "sample_step"} {
  %x = dit.read @latent : tensor<4x8xf32>
  %y = dit.kernel "norm" space = [4, 8] (%x) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %n, %m, %r = dit.layer_norm %a eps = 1.0e-6 : tensor<4x8xf32>
    dit.yield %n : tensor<4x8xf32>
  }
  dit.write %y, @latent : tensor<4x8xf32>
  return
}

// -----

// Both results of a point are computed before either is written, each in the
// memory of its own.
dit.global @p state : tensor<4x8xf32>
dit.global @m state : tensor<4x8xf32>
// CHECK-LABEL: plan.function @two_results
// CHECK: %[[P:.*]] = plan.global @p 128
// CHECK: %[[M:.*]] = plan.global @m 128
// CHECK: plan.launch @dit_two_0(%[[P]], %[[M]] -> %[[P]], %[[M]])
// CHECK-NOT: plan.copy
// CHECK: }
func.func @two_results() attributes {dit.step = "sample_step"} {
  %p = dit.read @p : tensor<4x8xf32>
  %m = dit.read @m : tensor<4x8xf32>
  %y, %z = dit.kernel "two" space = [4, 8] (%p, %m) : (tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  ^bb0(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>):
    %s = arith.mulf %a, %b : tensor<4x8xf32>
    %r = arith.addf %a, %s : tensor<4x8xf32>
    dit.yield %r, %s : tensor<4x8xf32>, tensor<4x8xf32>
  }
  dit.write %y, @p : tensor<4x8xf32>
  dit.write %z, @m : tensor<4x8xf32>
  return
}

// -----

// One buffer is taken over once; a row's sum is read after points are written.
dit.global @x input : tensor<4x8xf32>
dit.global @s state : tensor<4x8xf32>
// CHECK-LABEL: plan.function @two_results_of_one_buffer
// CHECK: plan.launch @dit_double_0(%{{.*}} -> %[[A:[0-9]+]])
// CHECK: %[[B:.*]] = plan.buffer 128
// CHECK: plan.launch @dit_two_0(%[[A]] -> %[[A]], %[[B]])
// CHECK: plan.launch @dit_sum_0(%[[S:.*]], %{{.*}} -> %[[T:.*]], %{{.*}})
// CHECK: plan.copy %[[T]] to %[[S]]
func.func @two_results_of_one_buffer() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<4x8xf32>
  %0 = dit.kernel "double" space = [4, 8] (%x) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.addf %a, %a : tensor<4x8xf32>
    dit.yield %r : tensor<4x8xf32>
  }
  %y, %z = dit.kernel "two" space = [4, 8] (%0) : (tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.addf %a, %a : tensor<4x8xf32>
    %s = arith.mulf %a, %a : tensor<4x8xf32>
    dit.yield %r, %s : tensor<4x8xf32>, tensor<4x8xf32>
  }
  %old = dit.read @s : tensor<4x8xf32>
  %t, %u = dit.kernel "sum" space = [4, 8] (%old, %y) : (tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4xf32>) {
  ^bb0(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>):
    %r = arith.addf %a, %b : tensor<4x8xf32>
    %sum = dit.reduce sum %a dims = [1] : tensor<4x8xf32>
    dit.yield %r, %sum : tensor<4x8xf32>, tensor<4xf32>
  }
  dit.write %t, @s : tensor<4x8xf32>
  return
}

// -----

// A buffer that nobody needs any more is taken over; one of another size, or
// one that is read again, is not.
dit.global @x input : tensor<4x8xf32>
// CHECK-LABEL: plan.function @take_over
// CHECK: plan.launch @dit_double_0(%{{.*}} -> %[[A:[0-9]+]])
// CHECK-NEXT: plan.launch @dit_double_0(%[[A]] -> %[[A]])
// CHECK-NEXT: %[[B:.*]] = plan.buffer 64
// CHECK-NEXT: plan.launch @dit_narrow_0(%[[A]] -> %[[B]])
// CHECK-NEXT: %[[C:.*]] = plan.buffer 128
// CHECK-NEXT: plan.launch @dit_double_0(%[[A]] -> %[[C]])
// CHECK-NEXT: plan.launch @dit_add_0(%[[A]], %[[C]] -> %[[A]])
// CHECK-NEXT: }
func.func @take_over() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<4x8xf32>
  %0 = dit.kernel "double" space = [4, 8] (%x) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.addf %a, %a : tensor<4x8xf32>
    dit.yield %r : tensor<4x8xf32>
  }
  %1 = dit.kernel "double" space = [4, 8] (%0) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.addf %a, %a : tensor<4x8xf32>
    dit.yield %r : tensor<4x8xf32>
  }
  %2 = dit.kernel "narrow" space = [4, 8] (%1) : (tensor<4x8xf32>) -> tensor<4x8xbf16> {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.truncf %a : tensor<4x8xf32> to tensor<4x8xbf16>
    dit.yield %r : tensor<4x8xbf16>
  }
  %3 = dit.kernel "double" space = [4, 8] (%1) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.addf %a, %a : tensor<4x8xf32>
    dit.yield %r : tensor<4x8xf32>
  }
  %4 = dit.kernel "add" space = [4, 8] (%1, %3) : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>):
    %r = arith.addf %a, %b : tensor<4x8xf32>
    dit.yield %r : tensor<4x8xf32>
  }
  return
}

// -----

// The cotangent of the stream stays where it is: sums of runs of rows add a
// point where it is computed.
dit.global @x state : tensor<4x8xf32>
dit.global @s state : tensor<2x8xf32>
// CHECK-LABEL: plan.function @column_sum_in_place
// CHECK: plan.launch @dit_gate_0(%[[X:.*]] -> %[[X]], %{{.*}}) blocks = 2
// CHECK-NOT: plan.copy
// CHECK: }
func.func @column_sum_in_place() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<4x8xf32>
  %y, %s = dit.kernel "gate" space = [4, 8] (%x) : (tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<2x8xf32>) {
  ^bb0(%a: tensor<4x8xf32>):
    %r = arith.addf %a, %a : tensor<4x8xf32>
    %runs = tensor.expand_shape %r [[0, 1], [2]] output_shape [2, 2, 8] : tensor<4x8xf32> into tensor<2x2x8xf32>
    %sum = dit.reduce sum %runs dims = [1] {dit.partial} : tensor<2x2x8xf32>
    dit.yield %r, %sum : tensor<4x8xf32>, tensor<2x8xf32>
  }
  dit.write %y, @x : tensor<4x8xf32>
  dit.write %s, @s : tensor<2x8xf32>
  return
}
