// RUN: dit-opt %s --dit-form-kernels=repeat-flops=true | FileCheck %s
// RUN: dit-opt %s --dit-form-kernels | FileCheck %s --check-prefix=ONCE

// 1 + scale is a flop on numbers that are there: two kernels add it each, and
// neither reads a third one's result, as they do without the option.
// ONCE-LABEL:  @one_flop_twice
// ONCE:        dit.kernel "add"
// CHECK-LABEL: @one_flop_twice
// CHECK-NOT:   dit.kernel "add"
// CHECK:       dit.kernel "layer_norm{{.*}}" space = [8, 4, 256](%[[MOD:.*]], %{{.*}}) : (tensor<8x512xbf16>, tensor<8x4x256xf32>)
// CHECK:         arith.addf %{{.*}}, %{{.*}} : tensor<8x256xf32>
// CHECK:       %[[Y:.*]] = dit.matmul
// CHECK:       dit.kernel "mul" space = [8, 4, 256](%[[MOD]], %[[Y]])
// CHECK:         arith.addf %{{.*}}, %{{.*}} : tensor<8x256xf32>
func.func @one_flop_twice(%x: tensor<8x4x256xf32>, %c: tensor<8x256xbf16>, %v: tensor<512x256xbf16>, %w: tensor<256x256xf32>) -> tensor<8x4x256xf32> {
  %one = arith.constant dense<1.0> : tensor<8x256xf32>
  %mod = dit.matmul %c, %v {transpose_rhs} : tensor<8x256xbf16>, tensor<512x256xbf16> -> tensor<8x512xbf16>
  %wide = arith.extf %mod : tensor<8x512xbf16> to tensor<8x512xf32>
  %s = tensor.extract_slice %wide[0, 256] [8, 256] [1, 1] : tensor<8x512xf32> to tensor<8x256xf32>
  %scale = arith.addf %s, %one : tensor<8x256xf32>
  %b = dit.broadcast %scale dims = [0, 2] : tensor<8x256xf32> -> tensor<8x4x256xf32>
  %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : tensor<8x4x256xf32>
  %h = arith.mulf %n, %b : tensor<8x4x256xf32>
  %y = dit.matmul %h, %w {transpose_rhs} : tensor<8x4x256xf32>, tensor<256x256xf32> -> tensor<8x4x256xf32>
  %z = arith.mulf %y, %b : tensor<8x4x256xf32>
  return %z : tensor<8x4x256xf32>
}

// The sum of two buffers is not read twice: it is made once.
// CHECK-LABEL: @two_buffers
// CHECK:       %[[S:.*]] = dit.kernel "residual" space = [8, 256](%arg1, %arg2)
// CHECK:       dit.kernel "mul" space = [8, 4, 256](%[[S]], %arg0)
// CHECK:       dit.kernel "mul" space = [8, 4, 256](%[[S]], %{{.*}})
func.func @two_buffers(%x: tensor<8x4x256xf32>, %p: tensor<8x256xf32>, %q: tensor<8x256xf32>, %w: tensor<256x256xf32>) -> tensor<8x4x256xf32> {
  %scale = arith.addf %p, %q : tensor<8x256xf32>
  %b = dit.broadcast %scale dims = [0, 2] : tensor<8x256xf32> -> tensor<8x4x256xf32>
  %h = arith.mulf %x, %b : tensor<8x4x256xf32>
  %y = dit.matmul %h, %w {transpose_rhs} : tensor<8x4x256xf32>, tensor<256x256xf32> -> tensor<8x4x256xf32>
  %z = arith.mulf %y, %b : tensor<8x4x256xf32>
  return %z : tensor<8x4x256xf32>
}
