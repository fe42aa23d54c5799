// RUN: emit-ptx %s | FileCheck %s

!x = tensor<256x64x192xbf16>
!f = tensor<256x64x192xf32>
!r = tensor<256x64xf32>
!c = tensor<256x2x32x192xf32>
!s = tensor<256x2x192xf32>

// Rows of 192 are a warp's, and eight warps share a run of 32: each makes every
// eighth row. What a column sum alone reads is loaded ahead too. Then the eight
// sums of each column go through shared memory.
// CHECK: // kernel0: 512 blocks of 256 threads
// CHECK: // kernel1: 512 blocks of 384 threads
// CHECK: // kernel2: 512 blocks of 128 threads
// CHECK: .entry kernel0(
// CHECK: .reqntid 256
// CHECK: .shared .align 16 .b8 kernel0_sums[16384];
// CHECK: $L__BB
// CHECK: bra
// CHECK-COUNT-4: ld.global{{(.nc)?}}.v4.b32
// CHECK-COUNT-5: shfl.sync.bfly.b32
// CHECK-NOT: ld.global
// CHECK: st.global.v4.b32
// CHECK: add.s64 {{.*}}, 8;
// CHECK-NEXT: bra
// CHECK-COUNT-4: st.shared.v4.b32
// CHECK: bar.sync
// CHECK-COUNT-8: ld.shared.b32
// CHECK-NOT: ld.shared
// CHECK: st.global.b32
// CHECK-COUNT-8: ld.shared.b32
// CHECK-NOT: ld.shared
// CHECK: st.global.b32
// CHECK: ret
func.func @short_rows(%x: !f, %y: !f) -> (!f, !s, !s) {
  %0:3 = dit.kernel "gradient" space = [256, 64, 192] (%x, %y) : (!f, !f) -> (!f, !s, !s) {
  ^bb0(%a: !f, %b: !f):
    %r = dit.reduce sum %a dims = [2] : !f
    %rb = dit.broadcast %r dims = [0, 1] : !r -> !f
    %o = arith.subf %a, %rb : !f
    %p = arith.mulf %o, %b : !f
    %oc = tensor.expand_shape %o [[0], [1, 2], [3]] output_shape [256, 2, 32, 192] : !f into !c
    %pc = tensor.expand_shape %p [[0], [1, 2], [3]] output_shape [256, 2, 32, 192] : !f into !c
    %os = dit.reduce sum %oc dims = [2] {dit.partial} : !c
    %ps = dit.reduce sum %pc dims = [2] {dit.partial} : !c
    dit.yield %o, %os, %ps : !f, !s, !s
  }
  return %0#0, %0#1, %0#2 : !f, !s, !s
}

// Rows wider than a warp share a block where nothing is reduced along them.
// CHECK: .entry kernel1(
// CHECK: .reqntid 384
func.func @bias(%x: tensor<512x32x768xbf16>) -> tensor<512x768xf32> {
  %0 = dit.kernel "bias" space = [512, 32, 768] (%x) : (tensor<512x32x768xbf16>) -> tensor<512x768xf32> {
  ^bb0(%a: tensor<512x32x768xbf16>):
    %f = arith.extf %a : tensor<512x32x768xbf16> to tensor<512x32x768xf32>
    %s = dit.reduce sum %f dims = [1] {dit.partial} : tensor<512x32x768xf32>
    dit.yield %s : tensor<512x768xf32>
  }
  return %0 : tensor<512x768xf32>
}

!p = tensor<16384x32xf32>

// Rows of four threads: all 32 of a run at once, without a loop.
// CHECK: .entry kernel2(
// CHECK-NOT: bra
// CHECK: ld.global{{(.nc)?}}.v4.b32
// CHECK: st.shared.v4.b32
// CHECK-NOT: bra
// CHECK: ret
func.func @patches(%x: !p) -> (tensor<16384x32xbf16>, tensor<512x32xf32>) {
  %0:2 = dit.kernel "patches" space = [16384, 32] (%x) : (!p) -> (tensor<16384x32xbf16>, tensor<512x32xf32>) {
  ^bb0(%a: !p):
    %o = arith.truncf %a : !p to tensor<16384x32xbf16>
    %u = tensor.expand_shape %a [[0, 1], [2]] output_shape [512, 32, 32] : !p into tensor<512x32x32xf32>
    %s = dit.reduce sum %u dims = [1] {dit.partial} : tensor<512x32x32xf32>
    dit.yield %o, %s : tensor<16384x32xbf16>, tensor<512x32xf32>
  }
  return %0#0, %0#1 : tensor<16384x32xbf16>, tensor<512x32xf32>
}
