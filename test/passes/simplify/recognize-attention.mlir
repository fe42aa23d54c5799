// RUN: dit-opt %s --dit-recognize-attention --dit-normalize-views --cse | FileCheck %s

!tokens = tensor<2x64x192xf32>
!split = tensor<2x64x4x48xf32>
!heads = tensor<2x4x64x48xf32>
!scores = tensor<2x4x64x64xf32>

// TorchScript: q and kᵀ both times ⁴√(1/d), kᵀ by one transpose.
// CHECK-LABEL: @scale_on_both
// CHECK-SAME:  %[[Q:.*]]: tensor<2x64x4x48xf32>, %[[K:.*]]: tensor<2x64x4x48xf32>, %[[V:.*]]: tensor<2x64x4x48xf32>
func.func @scale_on_both(%q: !split, %k: !split, %v: !split) -> !split {
  // CHECK: %[[O:.*]], %{{.*}} = dit.attention %[[Q]], %[[K]], %[[V]] scale = 2.500000e-01
  // CHECK-NOT: dit.transpose
  // CHECK: return %[[O]]
  %s = arith.constant dense<0.5> : !heads
  %st = arith.constant dense<0.5> : tensor<2x4x48x64xf32>
  %0 = dit.transpose %q permutation = [0, 2, 1, 3] : !split
  %1 = dit.transpose %k permutation = [0, 2, 3, 1] : !split
  %2 = dit.transpose %v permutation = [0, 2, 1, 3] : !split
  %3 = arith.mulf %0, %s : !heads
  %4 = arith.mulf %1, %st : tensor<2x4x48x64xf32>
  %5 = dit.matmul %3, %4 : !heads, tensor<2x4x48x64xf32> -> !scores
  %6 = dit.softmax %5 : !scores
  %7 = dit.matmul %6, %2 : !scores, !heads -> !heads
  %8 = dit.transpose %7 permutation = [0, 2, 1, 3] : !heads
  return %8 : !split
}

// dynamo: kᵀ through [B·H, T, d], scaled after it; the result flattened.
// CHECK-LABEL: @key_through_three_dimensions
// CHECK-SAME:  %[[Q:.*]]: tensor<2x64x192xf32>, %[[K:.*]]: tensor<2x64x192xf32>, %[[V:.*]]: tensor<2x64x192xf32>
func.func @key_through_three_dimensions(%q: !tokens, %k: !tokens, %v: !tokens) -> !tokens {
  // CHECK-DAG: %[[QH:.*]] = tensor.expand_shape %[[Q]] {{.*}} into tensor<2x64x4x48xf32>
  // CHECK-DAG: %[[KH:.*]] = tensor.expand_shape %[[K]] {{.*}} into tensor<2x64x4x48xf32>
  // CHECK-DAG: %[[VH:.*]] = tensor.expand_shape %[[V]] {{.*}} into tensor<2x64x4x48xf32>
  // CHECK: %[[O:.*]], %{{.*}} = dit.attention %[[QH]], %[[KH]], %[[VH]] scale = 0.1443
  // CHECK: %[[C:.*]] = tensor.collapse_shape %[[O]] {{\[\[}}0], [1], [2, 3]]
  // CHECK: return %[[C]]
  %s = arith.constant dense<0.37991783022880554> : !heads
  %st = arith.constant dense<0.37991783022880554> : tensor<2x4x48x64xf32>
  %q0 = tensor.expand_shape %q [[0], [1], [2, 3]] output_shape [2, 64, 4, 48] : !tokens into !split
  %q1 = dit.transpose %q0 permutation = [0, 2, 1, 3] : !split
  %k0 = tensor.expand_shape %k [[0], [1], [2, 3]] output_shape [2, 64, 4, 48] : !tokens into !split
  %k1 = dit.transpose %k0 permutation = [0, 2, 1, 3] : !split
  %k2 = tensor.collapse_shape %k1 [[0, 1], [2], [3]] : !heads into tensor<8x64x48xf32>
  %k3 = dit.transpose %k2 permutation = [0, 2, 1] : tensor<8x64x48xf32>
  %k4 = tensor.expand_shape %k3 [[0, 1], [2], [3]] output_shape [2, 4, 48, 64] : tensor<8x48x64xf32> into tensor<2x4x48x64xf32>
  %v0 = tensor.expand_shape %v [[0], [1], [2, 3]] output_shape [2, 64, 4, 48] : !tokens into !split
  %v1 = dit.transpose %v0 permutation = [0, 2, 1, 3] : !split
  %q2 = arith.mulf %q1, %s : !heads
  %k5 = arith.mulf %k4, %st : tensor<2x4x48x64xf32>
  %0 = dit.matmul %q2, %k5 : !heads, tensor<2x4x48x64xf32> -> !scores
  %1 = dit.softmax %0 : !scores
  %2 = dit.matmul %1, %v1 : !scores, !heads -> !heads
  %3 = dit.transpose %2 permutation = [0, 2, 1, 3] : !heads
  %4 = tensor.collapse_shape %3 [[0], [1], [2, 3]] : !split into !tokens
  return %4 : !tokens
}

