// RUN: dit-opt %s --dit-form-kernels | FileCheck %s

dit.global @latent state : tensor<2x4x8x8xf32>
dit.global @step state : tensor<1xi64>
dit.global @seed input : tensor<1xi64>
dit.global @pictures input : tensor<2xi64>
dit.global @guidance input : tensor<4xf32>
dit.global @timesteps table : tensor<1000xi64>
dit.global @coefficients table : tensor<1000x8xf32>
dit.global @frequencies constant : tensor<128xf32>
dit.global @labels input : tensor<2xi64>
dit.global @label_table parameter : tensor<11x64xf32>
dit.global @said input : tensor<4x16x32xf32>
dit.global @time input : tensor<4x64xf32>
dit.global @w parameter : tensor<64x256xf32>
dit.global @out output : tensor<4x64xf32>

// What the model said is taken out of its patches, guided and added to the
// latent with noise, the coefficients looked up at the step: one kernel, whose
// operands are whole buffers. Counting the step is the other.
// CHECK-LABEL: @update
func.func @update() {
  // CHECK-DAG:  %[[STEP:.*]] = dit.read @step
  // CHECK-DAG:  %[[SAID:.*]] = dit.read @said
  // CHECK-DAG:  %[[TABLE:.*]] = dit.read @coefficients
  // CHECK:      %[[X:.*]] = dit.kernel "{{.*}}" space = [2, 4, 8, 8]({{.*}}) : ({{.*}}tensor<1000x8xf32>{{.*}}) -> tensor<2x4x8x8xf32> {
  // CHECK-NEXT: ^bb0
  // CHECK-NOT:  dit.kernel
  // CHECK:      dit.yield
  // CHECK:      dit.write %[[X]], @latent
  // CHECK-NEXT: %[[NEXT:.*]] = dit.kernel "add" space = [1](%[[STEP]])
  // CHECK:      dit.write %[[NEXT]], @step
  // CHECK-NOT:  dit.kernel
  // CHECK:      return
  %step = dit.read @step : tensor<1xi64>
  %x = dit.read @latent : tensor<2x4x8x8xf32>
  %said = dit.read @said : tensor<4x16x32xf32>
  %patches = tensor.expand_shape %said [[0], [1, 2], [3, 4, 5]] output_shape [4, 4, 4, 2, 2, 8] : tensor<4x16x32xf32> into tensor<4x4x4x2x2x8xf32>
  %t = dit.transpose %patches permutation = [0, 5, 1, 3, 2, 4] : tensor<4x4x4x2x2x8xf32>
  %picture = tensor.collapse_shape %t [[0], [1], [2, 3], [4, 5]] : tensor<4x8x4x2x4x2xf32> into tensor<4x8x8x8xf32>
  %cond = tensor.extract_slice %picture[0, 0, 0, 0] [2, 4, 8, 8] [1, 1, 1, 1] : tensor<4x8x8x8xf32> to tensor<2x4x8x8xf32>
  %variance = tensor.extract_slice %picture[0, 4, 0, 0] [2, 4, 8, 8] [1, 1, 1, 1] : tensor<4x8x8x8xf32> to tensor<2x4x8x8xf32>
  %uncond = tensor.extract_slice %picture[2, 0, 0, 0] [2, 4, 8, 8] [1, 1, 1, 1] : tensor<4x8x8x8xf32> to tensor<2x4x8x8xf32>
  %g = dit.read @guidance : tensor<4xf32>
  %one = arith.constant dense<1.0> : tensor<4xf32>
  %excess = arith.subf %g, %one : tensor<4xf32>
  %excesses = dit.broadcast %excess dims = [1] : tensor<4xf32> -> tensor<2x4x8x8xf32>
  %difference = arith.subf %cond, %uncond : tensor<2x4x8x8xf32>
  %pull = arith.mulf %excesses, %difference : tensor<2x4x8x8xf32>
  %eps = arith.addf %cond, %pull : tensor<2x4x8x8xf32>
  %table = dit.read @coefficients : tensor<1000x8xf32>
  %row = dit.gather %table, %step : tensor<1000x8xf32>, tensor<1xi64>
  %c0 = tensor.extract_slice %row[0, 0] [1, 1] [1, 1] : tensor<1x8xf32> to tensor<1xf32>
  %c1 = tensor.extract_slice %row[0, 1] [1, 1] [1, 1] : tensor<1x8xf32> to tensor<1xf32>
  %c2 = tensor.extract_slice %row[0, 2] [1, 1] [1, 1] : tensor<1x8xf32> to tensor<1xf32>
  %s0 = tensor.collapse_shape %c0 [] : tensor<1xf32> into tensor<f32>
  %s1 = tensor.collapse_shape %c1 [] : tensor<1xf32> into tensor<f32>
  %s2 = tensor.collapse_shape %c2 [] : tensor<1xf32> into tensor<f32>
  %a = dit.broadcast %s0 dims = [] : tensor<f32> -> tensor<2x4x8x8xf32>
  %b = dit.broadcast %s1 dims = [] : tensor<f32> -> tensor<2x4x8x8xf32>
  %c = dit.broadcast %s2 dims = [] : tensor<f32> -> tensor<2x4x8x8xf32>
  %half = arith.constant dense<0.5> : tensor<2x4x8x8xf32>
  %logs = arith.mulf %half, %variance : tensor<2x4x8x8xf32>
  %learned = math.exp %logs : tensor<2x4x8x8xf32>
  %sigma = arith.mulf %c, %learned : tensor<2x4x8x8xf32>
  %seed = dit.read @seed : tensor<1xi64>
  %pictures = dit.read @pictures : tensor<2xi64>
  %z = dit.random normal stream = 1 at (%seed, %step, %pictures) : tensor<1xi64>, tensor<1xi64>, tensor<2xi64> -> tensor<2x4x8x8xf32>
  %noise = arith.mulf %sigma, %z : tensor<2x4x8x8xf32>
  %ax = arith.mulf %a, %x : tensor<2x4x8x8xf32>
  %be = arith.mulf %b, %eps : tensor<2x4x8x8xf32>
  %mean = arith.addf %ax, %be : tensor<2x4x8x8xf32>
  %next = arith.addf %mean, %noise : tensor<2x4x8x8xf32>
  dit.write %next, @latent : tensor<2x4x8x8xf32>
  %increment = arith.constant dense<1> : tensor<1xi64>
  %count = arith.addi %step, %increment : tensor<1xi64>
  dit.write %count, @step : tensor<1xi64>
  return
}

