// RUN: dit-opt %s --dit-program-sample --dit-verify-program | FileCheck %s
// RUN: dit-opt %s --dit-program-sample=keep-model-output --dit-verify-program | FileCheck %s --check-prefix=KEEP

// One picture of 4 channels, 10 classes, learned sigma: three channels guided.
// CHECK: module attributes {dit.mode = "sample", dit.sampling = {batch = 1 : i64, channels = 4 : i64, classes = 10 : i64, coefficients = "coefficients", default_cfg_channels = 3 : i64, guidance = "guidance", height = 2 : i64, hoist_steps = 0 : i64, labels = "labels", latent = "latent", learned_sigma = true, max_steps = 1000 : i64, model_output = "", noise = "noise", pictures = "pictures", prediction = "eps", schedule = "ddpm-linear", seed = "seed", step = "step", timesteps = "timesteps", use_noise = "use_noise", width = 3 : i64}}
module {
  dit.global @table parameter : tensor<11x48xf32>
  // CHECK: dit.global @latent state : tensor<1x4x2x3xf32>
  // CHECK: dit.global @labels input : tensor<1xi64>
  // CHECK: dit.global @pictures input : tensor<1xi64>
  // CHECK: dit.global @seed input : tensor<1xi64>
  // CHECK: dit.global @step state : tensor<1xi64>
  // CHECK: dit.global @timesteps table : tensor<1000xf32>
  // CHECK: dit.global @coefficients table : tensor<1000x8xf32>
  // CHECK: dit.global @guidance input : tensor<4xf32>
  // CHECK: dit.global @noise input : tensor<1x4x2x3xf32>
  // CHECK: dit.global @use_noise input : tensor<1xi64>
  // KEEP: model_output = "model_output"
  // KEEP: dit.global @model_output output : tensor<2x8x2x3xf32>

  func.func @forward(%t: tensor<2xf32>, %y: tensor<2xi64>, %x: tensor<2x4x2x3xf32>) -> tensor<2x8x2x3xf32>
      attributes {dit.inputs = ["timestep", "class_labels", "x"], dit.outputs = ["sample"]} {
    %w = dit.read @table : tensor<11x48xf32>
    %e = dit.gather %w, %y : tensor<11x48xf32>, tensor<2xi64>
    %v = tensor.expand_shape %e [[0], [1, 2, 3]] output_shape [2, 8, 2, 3] : tensor<2x48xf32> into tensor<2x8x2x3xf32>
    %b = dit.broadcast %t dims = [0] : tensor<2xf32> -> tensor<2x8x2x3xf32>
    %c = tensor.concat dim(1) %x, %x : (tensor<2x4x2x3xf32>, tensor<2x4x2x3xf32>) -> tensor<2x8x2x3xf32>
    %s = arith.mulf %b, %v : tensor<2x8x2x3xf32>
    %r = arith.addf %s, %c : tensor<2x8x2x3xf32>
    return %r : tensor<2x8x2x3xf32>
  }
  func.func @forward_single(%t: tensor<1xf32>, %y: tensor<1xi64>, %x: tensor<1x4x2x3xf32>) -> tensor<1x8x2x3xf32> {
    %c = tensor.concat dim(1) %x, %x : (tensor<1x4x2x3xf32>, tensor<1x4x2x3xf32>) -> tensor<1x8x2x3xf32>
    return %c : tensor<1x8x2x3xf32>
  }

  // CHECK-NOT: @forward
  // CHECK-LABEL: func.func @sample_init() attributes {dit.step = "sample_init"}
  // CHECK: %[[BEFORE:.*]] = arith.constant dense<-1> : tensor<1xi64>
  // CHECK: %[[Z:.*]] = dit.random normal stream = 0 at(%{{.*}}, %[[BEFORE]], %{{.*}})
  // CHECK: %[[X:.*]] = arith.select %{{.*}}, %{{.*}}, %[[Z]]
  // CHECK: dit.write %[[X]], @latent
  // CHECK: %[[ZERO:.*]] = arith.constant dense<0> : tensor<1xi64>
  // CHECK: dit.write %[[ZERO]], @step

  // CHECK-LABEL: func.func @sample_step() attributes {dit.step = "sample_step"}
  // CHECK: %[[X:.*]] = dit.read @latent
  // CHECK: %[[STEP:.*]] = dit.read @step
  // CHECK: %[[LABELS:.*]] = dit.read @labels
  // CHECK: %[[XX:.*]] = tensor.concat dim(0) %[[X]], %[[X]]
  // CHECK: %[[NONE:.*]] = arith.constant dense<10> : tensor<1xi64>
  // CHECK: %[[BOTH:.*]] = tensor.concat dim(0) %[[LABELS]], %[[NONE]]
  // CHECK: %[[TABLE:.*]] = dit.read @timesteps
  // CHECK: %[[T:.*]] = dit.gather %[[TABLE]], %[[STEP]]
  // CHECK: %[[SCALAR:.*]] = tensor.collapse_shape %[[T]] []
  // CHECK: dit.broadcast %[[SCALAR]] dims = [] : tensor<f32> -> tensor<2xf32>
  // CHECK: dit.gather %{{.*}}, %[[BOTH]]
  // CHECK: %[[SAID:.*]] = arith.addf
  // KEEP: dit.write %{{.*}}, @model_output : tensor<2x8x2x3xf32>
  // CHECK: %[[COND:.*]] = tensor.extract_slice %[[SAID]][0, 0, 0, 0] [1, 8, 2, 3]
  // CHECK: %[[EPS:.*]] = tensor.extract_slice %[[COND]][0, 0, 0, 0] [1, 4, 2, 3]
  // CHECK: %[[V:.*]] = tensor.extract_slice %[[COND]][0, 4, 0, 0] [1, 4, 2, 3]
  // CHECK: %[[UNCOND:.*]] = tensor.extract_slice %[[SAID]][1, 0, 0, 0] [1, 8, 2, 3]
  // CHECK: %[[EPSU:.*]] = tensor.extract_slice %[[UNCOND]][0, 0, 0, 0] [1, 4, 2, 3]
  // CHECK: %[[EXCESS:.*]] = arith.subf %{{.*}}, %{{.*}} : tensor<4xf32>
  // CHECK: %[[SCALE:.*]] = dit.broadcast %[[EXCESS]] dims = [1] : tensor<4xf32> -> tensor<1x4x2x3xf32>
  // CHECK: %[[DIFF:.*]] = arith.subf %[[EPS]], %[[EPSU]]
  // CHECK: %[[PUSH:.*]] = arith.mulf %[[SCALE]], %[[DIFF]]
  // CHECK: %[[GUIDED:.*]] = arith.addf %[[EPS]], %[[PUSH]]
  // CHECK: %[[ROW:.*]] = dit.gather %{{.*}}, %[[STEP]] : tensor<1000x8xf32>, tensor<1xi64>
  // CHECK: arith.addf %[[V]]
  // CHECK: math.exp
  // CHECK: %[[BX:.*]] = arith.mulf %{{.*}}, %[[GUIDED]]
  // CHECK: %[[Z:.*]] = dit.random normal stream = 1 at(%{{.*}}, %[[STEP]], %{{.*}})
  // CHECK: dit.write %{{.*}}, @latent
  // CHECK: %[[NEXT:.*]] = arith.addi %[[STEP]]
  // CHECK: dit.write %[[NEXT]], @step

  // CHECK-LABEL: func.func @sample_step_single() attributes {dit.step = "sample_step_single"}
  // CHECK-NOT: @guidance
  // CHECK-NOT: concat dim(0)
  // CHECK: dit.write %{{.*}}, @latent
  // CHECK-NOT: func.func
}