// diffusers' eager processor: one batch of B·H, the scale on the scores. Heads
// are found in the view of q.
// CHECK-LABEL: @batch_of_heads
// CHECK-SAME:  %[[Q:.*]]: tensor<2x64x4x48xf32>, %[[K:.*]]: tensor<2x64x4x48xf32>, %[[V:.*]]: tensor<2x64x4x48xf32>
func.func @batch_of_heads(%q: !split, %k: !split, %v: !split) -> !split {
  // CHECK: %[[O:.*]], %{{.*}} = dit.attention %[[Q]], %[[K]], %[[V]] scale = 1.250000e-01
  // CHECK-NOT: dit.transpose
  // CHECK: return %[[O]]
  %s = arith.constant dense<8.0> : tensor<8x64x64xf32>
  %q0 = dit.transpose %q permutation = [0, 2, 1, 3] : !split
  %q1 = tensor.collapse_shape %q0 [[0, 1], [2], [3]] : !heads into tensor<8x64x48xf32>
  %k0 = dit.transpose %k permutation = [0, 2, 3, 1] : !split
  %k1 = tensor.collapse_shape %k0 [[0, 1], [2], [3]] : tensor<2x4x48x64xf32> into tensor<8x48x64xf32>
  %v0 = dit.transpose %v permutation = [0, 2, 1, 3] : !split
  %v1 = tensor.collapse_shape %v0 [[0, 1], [2], [3]] : !heads into tensor<8x64x48xf32>
  %0 = dit.matmul %q1, %k1 : tensor<8x64x48xf32>, tensor<8x48x64xf32> -> tensor<8x64x64xf32>
  %1 = arith.divf %0, %s : tensor<8x64x64xf32>
  %2 = dit.softmax %1 : tensor<8x64x64xf32>
  %3 = dit.matmul %2, %v1 : tensor<8x64x64xf32>, tensor<8x64x48xf32> -> tensor<8x64x48xf32>
  %4 = tensor.expand_shape %3 [[0, 1], [2], [3]] output_shape [2, 4, 64, 48] : tensor<8x64x48xf32> into !heads
  %5 = dit.transpose %4 permutation = [0, 2, 1, 3] : !heads
  return %5 : !split
}

// A padding mask of the keys, repeated for heads and queries, after the scale.
// CHECK-LABEL: @padding_mask
// CHECK-SAME:  %[[Q:.*]]: tensor<2x64x4x48xf32>, %[[K:.*]]: tensor<2x8x4x48xf32>, %[[V:.*]]: tensor<2x8x4x48xf32>, %[[M:.*]]: tensor<2x8xf32>
func.func @padding_mask(%q: !split, %k: tensor<2x8x4x48xf32>, %v: tensor<2x8x4x48xf32>, %m: tensor<2x8xf32>) -> !heads {
  // CHECK: %[[E:.*]] = tensor.expand_shape %[[M]] {{.*}} into tensor<2x1x1x8xf32>
  // CHECK: dit.attention %[[Q]], %[[K]], %[[V]] mask %[[E]] scale = 2.500000e-01
  %s = arith.constant dense<0.25> : tensor<2x4x64x8xf32>
  %q0 = dit.transpose %q permutation = [0, 2, 1, 3] : !split
  %k0 = dit.transpose %k permutation = [0, 2, 3, 1] : tensor<2x8x4x48xf32>
  %v0 = dit.transpose %v permutation = [0, 2, 1, 3] : tensor<2x8x4x48xf32>
  %mask = dit.broadcast %m dims = [0, 3] : tensor<2x8xf32> -> tensor<2x4x64x8xf32>
  %0 = dit.matmul %q0, %k0 : !heads, tensor<2x4x48x8xf32> -> tensor<2x4x64x8xf32>
  %1 = arith.mulf %0, %s : tensor<2x4x64x8xf32>
  %2 = arith.addf %mask, %1 : tensor<2x4x64x8xf32>
  %3 = dit.softmax %2 : tensor<2x4x64x8xf32>
  %4 = dit.matmul %3, %v0 : tensor<2x4x64x8xf32>, tensor<2x4x8x48xf32> -> !heads
  return %4 : !heads
}

// A mask added before the scale is scaled too.
// CHECK-LABEL: @mask_before_the_scale
func.func @mask_before_the_scale(%q: !heads, %k: !heads, %v: !heads, %m: tensor<64x64xf32>) -> !heads {
  // CHECK: %[[S:.*]] = arith.constant dense<2.500000e-01> : tensor<64x64xf32>
  // CHECK: %[[M:.*]] = arith.mulf %{{.*}}, %[[S]] : tensor<64x64xf32>
  // CHECK: %[[E:.*]] = tensor.expand_shape %[[M]] {{.*}} into tensor<1x1x64x64xf32>
  // CHECK: dit.attention %{{.*}} mask %[[E]] scale = 2.500000e-01
  %s = arith.constant dense<0.25> : !scores
  %mask = dit.broadcast %m dims = [2, 3] : tensor<64x64xf32> -> !scores
  %0 = dit.matmul %q, %k {transpose_rhs} : !heads, !heads -> !scores
  %1 = arith.addf %0, %mask : !scores
  %2 = arith.mulf %1, %s : !scores
  %3 = dit.softmax %2 : !scores
  %4 = dit.matmul %3, %v : !scores, !heads -> !heads
  return %4 : !heads
}

