// RUN: dit-opt %s --dit-split-reductions --dit-form-kernels --dit-verify-fused | FileCheck %s

// The row of a softmax is the kernel's row; what comes before is inside.
// CHECK-LABEL: @softmax_of_scores
func.func @softmax_of_scores(%s: tensor<2x4x16x16xf32>, %mask: tensor<16x16xf32>) -> tensor<2x4x16x16xf32> {
  // CHECK-NEXT: dit.kernel "softmax" space = [2, 4, 16, 16]
  // CHECK-NOT:  dit.kernel
  // CHECK:      return
  %m = dit.broadcast %mask dims = [2, 3] : tensor<16x16xf32> -> tensor<2x4x16x16xf32>
  %masked = arith.addf %s, %m : tensor<2x4x16x16xf32>
  %p = dit.softmax %masked : tensor<2x4x16x16xf32>
  return %p : tensor<2x4x16x16xf32>
}

// The lane is what is normalised, a head, though the result's rows are wider.
// CHECK-LABEL: @norm_of_heads
func.func @norm_of_heads(%q: tensor<2x16x192xf32>, %x: tensor<2x16x192xf32>) -> tensor<2x16x192xf32> {
  // CHECK-NEXT: dit.kernel "rms_norm_residual" space = [128, 48]
  // CHECK-NOT:  dit.kernel
  // CHECK:      return
  %heads = tensor.expand_shape %q [[0], [1], [2, 3]] output_shape [2, 16, 4, 48] : tensor<2x16x192xf32> into tensor<2x16x4x48xf32>
  %n, %r = dit.rms_norm %heads eps = 1.0e-6 : tensor<2x16x4x48xf32>
  %tokens = tensor.collapse_shape %n [[0], [1], [2, 3]] : tensor<2x16x4x48xf32> into tensor<2x16x192xf32>
  %y = arith.addf %x, %tokens : tensor<2x16x192xf32>
  return %y : tensor<2x16x192xf32>
}

// A norm spelled out is one kernel too.
// CHECK-LABEL: @norm_spelled_out
func.func @norm_spelled_out(%x: tensor<8x64xf32>) -> tensor<8x64xf32> {
  // CHECK-NEXT: dit.kernel "{{.*}}" space = [8, 64]
  // CHECK-NOT:  dit.kernel
  // CHECK:      return
  %width = arith.constant dense<64.0> : tensor<8xf32>
  %sum = dit.reduce sum %x dims = [1] : tensor<8x64xf32>
  %mean = arith.divf %sum, %width : tensor<8xf32>
  %means = dit.broadcast %mean dims = [0] : tensor<8xf32> -> tensor<8x64xf32>
  %centred = arith.subf %x, %means : tensor<8x64xf32>
  %squares = arith.mulf %centred, %centred : tensor<8x64xf32>
  %total = dit.reduce sum %squares dims = [1] : tensor<8x64xf32>
  %variance = arith.divf %total, %width : tensor<8xf32>
  %rstd = math.rsqrt %variance : tensor<8xf32>
  %rstds = dit.broadcast %rstd dims = [0] : tensor<8xf32> -> tensor<8x64xf32>
  %y = arith.mulf %centred, %rstds : tensor<8x64xf32>
  return %y : tensor<8x64xf32>
}

// A number a row, computed further: still a row result of the wide space.
// CHECK-LABEL: @row_result
func.func @row_result(%x: tensor<8x64xf32>) -> tensor<8xf32> {
  // CHECK-NEXT: dit.kernel "{{.*}}" space = [8, 64]({{.*}}) : (tensor<8x64xf32>) -> tensor<8xf32>
  // CHECK-NOT:  dit.kernel
  // CHECK:      return
  %squares = arith.mulf %x, %x : tensor<8x64xf32>
  %total = dit.reduce sum %squares dims = [1] : tensor<8x64xf32>
  %root = math.sqrt %total : tensor<8xf32>
  return %root : tensor<8xf32>
}

// The mean over tokens adds four terms at each point.
// CHECK-LABEL: @mean_over_tokens
func.func @mean_over_tokens(%x: tensor<8x4x192xf32>) -> tensor<8x192xf32> {
  // CHECK-NEXT: dit.kernel "{{.*}}" space = [8, 192](%{{.*}}) : (tensor<8x4x192xf32>) -> tensor<8x192xf32>
  // CHECK-NOT:  dit.transpose
  // CHECK-NOT:  dit.kernel
  // CHECK:      return
  %sum = dit.reduce sum %x dims = [1] : tensor<8x4x192xf32>
  %count = arith.constant dense<4.0> : tensor<8x192xf32>
  %mean = arith.divf %sum, %count : tensor<8x192xf32>
  return %mean : tensor<8x192xf32>
}

// One number of everything.
// CHECK-LABEL: @sum_of_all
func.func @sum_of_all(%x: tensor<8x64xf32>) -> tensor<f32> {
  // CHECK-NEXT: dit.kernel "sum" space = [512]{{.*}} -> tensor<f32>
  // CHECK-NOT:  dit.kernel
  // CHECK:      return
  %sum = dit.reduce sum %x dims = [0, 1] : tensor<8x64xf32>
  return %sum : tensor<f32>
}
