// RUN: dit-opt %s --dit-split-reductions | FileCheck %s

// The gradient of a modulation: runs of tokens, then a sum of the runs.
// CHECK-LABEL: @tokens
func.func @tokens(%x: tensor<8x64x192xf32>) -> tensor<8x192xf32> {
  // CHECK-NEXT: %[[R:.*]] = tensor.expand_shape %{{.*}} output_shape [8, 2, 32, 192]
  // CHECK-NEXT: %[[P:.*]] = dit.reduce sum %[[R]] dims = [2] {dit.partial} : tensor<8x2x32x192xf32>
  // CHECK-NEXT: %[[S:.*]] = dit.reduce sum %[[P]] dims = [1] : tensor<8x2x192xf32>
  // CHECK-NEXT: return %[[S]]
  %s = dit.reduce sum %x dims = [1] : tensor<8x64x192xf32>
  return %s : tensor<8x192xf32>
}

// Eight runs are few terms, which a kernel adds beside others.
// CHECK-LABEL: @many_tokens
func.func @many_tokens(%x: tensor<64x256x192xf32>) -> tensor<64x192xf32> {
  // CHECK: %[[P:.*]] = dit.reduce sum %{{.*}} dims = [2] {dit.partial} : tensor<64x8x32x192xf32>
  // CHECK-NEXT: %[[S:.*]] = dit.reduce sum %[[P]] dims = [1] : tensor<64x8x192xf32>
  // CHECK-NEXT: return %[[S]]
  %s = dit.reduce sum %x dims = [1] : tensor<64x256x192xf32>
  return %s : tensor<64x192xf32>
}

// The gradient of a bias has runs of the same rows.
// CHECK-LABEL: @rows
func.func @rows(%x: tensor<64x256x192xf32>) -> tensor<192xf32> {
  // CHECK: dit.reduce sum %{{.*}} dims = [1] {dit.partial} : tensor<512x32x192xf32>
  // CHECK: dit.reduce sum %{{.*}} dims = [1] {dit.partial} : tensor<16x32x192xf32>
  // CHECK: dit.reduce sum %{{.*}} dims = [0] : tensor<16x192xf32>
  %s = dit.reduce sum %x dims = [0, 1] : tensor<64x256x192xf32>
  return %s : tensor<192xf32>
}

// Too few runs to be worth it, and a prime number of rows.
// CHECK-LABEL: @few
func.func @few(%x: tensor<64x1152xf32>, %y: tensor<4x197x64xf32>) -> (tensor<1152xf32>, tensor<4x64xf32>) {
  // CHECK-NEXT: dit.reduce sum %{{.*}} dims = [0] : tensor<64x1152xf32>
  // CHECK-NEXT: dit.reduce max %{{.*}} dims = [1] : tensor<4x197x64xf32>
  // CHECK-NEXT: return
  %s = dit.reduce sum %x dims = [0] : tensor<64x1152xf32>
  %m = dit.reduce max %y dims = [1] : tensor<4x197x64xf32>
  return %s, %m : tensor<1152xf32>, tensor<4x64xf32>
}

// Rows of channels and pixels: the last stretch first.
// CHECK-LABEL: @first_and_last
func.func @first_and_last(%x: tensor<8x64x192xf32>) -> tensor<64xf32> {
  // CHECK: dit.reduce sum %{{.*}} dims = [1] : tensor<512x192xf32>
  // CHECK: dit.reduce sum %{{.*}} dims = [0] : tensor<8x64xf32>
  %s = dit.reduce sum %x dims = [0, 2] : tensor<8x64x192xf32>
  return %s : tensor<64xf32>
}

// Few long rows in pieces; short ones are left alone.
// CHECK-LABEL: @long_rows
func.func @long_rows(%x: tensor<2x64x192xf32>, %y: tensor<8x64x192xf32>) -> (tensor<2xf32>, tensor<8x64xf32>) {
  // CHECK: dit.reduce sum %{{.*}} dims = [2] : tensor<2x3x4096xf32>
  // CHECK-NEXT: dit.reduce sum %{{.*}} dims = [1] : tensor<2x3xf32>
  // CHECK-NEXT: dit.reduce sum %{{.*}} dims = [2] : tensor<8x64x192xf32>
  // CHECK-NEXT: return
  %s = dit.reduce sum %x dims = [1, 2] : tensor<2x64x192xf32>
  %t = dit.reduce sum %y dims = [2] : tensor<8x64x192xf32>
  return %s, %t : tensor<2xf32>, tensor<8x64xf32>
}

// Stages of 16-bit numbers are not rounded.
// CHECK-LABEL: @narrow
func.func @narrow(%x: tensor<8x64x192xbf16>) -> tensor<8x192xbf16> {
  // CHECK: arith.extf
  // CHECK: dit.reduce sum %{{.*}} {dit.partial} : tensor<8x2x32x192xf32>
  // CHECK: dit.reduce sum %{{.*}} : tensor<8x2x192xf32>
  // CHECK: arith.truncf %{{.*}} : tensor<8x192xf32> to tensor<8x192xbf16>
  %s = dit.reduce sum %x dims = [1] : tensor<8x64x192xbf16>
  return %s : tensor<8x192xbf16>
}
