// RUN: dit-opt %s --dit-share-equal --cse | FileCheck %s
// RUN: dit-opt %s --dit-share-equal=training --cse | FileCheck %s --check-prefix=TRAIN

// CHECK: dit.global @"0.emb"
// CHECK-NOT: dit.global @"1.emb"
// CHECK: dit.global @other
// CHECK: dit.global @transposed
// CHECK: dit.global @a
// CHECK-NOT: dit.global @b
// TRAIN: dit.global @"1.emb"
// TRAIN: dit.global @b
dit.global @"0.emb" parameter : tensor<2x2xf32> trainable
    pieces [#dit.piece<name = "0.emb", file = tensor<2x2xf32>, view = [2, 2], permutation = [0, 1], target = [2, 2], offset = [0, 0], source = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>>]
dit.global @"1.emb" parameter : tensor<2x2xf32> trainable
    pieces [#dit.piece<name = "1.emb", file = tensor<2x2xf32>, view = [2, 2], permutation = [0, 1], target = [2, 2], offset = [0, 0], source = dense_resource<equal> : tensor<2x2xf32>>]
dit.global @other parameter : tensor<2x2xf32> trainable
    pieces [#dit.piece<name = "other", file = tensor<2x2xf32>, view = [2, 2], permutation = [0, 1], target = [2, 2], offset = [0, 0], source = dense<[[1.0, 2.0], [3.0, 5.0]]> : tensor<2x2xf32>>]
dit.global @transposed parameter : tensor<2x2xf32> trainable
    pieces [#dit.piece<name = "t", file = tensor<2x2xf32>, view = [2, 2], permutation = [1, 0], target = [2, 2], offset = [0, 0], source = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>>]
dit.global @a constant : tensor<2xf32>
    pieces [#dit.piece<name = "", file = tensor<2xf32>, view = [2], permutation = [0], target = [2], offset = [0], source = dense<0.5> : tensor<2xf32>>]
dit.global @b constant : tensor<2xf32>
    pieces [#dit.piece<name = "", file = tensor<2xf32>, view = [2], permutation = [0], target = [2], offset = [0], source = dense<0.5> : tensor<2xf32>>]
// What a weight file will bring is not known to be equal.
// CHECK: dit.global @later
// CHECK: dit.global @latest
dit.global @later parameter : tensor<2xf32>
    pieces [#dit.piece<name = "x", file = tensor<2xf32>, view = [2], permutation = [0], target = [2], offset = [0], source = unit>]
dit.global @latest parameter : tensor<2xf32>
    pieces [#dit.piece<name = "y", file = tensor<2xf32>, view = [2], permutation = [0], target = [2], offset = [0], source = unit>]

// The embedders of two blocks become one, with what is computed from them.
// CHECK-LABEL: @embedders
func.func @embedders(%x: tensor<1x2xf32>) -> (tensor<1x2xf32>, tensor<1x2xf32>) {
  // CHECK: %[[W:.*]] = dit.read @"0.emb"
  // CHECK: %[[Y:.*]] = dit.matmul %{{.*}}, %[[W]]
  // CHECK: return %[[Y]], %[[Y]]
  %w0 = dit.read @"0.emb" : tensor<2x2xf32>
  %w1 = dit.read @"1.emb" : tensor<2x2xf32>
  %0 = dit.matmul %x, %w0 {transpose_rhs} : tensor<1x2xf32>, tensor<2x2xf32> -> tensor<1x2xf32>
  %1 = dit.matmul %x, %w1 {transpose_rhs} : tensor<1x2xf32>, tensor<2x2xf32> -> tensor<1x2xf32>
  return %0, %1 : tensor<1x2xf32>, tensor<1x2xf32>
}

{-#
  dialect_resources: {
    builtin: {
      equal: "0x040000000000803F000000400000404000008040"
    }
  }
#-}