// The timestep is looked up, repeated and made a sinusoid in one kernel, the
// label looked up, added and activated in another.
// CHECK-LABEL: @condition
func.func @condition() {
  // CHECK:     %[[T:.*]] = dit.kernel "gather_cos_sin" space = [4, 256]
  // CHECK:     %[[E:.*]] = dit.matmul %[[T]]
  // CHECK:     dit.kernel "gather_residual_silu" space = [4, 64]({{.*}}%[[E]]
  // CHECK-NOT: dit.kernel
  // CHECK:     return
  %step = dit.read @step : tensor<1xi64>
  %table = dit.read @timesteps : tensor<1000xi64>
  %t = dit.gather %table, %step : tensor<1000xi64>, tensor<1xi64>
  %s = tensor.collapse_shape %t [] : tensor<1xi64> into tensor<i64>
  %ts = dit.broadcast %s dims = [] : tensor<i64> -> tensor<4xi64>
  %tf = arith.sitofp %ts : tensor<4xi64> to tensor<4xf32>
  %times = dit.broadcast %tf dims = [0] : tensor<4xf32> -> tensor<4x128xf32>
  %f = dit.read @frequencies : tensor<128xf32>
  %fs = dit.broadcast %f dims = [1] : tensor<128xf32> -> tensor<4x128xf32>
  %angles = arith.mulf %times, %fs : tensor<4x128xf32>
  %cos = math.cos %angles : tensor<4x128xf32>
  %sin = math.sin %angles : tensor<4x128xf32>
  %sinusoid = tensor.concat dim(1) %cos, %sin : (tensor<4x128xf32>, tensor<4x128xf32>) -> tensor<4x256xf32>
  %w = dit.read @w : tensor<64x256xf32>
  %e = dit.matmul %sinusoid, %w {transpose_rhs} : tensor<4x256xf32>, tensor<64x256xf32> -> tensor<4x64xf32>
  %labels = dit.read @labels : tensor<2xi64>
  %none = arith.constant dense<10> : tensor<2xi64>
  %both = tensor.concat dim(0) %labels, %none : (tensor<2xi64>, tensor<2xi64>) -> tensor<4xi64>
  %names = dit.read @label_table : tensor<11x64xf32>
  %y = dit.gather %names, %both : tensor<11x64xf32>, tensor<4xi64>
  %c = arith.addf %e, %y : tensor<4x64xf32>
  %sigmoid = dit.sigmoid %c : tensor<4x64xf32>
  %silu = arith.mulf %c, %sigmoid : tensor<4x64xf32>
  dit.write %silu, @out : tensor<4x64xf32>
  return
}
