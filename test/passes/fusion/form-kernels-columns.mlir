// RUN: dit-opt %s --dit-split-reductions --cse --dit-form-kernels --dit-verify-fused | FileCheck %s

// adaLN backward is one pass over the rows: the gradients of shift, scale, gate
// and of the bias of the branch are partial results of the kernel that makes
// those of the branch and the stream.
// CHECK-LABEL: @modulation
// CHECK:      dit.kernel "{{.*}}" space = [8, 64, 192]
// CHECK-SAME:   -> (tensor<8x2x192xf32>, tensor<8x2x192xf32>, tensor<8x64x192xf32>, tensor<8x2x192xf32>, tensor<8x64x192xf32>, tensor<16x192xf32>)
// CHECK:        dit.yield
// The sums of the runs need no buffers of their own.
// CHECK:      dit.kernel "sum" space = [24, 192](%{{.*}}#0, %{{.*}}#1, %{{.*}}#3) :
// CHECK:        tensor.concat
// CHECK:      dit.kernel "sum" {{.*}}(%{{.*}}#5) : (tensor<16x192xf32>) -> tensor<192xf32>
// CHECK-NOT:  dit.kernel
func.func @modulation(%dh: tensor<8x64x192xf32>, %x: tensor<8x64x192xf32>, %dx: tensor<8x64x192xf32>, %branch: tensor<8x64x192xf32>,
    %mean: tensor<8x64xf32>, %rstd: tensor<8x64xf32>, %scale: tensor<8x192xf32>, %gate: tensor<8x192xf32>)
    -> (tensor<8x64x192xf32>, tensor<8x64x192xf32>, tensor<8x576xf32>, tensor<192xf32>) {
  %means = dit.broadcast %mean dims = [0, 1] : tensor<8x64xf32> -> tensor<8x64x192xf32>
  %rstds = dit.broadcast %rstd dims = [0, 1] : tensor<8x64xf32> -> tensor<8x64x192xf32>
  %centred = arith.subf %x, %means : tensor<8x64x192xf32>
  %n = arith.mulf %centred, %rstds : tensor<8x64x192xf32>
  %shifted = dit.reduce sum %dh dims = [1] : tensor<8x64x192xf32>
  %dhn = arith.mulf %dh, %n : tensor<8x64x192xf32>
  %scaled = dit.reduce sum %dhn dims = [1] : tensor<8x64x192xf32>
  %scales = dit.broadcast %scale dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  %g = arith.mulf %dh, %scales : tensor<8x64x192xf32>
  %gn = arith.mulf %g, %n : tensor<8x64x192xf32>
  %a = dit.reduce sum %gn dims = [2] : tensor<8x64x192xf32>
  %as = dit.broadcast %a dims = [0, 1] : tensor<8x64xf32> -> tensor<8x64x192xf32>
  %na = arith.mulf %n, %as : tensor<8x64x192xf32>
  %rest = arith.subf %g, %na : tensor<8x64x192xf32>
  %dn = arith.mulf %rest, %rstds : tensor<8x64x192xf32>
  %sum = arith.addf %dx, %dn : tensor<8x64x192xf32>
  %gated = arith.mulf %sum, %branch : tensor<8x64x192xf32>
  %dgate = dit.reduce sum %gated dims = [1] : tensor<8x64x192xf32>
  %gates = dit.broadcast %gate dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  %dbranch = arith.mulf %sum, %gates : tensor<8x64x192xf32>
  %bias = dit.reduce sum %dbranch dims = [0, 1] : tensor<8x64x192xf32>
  %dmod = tensor.concat dim(1) %shifted, %scaled, %dgate : (tensor<8x192xf32>, tensor<8x192xf32>, tensor<8x192xf32>) -> tensor<8x576xf32>
  return %sum, %dbranch, %dmod, %bias : tensor<8x64x192xf32>, tensor<8x64x192xf32>, tensor<8x576xf32>, tensor<192xf32>
}

// Rows of another width, and runs of another length, are other kernels.
// CHECK-LABEL: @other_runs
// CHECK:      dit.kernel "sum" space = [512, 64]
// CHECK:      dit.kernel "max" space = [32, 32, 32]
// CHECK:      dit.kernel "max" space = [32]
// CHECK-NOT:  dit.kernel
func.func @other_runs(%x: tensor<16x32x64xf32>) -> (tensor<16x64xf32>, tensor<32xf32>) {
  %a = dit.reduce sum %x dims = [1] : tensor<16x32x64xf32>
  %y = tensor.collapse_shape %x [[0, 1, 2]] : tensor<16x32x64xf32> into tensor<32768xf32>
  %z = tensor.expand_shape %y [[0, 1]] output_shape [1024, 32] : tensor<32768xf32> into tensor<1024x32xf32>
  %b = dit.reduce max %z dims = [0] : tensor<1024x32xf32>
  return %a, %b : tensor<16x64xf32>, tensor<32xf32>
}
