// RUN: dit-opt %s --dit-absorb-layouts | FileCheck %s
// RUN: dit-opt %s --dit-absorb-layouts=training | FileCheck %s --check-prefix=TRAIN

// CHECK: dit.global @transposed parameter : tensor<768x192xf32> pieces [#dit.piece<{{.*}} view = [192, 768], permutation = [1, 0], target = [768, 192], offset = [0, 0]
dit.global @transposed parameter : tensor<192x768xf32>
    pieces [#dit.piece<name = "w", file = tensor<192x768xf32>, view = [192, 768], permutation = [0, 1], target = [192, 768], offset = [0, 0], source = unit>]
// CHECK: dit.global @reshaped parameter : tensor<64x192xf32> pieces [#dit.piece<{{.*}} target = [1, 64, 192]
dit.global @reshaped parameter : tensor<1x64x192xf32>
    pieces [#dit.piece<name = "p", file = tensor<1x64x192xf32>, view = [1, 64, 192], permutation = [0, 1, 2], target = [1, 64, 192], offset = [0, 0, 0], source = unit>]
// Two pieces, one under the other, are side by side then.
// CHECK: dit.global @stacked parameter : tensor<4x6xf32> pieces [
// CHECK-SAME: name = "a", {{.*}} view = [2, 4], permutation = [1, 0], target = [4, 6], offset = [0, 0]
// CHECK-SAME: name = "b", {{.*}} view = [4, 4], permutation = [1, 0], target = [4, 6], offset = [0, 2]
dit.global @stacked parameter : tensor<6x4xf32>
    pieces [#dit.piece<name = "a", file = tensor<2x4xf32>, view = [2, 4], permutation = [0, 1], target = [6, 4], offset = [0, 0], source = unit>,
            #dit.piece<name = "b", file = tensor<4x4xf32>, view = [4, 4], permutation = [0, 1], target = [6, 4], offset = [2, 0], source = unit>]
// Read in two layouts: a copy for one, unless it is trained.
// CHECK: dit.global @tied parameter : tensor<8x4xf32>
// CHECK: dit.global @tied.transposed parameter : tensor<4x8xf32>
// TRAIN: dit.global @tied parameter : tensor<8x4xf32>
// TRAIN-NOT: @tied.transposed
dit.global @tied parameter : tensor<8x4xf32> trainable
    pieces [#dit.piece<name = "e", file = tensor<8x4xf32>, view = [8, 4], permutation = [0, 1], target = [8, 4], offset = [0, 0], source = unit>]

// CHECK: dit.global @left.joined parameter : tensor<6xf32> pieces [
// CHECK-SAME: name = "l", {{.*}} target = [6], offset = [0]
// CHECK-SAME: name = "r", {{.*}} target = [6], offset = [2]
dit.global @left parameter : tensor<2xf32>
    pieces [#dit.piece<name = "l", file = tensor<2xf32>, view = [2], permutation = [0], target = [2], offset = [0], source = unit>]
dit.global @right parameter : tensor<4xf32>
    pieces [#dit.piece<name = "r", file = tensor<4xf32>, view = [4], permutation = [0], target = [4], offset = [0], source = unit>]
dit.global @half parameter : tensor<8x4xf16>
    pieces [#dit.piece<name = "h", file = tensor<8x4xf16>, view = [8, 4], permutation = [0, 1], target = [8, 4], offset = [0, 0], source = unit>]

// CHECK-LABEL: func.func @transpose(
func.func @transpose() -> tensor<768x192xf32> {
  // CHECK-NEXT: %[[W:.*]] = dit.read @transposed : tensor<768x192xf32>
  // CHECK-NEXT: return %[[W]]
  %0 = dit.read @transposed : tensor<192x768xf32>
  %1 = dit.transpose %0 permutation = [1, 0] : tensor<192x768xf32>
  return %1 : tensor<768x192xf32>
}

// Two reads that agree.
// CHECK-LABEL: func.func @reshape(
func.func @reshape() -> (tensor<64x192xf32>, tensor<64x192xf32>) {
  // CHECK-NEXT: dit.read @reshaped : tensor<64x192xf32>
  // CHECK-NEXT: dit.read @reshaped : tensor<64x192xf32>
  // CHECK-NEXT: return
  %0 = dit.read @reshaped : tensor<1x64x192xf32>
  %1 = tensor.collapse_shape %0 [[0, 1], [2]] : tensor<1x64x192xf32> into tensor<64x192xf32>
  %2 = dit.read @reshaped : tensor<1x64x192xf32>
  %3 = tensor.collapse_shape %2 [[0, 1], [2]] : tensor<1x64x192xf32> into tensor<64x192xf32>
  return %1, %3 : tensor<64x192xf32>, tensor<64x192xf32>
}

// CHECK-LABEL: @two_pieces
func.func @two_pieces() -> tensor<4x6xf32> {
  // CHECK-NEXT: dit.read @stacked : tensor<4x6xf32>
  %0 = dit.read @stacked : tensor<6x4xf32>
  %1 = dit.transpose %0 permutation = [1, 0] : tensor<6x4xf32>
  return %1 : tensor<4x6xf32>
}

// CHECK-LABEL: @two_layouts
// TRAIN-LABEL: @two_layouts
func.func @two_layouts() -> (tensor<8x4xf32>, tensor<4x8xf32>) {
  // CHECK-DAG: dit.read @tied : tensor<8x4xf32>
  // CHECK-DAG: dit.read @tied.transposed : tensor<4x8xf32>
  // TRAIN: dit.transpose
  %0 = dit.read @tied : tensor<8x4xf32>
  %1 = dit.transpose %0 permutation = [1, 0] : tensor<8x4xf32>
  return %0, %1 : tensor<8x4xf32>, tensor<4x8xf32>
}

// CHECK-LABEL: @concat_of_reads
func.func @concat_of_reads() -> tensor<6xf32> {
  // CHECK-NEXT: dit.read @left
  // CHECK-NEXT: dit.read @right
  // CHECK-NEXT: %[[B:.*]] = dit.read @left.joined : tensor<6xf32>
  // CHECK-NEXT: return %[[B]]
  %0 = dit.read @left : tensor<2xf32>
  %1 = dit.read @right : tensor<4xf32>
  %2 = tensor.concat dim(0) %0, %1 : (tensor<2xf32>, tensor<4xf32>) -> tensor<6xf32>
  return %2 : tensor<6xf32>
}

// The view of a widened weight is the widened view.
// CHECK-LABEL: @transpose_of_a_cast
func.func @transpose_of_a_cast() -> tensor<4x8xf32> {
  // CHECK: %[[W:.*]] = dit.read @half : tensor<4x8xf16>
  // CHECK: %[[E:.*]] = arith.extf %[[W]] : tensor<4x8xf16> to tensor<4x8xf32>
  // CHECK: return %[[E]]
  %0 = dit.read @half : tensor<8x4xf16>
  %1 = arith.extf %0 : tensor<8x4xf16> to tensor<8x4xf32>
  %2 = dit.transpose %1 permutation = [1, 0] : tensor<8x4xf32>
  return %2 : tensor<4x8xf32>
}
