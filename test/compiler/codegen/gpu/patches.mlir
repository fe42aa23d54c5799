// RUN: emit-ptx %s | FileCheck %s

!i = tensor<256x1x32x32xf32>
!b = tensor<256x1x32x32xi1>
!t = tensor<256x64x32xf32>

// A thread's eight numbers are four pixels of two planes: those, and their
// flags, are one load for each operand.
// CHECK: .entry kernel0(
// CHECK: griddepcontrol.launch_dependents
// CHECK-NOT: ld.global{{(.nc)?}}.b8
// CHECK: ld.global{{(.nc)?}}.v4.b32
// CHECK-NOT: ld.global{{(.nc)?}}.b8
// CHECK: ld.global{{(.nc)?}}.v4.b32
// CHECK-NOT: ld.global{{(.nc)?}}.b8
// CHECK: ld.global{{(.nc)?}}.b32
// CHECK-NOT: ld.global
// CHECK: st.global.v4.b32
func.func @patches(%x: !i, %y: !i, %f: !b) -> tensor<256x64x32xbf16> {
  %0 = dit.kernel "patches" space = [256, 64, 32] (%x, %y, %f) : (!i, !i, !b) -> tensor<256x64x32xbf16> {
  ^bb0(%a: !i, %c: !i, %g: !b):
    %m = arith.mulf %a, %c : !i
    %n = arith.select %g, %a, %c : !b, !i
    %p = tensor.concat dim(1) %m, %n : (!i, !i) -> tensor<256x2x32x32xf32>
    %e = tensor.expand_shape %p [[0], [1], [2, 3], [4, 5]] output_shape [256, 2, 8, 4, 8, 4] : tensor<256x2x32x32xf32> into tensor<256x2x8x4x8x4xf32>
    %t = dit.transpose %e permutation = [0, 2, 4, 3, 5, 1] : tensor<256x2x8x4x8x4xf32>
    %r = tensor.collapse_shape %t [[0], [1, 2], [3, 4, 5]] : tensor<256x8x8x4x4x2xf32> into !t
    %o = arith.truncf %r : !t to tensor<256x64x32xbf16>
    dit.yield %o : tensor<256x64x32xbf16>
  }
  return %0 : tensor<256x64x32xbf16>
}