// Where(mask, scores, −∞), of fp16's range.
// CHECK-LABEL: @boolean_mask
func.func @boolean_mask(%q: !heads, %k: !heads, %v: !heads, %m: tensor<2x64xi1>) -> !heads {
  // CHECK-DAG: %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : tensor<2x64xf32>
  // CHECK-DAG: %[[LOW:.*]] = arith.constant dense<-6.550400e+04> : tensor<2x64xf32>
  // CHECK: %[[S:.*]] = arith.select %{{.*}}, %[[ZERO]], %[[LOW]] : tensor<2x64xi1>, tensor<2x64xf32>
  // CHECK: %[[M:.*]] = tensor.expand_shape %[[S]] {{.*}} into tensor<2x1x1x64xf32>
  // CHECK: dit.attention %{{.*}} mask %[[M]] scale = 1.000000e+00
  %low = arith.constant dense<-65504.0> : !scores
  %mask = dit.broadcast %m dims = [0, 3] : tensor<2x64xi1> -> tensor<2x4x64x64xi1>
  %0 = dit.matmul %q, %k {transpose_rhs} : !heads, !heads -> !scores
  %1 = arith.select %mask, %0, %low : tensor<2x4x64x64xi1>, !scores
  %2 = dit.softmax %1 : !scores
  %3 = dit.matmul %2, %v : !scores, !heads -> !heads
  return %3 : !heads
}

// timm without fused attention, one head a batch: nothing to split.
// CHECK-LABEL: @single_head
func.func @single_head(%q: tensor<2x64x48xf32>, %k: tensor<2x48x64xf32>, %v: tensor<2x64x48xf32>) -> tensor<2x64x48xf32> {
  // CHECK: %[[Q:.*]] = tensor.expand_shape %arg0 {{.*}} into tensor<2x64x1x48xf32>
  // CHECK: %[[KT:.*]] = dit.transpose %arg1 permutation = [0, 2, 1]
  // CHECK: %[[K:.*]] = tensor.expand_shape %[[KT]] {{.*}} into tensor<2x64x1x48xf32>
  // CHECK: dit.attention %[[Q]], %[[K]], %{{.*}} scale = 2.000000e+00 : tensor<2x64x1x48xf32>
  %s = arith.constant dense<2.0> : tensor<2x64x48xf32>
  %0 = arith.mulf %s, %q : tensor<2x64x48xf32>
  %1 = dit.matmul %0, %k : tensor<2x64x48xf32>, tensor<2x48x64xf32> -> tensor<2x64x64xf32>
  %2 = dit.softmax %1 : tensor<2x64x64xf32>
  %3 = dit.matmul %2, %v : tensor<2x64x64xf32>, tensor<2x64x48xf32> -> tensor<2x64x48xf32>
  return %3 : tensor<2x64x48xf32>
}

// dynamo before operator set 23: rows of NaN become 0.
// CHECK-LABEL: @guard_against_nan
func.func @guard_against_nan(%q: !heads, %k: !heads, %v: !heads) -> !heads {
  // CHECK: dit.attention
  // CHECK-NOT: arith.select
  // CHECK: return
  %zero = arith.constant dense<0.0> : !scores
  %0 = dit.matmul %q, %k {transpose_rhs} : !heads, !heads -> !scores
  %1 = dit.softmax %0 : !scores
  %2 = arith.cmpf uno, %1, %1 : !scores
  %3 = arith.select %2, %zero, %1 : tensor<2x4x64x64xi1>, !scores
  %4 = dit.matmul %3, %v : !scores, !heads -> !heads
  return %4 : !heads
}

// Half precision with the softmax in fp32.
// CHECK-LABEL: @softmax_between_casts
func.func @softmax_between_casts(%q: tensor<2x4x64x48xf16>, %k: tensor<2x4x64x48xf16>, %v: tensor<2x4x64x48xf16>) -> tensor<2x4x64x48xf16> {
  // CHECK-NOT: dit.softmax
  // CHECK: dit.attention %{{.*}} : tensor<2x64x4x48xf16>, tensor<2x64x4x48xf16>, tensor<2x64x4x48xf16>
  %0 = dit.matmul %q, %k {transpose_rhs} : tensor<2x4x64x48xf16>, tensor<2x4x64x48xf16> -> tensor<2x4x64x64xf16>
  %1 = arith.extf %0 : tensor<2x4x64x64xf16> to !scores
  %2 = dit.softmax %1 : !scores
  %3 = arith.truncf %2 : !scores to tensor<2x4x64x64xf16>
  %4 = dit.matmul %3, %v : tensor<2x4x64x64xf16>, tensor<2x4x64x48xf16> -> tensor<2x4x64x48xf16>
  return %4 : tensor<2x4x64x48xf16>
}
