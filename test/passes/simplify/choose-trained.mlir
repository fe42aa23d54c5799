// RUN: dit-opt %s --dit-choose-trained=report 2>&1 | FileCheck %s
// RUN: dit-opt %s --dit-choose-trained="trainable=^blocks freeze=bias$" | FileCheck %s --check-prefix=NAMES
// RUN: not dit-opt %s --dit-choose-trained=freeze=block7 2>&1 | FileCheck %s --check-prefix=NONE

// NONE: has no parameter whose name matches the freeze pattern 'block7'

// Sines of 0, cosines of 0; then of 1 and 1 / 100.
// CHECK: remark: not trained: it holds the sines and cosines of positions
#table = #dit.piece<name = "table", file = tensor<1x2x4xf32>, view = [1, 2, 4], permutation = [0, 1, 2], target = [1, 2, 4], offset = [0, 0, 0],
  source = dense<[[[0.0, 0.0, 1.0, 1.0], [0.84147098, 0.00999983, 0.54030230, 0.99995000]]]> : tensor<1x2x4xf32>>
#other = #dit.piece<name = "blocks.0.table", file = tensor<1x2x4xf32>, view = [1, 2, 4], permutation = [0, 1, 2], target = [1, 2, 4], offset = [0, 0, 0],
  source = dense<[[[0.0, 0.0, 1.0, 1.0], [0.84147098, 0.00999983, 0.54030230, 0.99]]]> : tensor<1x2x4xf32>>
#bias = #dit.piece<name = "blocks.0.bias", file = tensor<4xf32>, view = [4], permutation = [0], target = [4], offset = [0], source = unit>
#grid = #dit.piece<name = "positions", file = tensor<1x4x8xf32>, view = [1, 4, 8], permutation = [0, 1, 2], target = [1, 4, 8], offset = [0, 0, 0],
  source = #dit.init<sincos_2d, value = 0.0 : f64, fan_in = 0, fan_out = 0, seed = 0, stream = 0>>

// CHECK: dit.global @table parameter : tensor<1x2x4xf32> pieces
// NAMES: dit.global @table parameter : tensor<1x2x4xf32> pieces
dit.global @table parameter : tensor<1x2x4xf32> trainable pieces [#table]
// One number differs: a parameter.
// CHECK: dit.global @other parameter : tensor<1x2x4xf32> trainable
// NAMES: dit.global @other parameter : tensor<1x2x4xf32> trainable
dit.global @other parameter : tensor<1x2x4xf32> trainable pieces [#other]
// CHECK: dit.global @bias parameter : tensor<4xf32> trainable
// NAMES: dit.global @bias parameter : tensor<4xf32> pieces
dit.global @bias parameter : tensor<4xf32> trainable pieces [#bias]
// CHECK: dit.global @grid parameter : tensor<1x4x8xf32> pieces
dit.global @grid parameter : tensor<1x4x8xf32> trainable pieces [#grid]
// CHECK: dit.global @constant constant : tensor<4xf32>
dit.global @constant constant : tensor<4xf32>
