// RUN: dit-opt %s --dit-program-train="prediction=flow schedule=flow" --cse --dit-verify-program | FileCheck %s

// A flow has real times and no table of a schedule.
// CHECK: dit.training = {{.*}}diffusion = ""{{.*}}prediction = "flow", {{.*}}schedule = "flow"{{.*}}timesteps = 1000
// CHECK: dit.global @given_t input : tensor<2xf32>
// CHECK: dit.global @t output : tensor<2xf32>
// CHECK-NOT: @diffusion
dit.global @table parameter : tensor<11x16xf32> trainable pieces [#dit.piece<name = "table", file = tensor<11x16xf32>, view = [11, 16], permutation = [0, 1], target = [11, 16], offset = [0, 0], source = unit>]
func.func @forward(%x: tensor<2x1x4x4xf32>, %t: tensor<2xbf16>, %y: tensor<2xi64>) -> tensor<2x1x4x4xf32>
    attributes {dit.inputs = ["x", "t", "y"]} {
  %table = dit.read @table : tensor<11x16xf32>
  %e = dit.gather %table, %y : tensor<11x16xf32>, tensor<2xi64>
  %f = arith.extf %t : tensor<2xbf16> to tensor<2xf32>
  %ft = dit.broadcast %f dims = [0] : tensor<2xf32> -> tensor<2x16xf32>
  %c = arith.mulf %e, %ft : tensor<2x16xf32>
  %rows = tensor.collapse_shape %x [[0], [1, 2, 3]] : tensor<2x1x4x4xf32> into tensor<2x16xf32>
  %s = arith.addf %rows, %c : tensor<2x16xf32>
  %out = tensor.expand_shape %s [[0], [1, 2, 3]] output_shape [2, 1, 4, 4] : tensor<2x16xf32> into tensor<2x1x4x4xf32>
  return %out : tensor<2x1x4x4xf32>
}

// CHECK-LABEL: func.func @accumulate_first()
// CHECK: %[[U:.*]] = dit.random uniform stream = 2 {{.*}} -> tensor<2xf32>
// CHECK: %[[T:.*]] = arith.select %{{.*}}, %{{.*}}, %[[U]] : tensor<2xi1>, tensor<2xf32>
// CHECK: %[[X0:.*]] = dit.read @pictures
// CHECK: arith.subf %{{.*}}, %[[T]] : tensor<2xf32>
// CHECK: %[[V:.*]] = arith.subf %[[NOISE:.*]], %[[X0]] : tensor<2x1x4x4xf32>
// CHECK: %[[TOLD:.*]] = arith.mulf %[[T]], %{{.*}} : tensor<2xf32>
// CHECK: arith.truncf %[[TOLD]] : tensor<2xf32> to tensor<2xbf16>
// CHECK: arith.subf %[[V]], %{{.*}} : tensor<2x1x4x4xf32>
// CHECK: dit.write %{{.*}}, @mse
// CHECK: dit.write %[[T]], @t
