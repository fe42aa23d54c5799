// RUN: dit-opt %s --dit-normalize-views | FileCheck %s

// K for q · kᵀ as dynamo writes it: through [B·H, T, d].
// CHECK-LABEL: @key_transposed_in_three_dimensions
// CHECK-SAME:  %[[X:.*]]: tensor<2x64x192xf32>
func.func @key_transposed_in_three_dimensions(%x: tensor<2x64x192xf32>) -> tensor<2x4x48x64xf32> {
  // CHECK-NEXT: %[[E:.*]] = tensor.expand_shape %[[X]] {{\[\[}}0], [1], [2, 3]]
  // CHECK-NEXT: %[[T:.*]] = dit.transpose %[[E]] permutation = [0, 2, 3, 1] : tensor<2x64x4x48xf32>
  // CHECK-NEXT: return %[[T]]
  %0 = tensor.expand_shape %x [[0], [1], [2, 3]] output_shape [2, 64, 4, 48] : tensor<2x64x192xf32> into tensor<2x64x4x48xf32>
  %1 = dit.transpose %0 permutation = [0, 2, 1, 3] : tensor<2x64x4x48xf32>
  %2 = tensor.collapse_shape %1 [[0, 1], [2], [3]] : tensor<2x4x64x48xf32> into tensor<8x64x48xf32>
  %3 = dit.transpose %2 permutation = [0, 2, 1] : tensor<8x64x48xf32>
  %4 = tensor.expand_shape %3 [[0, 1], [2], [3]] output_shape [2, 4, 48, 64] : tensor<8x48x64xf32> into tensor<2x4x48x64xf32>
  return %4 : tensor<2x4x48x64xf32>
}

// timm: [B, T, 3, H, d] → [3, B, H, T, d], one of three, back to [B, T, H, d].
// CHECK-LABEL: @query_of_stacked_projections
// CHECK-SAME:  %[[X:.*]]: tensor<2x64x192xf32>
func.func @query_of_stacked_projections(%x: tensor<2x64x192xf32>) -> tensor<2x64x4x16xf32> {
  // CHECK-NEXT: %[[E:.*]] = tensor.expand_shape %[[X]] {{.*}} into tensor<2x64x12x16xf32>
  // CHECK-NEXT: %[[S:.*]] = tensor.extract_slice %[[E]][0, 0, 4, 0] [2, 64, 4, 16] [1, 1, 1, 1]
  // CHECK-NEXT: return %[[S]]
  %0 = tensor.expand_shape %x [[0], [1], [2, 3, 4]] output_shape [2, 64, 3, 4, 16] : tensor<2x64x192xf32> into tensor<2x64x3x4x16xf32>
  %1 = dit.transpose %0 permutation = [2, 0, 3, 1, 4] : tensor<2x64x3x4x16xf32>
  %2 = tensor.extract_slice %1[1, 0, 0, 0, 0] [1, 2, 4, 64, 16] [1, 1, 1, 1, 1] : tensor<3x2x4x64x16xf32> to tensor<1x2x4x64x16xf32>
  %3 = tensor.collapse_shape %2 [[0, 1], [2], [3], [4]] : tensor<1x2x4x64x16xf32> into tensor<2x4x64x16xf32>
  %4 = dit.transpose %3 permutation = [0, 2, 1, 3] : tensor<2x4x64x16xf32>
  return %4 : tensor<2x64x4x16xf32>
}

// CHECK-LABEL: @unsqueeze_then_broadcast
// CHECK-SAME:  %[[S:.*]]: tensor<2x192xf32>
func.func @unsqueeze_then_broadcast(%s: tensor<2x192xf32>) -> tensor<2x64x192xf32> {
  // CHECK-NEXT: %[[B:.*]] = dit.broadcast %[[S]] dims = [0, 2]
  // CHECK-NEXT: return %[[B]]
  %0 = tensor.expand_shape %s [[0], [1, 2]] output_shape [2, 1, 192] : tensor<2x192xf32> into tensor<2x1x192xf32>
  %1 = tensor.collapse_shape %0 [[0], [1, 2]] : tensor<2x1x192xf32> into tensor<2x192xf32>
  %2 = dit.broadcast %1 dims = [0, 2] : tensor<2x192xf32> -> tensor<2x64x192xf32>
  return %2 : tensor<2x64x192xf32>
}

