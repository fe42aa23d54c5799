// RUN: dit-opt %s --dit-form-kernels=report=true --verify-diagnostics | FileCheck %s

!t = tensor<8x256xf32>

// A kernel has at most 24 operands, results among them: a longer sum is cut.
// CHECK-LABEL: @long_sum
// CHECK:       %[[S:.*]] = dit.kernel "residual" space = [8, 256](%arg0, %arg1, %arg2, %arg3)
// CHECK:       %[[T:.*]] = dit.kernel "residual" space = [8, 256](%[[S]], %arg4,{{.*}}, %arg25)
// CHECK-NOT:   dit.kernel
// CHECK:       return %[[T]]
func.func @long_sum(
    %a0: !t, %a1: !t, %a2: !t, %a3: !t, %a4: !t, %a5: !t, %a6: !t,
    %a7: !t, %a8: !t, %a9: !t, %a10: !t, %a11: !t, %a12: !t, %a13: !t,
    %a14: !t, %a15: !t, %a16: !t, %a17: !t, %a18: !t, %a19: !t, %a20: !t,
    %a21: !t, %a22: !t, %a23: !t, %a24: !t, %a25: !t) -> !t {
  %s1 = arith.addf %a0, %a1 : !t
  %s2 = arith.addf %s1, %a2 : !t
  // expected-remark @+2 {{not fused: the kernel would have 25 operands, more than 24}}
  // expected-remark @+1 {{fused add, add, add into 'residual', 4 in, 1 out}}
  %s3 = arith.addf %s2, %a3 : !t
  %s4 = arith.addf %s3, %a4 : !t
  %s5 = arith.addf %s4, %a5 : !t
  %s6 = arith.addf %s5, %a6 : !t
  %s7 = arith.addf %s6, %a7 : !t
  %s8 = arith.addf %s7, %a8 : !t
  %s9 = arith.addf %s8, %a9 : !t
  %s10 = arith.addf %s9, %a10 : !t
  %s11 = arith.addf %s10, %a11 : !t
  %s12 = arith.addf %s11, %a12 : !t
  %s13 = arith.addf %s12, %a13 : !t
  %s14 = arith.addf %s13, %a14 : !t
  %s15 = arith.addf %s14, %a15 : !t
  %s16 = arith.addf %s15, %a16 : !t
  %s17 = arith.addf %s16, %a17 : !t
  %s18 = arith.addf %s17, %a18 : !t
  %s19 = arith.addf %s18, %a19 : !t
  %s20 = arith.addf %s19, %a20 : !t
  %s21 = arith.addf %s20, %a21 : !t
  %s22 = arith.addf %s21, %a22 : !t
  %s23 = arith.addf %s22, %a23 : !t
  %s24 = arith.addf %s23, %a24 : !t
  // expected-remark @+1 {{into 'residual', 23 in, 1 out}}
  %s25 = arith.addf %s24, %a25 : !t
  return %s25 : !t
}

// 1 + scale is a flop on numbers that are there: two kernels add it each, and
// neither reads a third one's result.
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
  // expected-remark @+1 {{fused extf, add, layer_norm, mul into}}
  %h = arith.mulf %n, %b : tensor<8x4x256xf32>
  %y = dit.matmul %h, %w {transpose_rhs} : tensor<8x4x256xf32>, tensor<256x256xf32> -> tensor<8x4x256xf32>
  // expected-remark @+1 {{fused extf, add, mul into}}
  %z = arith.mulf %y, %b : tensor<8x4x256xf32>
  return %z : tensor<8x4x256xf32>
}

// The sum of two buffers is not read twice: it is made once.
// CHECK-LABEL: @two_buffers
// CHECK:       %[[S:.*]] = dit.kernel "residual" space = [8, 256](%arg1, %arg2)
// CHECK:       dit.kernel "mul" space = [8, 4, 256](%[[S]], %arg0)
// CHECK:       dit.kernel "mul" space = [8, 4, 256](%[[S]], %{{.*}})
func.func @two_buffers(%x: tensor<8x4x256xf32>, %p: tensor<8x256xf32>, %q: tensor<8x256xf32>, %w: tensor<256x256xf32>) -> tensor<8x4x256xf32> {
  // expected-remark @+1 {{not fused into 2 kernels that use it}}
  %scale = arith.addf %p, %q : tensor<8x256xf32>
  %b = dit.broadcast %scale dims = [0, 2] : tensor<8x256xf32> -> tensor<8x4x256xf32>
  %h = arith.mulf %x, %b : tensor<8x4x256xf32>
  %y = dit.matmul %h, %w {transpose_rhs} : tensor<8x4x256xf32>, tensor<256x256xf32> -> tensor<8x4x256xf32>
  %z = arith.mulf %y, %b : tensor<8x4x256xf32>
  return %z : tensor<8x4x256xf32>
}
