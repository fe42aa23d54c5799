// RUN: dit-opt %s --dit-program-train --cse --dit-verify-program | FileCheck %s

// Flats of more than 4096 rows of 4096 have ranges, the last of which is what is
// left. `update` takes them one after the other, and nothing whole.

// CHECK-DAG: dit.global @masters state : tensor<16846848xf32>
// CHECK-DAG: dit.global @masters.range0 state : tensor<16777216xf32> within @masters at 0
// CHECK-DAG: dit.global @masters.range1 state : tensor<69632xf32> within @masters at 16777216
// CHECK-DAG: dit.global @gradients.range1 state : tensor<69632xf32> within @gradients at 16777216
// CHECK-DAG: dit.global @ema.range0 state : tensor<16777216xf32> within @ema at 0
// CHECK-NOT: @weights.range

// CHECK-LABEL: func.func @prepare_update()
// CHECK: dit.read @gradients : tensor<16846848xf32>

// CHECK-LABEL: func.func @update()
// CHECK-NOT: @masters :
// CHECK: dit.read @masters.range0
// CHECK: dit.read @gradients.range0
// CHECK: dit.write %{{.*}}, @masters.range0
// CHECK: dit.write %{{.*}}, @ema.range0
// CHECK: dit.read @masters.range1
// CHECK: tensor<17x4096xf32>
// CHECK: dit.write %{{.*}}, @ema.range1
module attributes {dit.precision = "fp32"} {
  dit.global @table parameter : tensor<16451x1024xf32> trainable pieces [#dit.piece<
    name = "table", file = tensor<16451x1024xf32>, view = [16451, 1024],
    permutation = [0, 1], target = [16451, 1024], offset = [0, 0], source = unit>]
  func.func @forward(%x: tensor<2x4x16x16xf32>, %t: tensor<2xi64>,
                     %y: tensor<2xi64>) -> tensor<2x4x16x16xf32>
      attributes {dit.inputs = ["x", "t", "y"]} {
    %table = dit.read @table : tensor<16451x1024xf32>
    %e = dit.gather %table, %y : tensor<16451x1024xf32>, tensor<2xi64>
    %p = tensor.expand_shape %e [[0], [1, 2, 3]] output_shape [2, 4, 16, 16]
        : tensor<2x1024xf32> into tensor<2x4x16x16xf32>
    return %p : tensor<2x4x16x16xf32>
  }
}