// Flux's rotary tables: every value twice.
// CHECK-LABEL: @repeat_interleave
// CHECK-SAME:  %[[X:.*]]: tensor<32x4xf32>
func.func @repeat_interleave(%x: tensor<32x4xf32>) -> tensor<32x8xf32> {
  // CHECK-NEXT: %[[B:.*]] = dit.broadcast %[[X]] dims = [0, 1] : tensor<32x4xf32> -> tensor<32x4x2xf32>
  // CHECK-NEXT: %[[C:.*]] = tensor.collapse_shape %[[B]] {{\[\[}}0], [1, 2]]
  // CHECK-NEXT: return %[[C]]
  %0 = tensor.expand_shape %x [[0], [1, 2]] output_shape [32, 4, 1] : tensor<32x4xf32> into tensor<32x4x1xf32>
  %1 = tensor.collapse_shape %0 [[0], [1, 2]] : tensor<32x4x1xf32> into tensor<32x4xf32>
  %2 = dit.broadcast %1 dims = [0, 1] : tensor<32x4xf32> -> tensor<32x4x2xf32>
  %3 = tensor.collapse_shape %2 [[0], [1, 2]] : tensor<32x4x2xf32> into tensor<32x8xf32>
  return %3 : tensor<32x8xf32>
}

// Each second value: rotary embeddings of pairs.
// CHECK-LABEL: @slice_with_step
// CHECK-SAME:  %[[X:.*]]: tensor<2x8xf32>
func.func @slice_with_step(%x: tensor<2x8xf32>) -> tensor<2x4xf32> {
  // CHECK-NEXT: %[[E:.*]] = tensor.expand_shape %[[X]] {{.*}} into tensor<2x4x2xf32>
  // CHECK-NEXT: %[[S:.*]] = tensor.extract_slice %[[E]][0, 0, 1] [2, 4, 1] [1, 1, 1]
  // CHECK-NEXT: %[[C:.*]] = tensor.collapse_shape %[[S]]
  // CHECK-NEXT: return %[[C]] : tensor<2x4xf32>
  %0 = tensor.extract_slice %x[0, 1] [2, 4] [1, 2] : tensor<2x8xf32> to tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// A batch of 1 reads like any other.
// CHECK-LABEL: @batch_of_one
// CHECK-SAME:  %[[X:.*]]: tensor<1x64x192xf32>
func.func @batch_of_one(%x: tensor<1x64x192xf32>) -> tensor<1x64x4x48xf32> {
  // CHECK-NEXT: %[[E:.*]] = tensor.expand_shape %[[X]] {{\[\[}}0], [1], [2, 3]] output_shape [1, 64, 4, 48]
  // CHECK-NEXT: return %[[E]]
  %0 = tensor.collapse_shape %x [[0, 1], [2]] : tensor<1x64x192xf32> into tensor<64x192xf32>
  %1 = tensor.expand_shape %0 [[0, 1], [2, 3]] output_shape [1, 64, 4, 48] : tensor<64x192xf32> into tensor<1x64x4x48xf32>
  return %1 : tensor<1x64x4x48xf32>
}

// diffusers flips [sin | cos].
// CHECK-LABEL: @flipped_halves
// CHECK-SAME:  %[[S:.*]]: tensor<2x128xf32>, %[[C:.*]]: tensor<2x128xf32>
func.func @flipped_halves(%sin: tensor<2x128xf32>, %cos: tensor<2x128xf32>) -> tensor<2x256xf32> {
  // CHECK-NEXT: %[[R:.*]] = tensor.concat dim(1) %[[C]], %[[S]]
  // CHECK-NEXT: return %[[R]]
  %0 = tensor.concat dim(1) %sin, %cos : (tensor<2x128xf32>, tensor<2x128xf32>) -> tensor<2x256xf32>
  %1 = tensor.extract_slice %0[0, 128] [2, 128] [1, 1] : tensor<2x256xf32> to tensor<2x128xf32>
  %2 = tensor.extract_slice %0[0, 0] [2, 128] [1, 1] : tensor<2x256xf32> to tensor<2x128xf32>
  %3 = tensor.concat dim(1) %1, %2 : (tensor<2x128xf32>, tensor<2x128xf32>) -> tensor<2x256xf32>
  return %3 : tensor<2x256xf32>
}

// CHECK-LABEL: @slice_across_operands
func.func @slice_across_operands(%a: tensor<2x128xf32>, %b: tensor<2x128xf32>) -> tensor<2x128xf32> {
  // CHECK: tensor.concat
  // CHECK: tensor.extract_slice %{{.*}}[0, 64] [2, 128] [1, 1]
  %0 = tensor.concat dim(1) %a, %b : (tensor<2x128xf32>, tensor<2x128xf32>) -> tensor<2x256xf32>
  %1 = tensor.extract_slice %0[0, 64] [2, 128] [1, 1] : tensor<2x256xf32> to tensor<2x128xf32>
  return %1 : tensor<2x128xf32>
}

// 1 + scale is computed once a sample.
// CHECK-LABEL: @elementwise_on_the_smaller_tensor
// CHECK-SAME:  %[[S:.*]]: tensor<2x192xf32>
func.func @elementwise_on_the_smaller_tensor(%s: tensor<2x192xf32>) -> tensor<2x64x192xf32> {
  // CHECK: %[[ONE:.*]] = arith.constant dense<1.000000e+00> : tensor<2x192xf32>
  // CHECK: %[[A:.*]] = arith.addf %[[S]], %[[ONE]] : tensor<2x192xf32>
  // CHECK: %[[B:.*]] = dit.broadcast %[[A]] dims = [0, 2]
  // CHECK: return %[[B]]
  %one = arith.constant dense<1.0> : tensor<2x64x192xf32>
  %0 = dit.broadcast %s dims = [0, 2] : tensor<2x192xf32> -> tensor<2x64x192xf32>
  %1 = arith.addf %0, %one : tensor<2x64x192xf32>
  return %1 : tensor<2x64x192xf32>
}

// Two operands seen in two ways: the sum stays where it is.
// CHECK-LABEL: @elementwise_of_different_views
func.func @elementwise_of_different_views(%a: tensor<2x192xf32>, %b: tensor<192xf32>) -> tensor<2x64x192xf32> {
  // CHECK:      dit.broadcast %{{.*}} dims = [0, 2]
  // CHECK:      dit.broadcast %{{.*}} dims = [2]
  // CHECK-NEXT: arith.addf %{{.*}} : tensor<2x64x192xf32>
  %0 = dit.broadcast %a dims = [0, 2] : tensor<2x192xf32> -> tensor<2x64x192xf32>
  %1 = dit.broadcast %b dims = [2] : tensor<192xf32> -> tensor<2x64x192xf32>
  %2 = arith.addf %0, %1 : tensor<2x64x192xf32>
  return %2 : tensor<2x64x192xf32>
}

// A slice is not moved: the whole would be computed.
// CHECK-LABEL: @elementwise_of_a_slice
func.func @elementwise_of_a_slice(%x: tensor<2x384xf32>) -> tensor<2x192xf32> {
  // CHECK-NEXT: tensor.extract_slice
  // CHECK-NEXT: math.exp %{{.*}} : tensor<2x192xf32>
  %0 = tensor.extract_slice %x[0, 0] [2, 192] [1, 1] : tensor<2x384xf32> to tensor<2x192xf32>
  %1 = math.exp %0 : tensor<2x192xf32>
  return %1 : tensor<2x192xf32>
}

// SD3 and Flux with normalised q: what stands between the transpose of the
// heads and attention's own.
// CHECK-LABEL: @heads_of_joint_tokens
// CHECK-SAME:  %[[X:.*]]: tensor<2x24x4x16xf32>, %[[Y:.*]]: tensor<2x8x4x16xf32>, %[[W:.*]]: tensor<16xf32>, %[[C:.*]]: tensor<32x16xf32>
func.func @heads_of_joint_tokens(%x: tensor<2x24x4x16xf32>, %y: tensor<2x8x4x16xf32>, %w: tensor<16xf32>, %cos: tensor<32x16xf32>) -> tensor<2x32x4x16xf32> {
  // CHECK-DAG: %[[N:.*]], %{{.*}} = dit.rms_norm %[[X]]
  // CHECK-DAG: %[[WB:.*]] = dit.broadcast %[[W]] dims = [3] : tensor<16xf32> -> tensor<2x24x4x16xf32>
  // CHECK-DAG: %[[S:.*]] = arith.mulf %[[N]], %[[WB]] : tensor<2x24x4x16xf32>
  // CHECK-DAG: %[[J:.*]] = tensor.concat dim(1) %[[Y]], %[[S]]
  // CHECK-DAG: %[[CB:.*]] = dit.broadcast %[[C]] dims = [1, 3] : tensor<32x16xf32> -> tensor<2x32x4x16xf32>
  // CHECK-DAG: %[[R:.*]] = arith.mulf %[[J]], %[[CB]]
  // CHECK-NOT: dit.transpose
  // CHECK: return %[[R]]
  %0 = dit.transpose %x permutation = [0, 2, 1, 3] : tensor<2x24x4x16xf32>
  %1, %rstd = dit.rms_norm %0 eps = 1.0e-6 : tensor<2x4x24x16xf32>
  %2 = dit.broadcast %w dims = [3] : tensor<16xf32> -> tensor<2x4x24x16xf32>
  %3 = arith.mulf %1, %2 : tensor<2x4x24x16xf32>
  %4 = dit.transpose %y permutation = [0, 2, 1, 3] : tensor<2x8x4x16xf32>
  %5 = tensor.concat dim(2) %4, %3 : (tensor<2x4x8x16xf32>, tensor<2x4x24x16xf32>) -> tensor<2x4x32x16xf32>
  %6 = dit.broadcast %cos dims = [2, 3] : tensor<32x16xf32> -> tensor<2x4x32x16xf32>
  %7 = arith.mulf %5, %6 : tensor<2x4x32x16xf32>
  %8 = dit.transpose %7 permutation = [0, 2, 1, 3] : tensor<2x4x32x16xf32>
  return %8 : tensor<2x32x4x16xf32>
}

// A table that would have to be transposed itself.
// CHECK-LABEL: @transpose_past_a_table
func.func @transpose_past_a_table(%x: tensor<2x24x4x16xf32>, %t: tensor<4x24xf32>) -> tensor<2x4x24x16xf32> {
  // CHECK:      dit.transpose
  // CHECK-NEXT: dit.broadcast
  // CHECK-NEXT: arith.mulf
  // CHECK-NEXT: return
  %0 = dit.transpose %x permutation = [0, 2, 1, 3] : tensor<2x24x4x16xf32>
  %1 = dit.broadcast %t dims = [1, 2] : tensor<4x24xf32> -> tensor<2x4x24x16xf32>
  %2 = arith.mulf %0, %1 : tensor<2x4x24x16xf32>
  return %2 : tensor<2x4x24x16xf32>
}

// CHECK-LABEL: @concat_of_one_transpose
func.func @concat_of_one_transpose(%a: tensor<2x8x4x16xf32>, %b: tensor<2x4x24x16xf32>) -> tensor<2x4x32x16xf32> {
  // CHECK:      dit.transpose %arg0
  // CHECK-NEXT: tensor.concat dim(2)
  %0 = dit.transpose %a permutation = [0, 2, 1, 3] : tensor<2x8x4x16xf32>
  %1 = tensor.concat dim(2) %0, %b : (tensor<2x4x8x16xf32>, tensor<2x4x24x16xf32>) -> tensor<2x4x32x16xf32>
  return %1 : tensor<2x4x32x16xf32>
}

// CHECK-LABEL: @norm_of_another_lane
func.func @norm_of_another_lane(%x: tensor<2x64x16xf32>) -> tensor<2x16x64xf32> {
  // CHECK-NEXT: dit.transpose
  // CHECK-NEXT: dit.rms_norm
  %0 = dit.transpose %x permutation = [0, 2, 1] : tensor<2x64x16xf32>
  %1, %rstd = dit.rms_norm %0 eps = 1.0e-6 : tensor<2x16x64xf32>
  return %1 : tensor<2x16x64xf32>
}

// 6 of 4·3 elements that end inside a row are no slice of the merged dimension:
// the chain stays as it is.
// CHECK-LABEL: @slice_that_ends_inside_a_row
func.func @slice_that_ends_inside_a_row(%x: tensor<3x4xf32>) -> tensor<5xf32> {
  // CHECK-NEXT: tensor.collapse_shape
  // CHECK-NEXT: tensor.extract_slice %{{.*}}[2] [5] [1]
  %0 = tensor.collapse_shape %x [[0, 1]] : tensor<3x4xf32> into tensor<12xf32>
  %1 = tensor.extract_slice %0[2] [5] [1] : tensor<12xf32> to tensor<5xf32>
  return %1 : tensor<5xf32>
}
