// RUN: emit-ptx %s | FileCheck %s
// RUN: emit-ptx %s | FileCheck %s --check-prefix=NONE
// RUN: emit-ptx %s sm_80 | FileCheck %s --check-prefix=SM80
// RUN: emit-ptx %s sm_89 | FileCheck %s --check-prefix=SM89
// RUN: emit-ptx %s sm_100 | FileCheck %s --check-prefix=SM100
// RUN: not emit-ptx %s sm_75 2>&1 | FileCheck %s --check-prefix=SM75

// SM80: .target sm_80
// SM80-NOT: griddepcontrol
// SM89: .target sm_89
// SM100: .target sm_100
// SM75: there is no code for the GPU 'sm_75'; use sm_80, sm_89, sm_90, sm_100

// Nothing is called, nothing is on a stack.
// NONE-NOT: .extern
// NONE-NOT: .local
// NONE-NOT: call

!x = tensor<64x256x1152xbf16>
!f = tensor<64x256x1152xf32>
!v = tensor<64x1152xbf16>
!w = tensor<64x1152xf32>

// A warp a row: five vectors of 16 bytes a thread, the last in half of them.
// The row is read once, past L1: shift and scale, which are never written, stay
// there. Nothing branches, the stores come last. It may begin before the kernel
// before it ends, and waits for that itself.
// CHECK: // kernel0: 4096 blocks of 128 threads, 0 bytes: 37748736 147456 147456 -> 37748736
// CHECK: .target sm_90
// CHECK: .visible .entry kernel0(
// CHECK: .reqntid 128
// CHECK-NOT: ld.global
// CHECK: griddepcontrol.wait;
// CHECK-NEXT: griddepcontrol.launch_dependents;
// CHECK-NOT: bra
// CHECK-NOT: shfl
// CHECK-COUNT-5: ld.global.cs.v4.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-5: shfl.sync.bfly.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-5: shfl.sync.bfly.b32
// CHECK-NOT: shfl
// CHECK-COUNT-2: ld.global.nc.v4.b32
// CHECK: cvt.rn.bf16x2.f32
// CHECK-COUNT-8: ld.global.nc.v4.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-4: {{^[[:space:]]*}}st.global.cs.v4.b32
// CHECK: @%p{{[0-9]+}} st.global.cs.v4.b32
// CHECK-NOT: st.global
// CHECK: .entry kernel1(
func.func @modulate(%x: !x, %s: !v, %t: !v) -> !x {
  %0 = dit.kernel "modulate" space = [64, 256, 1152] (%x, %s, %t) : (!x, !v, !v) -> !x {
  ^bb0(%a: !x, %c: !v, %d: !v):
    %e = arith.extf %a : !x to !f
    %n, %mean, %rstd = dit.layer_norm %e eps = 1.0e-6 : !f
    %cf = arith.extf %c : !v to !w
    %df = arith.extf %d : !v to !w
    %one = arith.constant dense<1.0> : !w
    %c1 = arith.addf %cf, %one : !w
    %cb = dit.broadcast %c1 dims = [0, 2] : !w -> !f
    %db = dit.broadcast %df dims = [0, 2] : !w -> !f
    %m = arith.mulf %n, %cb : !f
    %y = arith.addf %m, %db : !f
    %o = arith.truncf %y : !f to !x
    dit.yield %o : !x
  }
  return %0 : !x
}

// Gate, residual, norm, modulation: the sum is stored, and used as stored,
// without being read again. It reads two rows, so two warps share them: three
// vectors of each a thread, all asked for before anything else. Its own rows are
// more than it shares with others: no hints.
// CHECK: .reqntid 64
// CHECK-NOT: .cs
// CHECK-COUNT-6: ld.global.v4.b32
// CHECK-NOT: ld.global.v4
// CHECK-COUNT-3: ld.global.nc.v4.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-10: shfl.sync.bfly.b32
// CHECK-NOT: shfl
// CHECK: .entry kernel2(
func.func @gate_residual_modulate(%x: !x, %p: !x, %g: !v, %s: !v, %t: !v) -> (!x, !x) {
  %0:2 = dit.kernel "gate" space = [64, 256, 1152] (%x, %p, %g, %s, %t) : (!x, !x, !v, !v, !v) -> (!x, !x) {
  ^bb0(%a: !x, %b: !x, %h: !v, %c: !v, %d: !v):
    %af = arith.extf %a : !x to !f
    %bf = arith.extf %b : !x to !f
    %hb = dit.broadcast %h dims = [0, 2] : !v -> !x
    %hf = arith.extf %hb : !x to !f
    %hp = arith.mulf %hf, %bf : !f
    %sum = arith.addf %af, %hp : !f
    %stored = arith.truncf %sum : !f to !x
    %e = arith.extf %stored : !x to !f
    %n, %mean, %rstd = dit.layer_norm %e eps = 1.0e-6 : !f
    %cf = arith.extf %c : !v to !w
    %df = arith.extf %d : !v to !w
    %one = arith.constant dense<1.0> : !w
    %c1 = arith.addf %cf, %one : !w
    %cb = dit.broadcast %c1 dims = [0, 2] : !w -> !f
    %db = dit.broadcast %df dims = [0, 2] : !w -> !f
    %m = arith.mulf %n, %cb : !f
    %y = arith.addf %m, %db : !f
    %o = arith.truncf %y : !f to !x
    dit.yield %stored, %o : !x, !x
  }
  return %0#0, %0#1 : !x, !x
}

// Few rows are a block's each: 384 threads with three vectors, whose warps meet
// in shared memory, once for each of two sums.
// CHECK: .reqntid 384
// CHECK-COUNT-5: shfl.sync.bfly.b32
// CHECK: st.shared.b32
// CHECK: bar.sync
// CHECK: ld.shared
// CHECK-COUNT-5: shfl.sync.bfly.b32
// CHECK: bar.sync
// CHECK-NOT: bar.sync
// CHECK: .entry kernel3(
func.func @wide(%x: tensor<49x4608xf32>) -> tensor<49x4608xf32> {
  %0 = dit.kernel "wide" space = [49, 4608] (%x) : (tensor<49x4608xf32>) -> tensor<49x4608xf32> {
  ^bb0(%a: tensor<49x4608xf32>):
    %n, %mean, %rstd = dit.layer_norm %a eps = 1.0e-6 : tensor<49x4608xf32>
    dit.yield %n : tensor<49x4608xf32>
  }
  return %0 : tensor<49x4608xf32>
}

// Rows of 72 bf16 numbers are nine vectors: sixteen threads a row, eight rows a
// block.
// CHECK: .reqntid 128
// CHECK-COUNT-4: shfl.sync.bfly.b32
// CHECK-NOT: shfl
// CHECK: .entry kernel4(
func.func @short(%x: tensor<16385x72xbf16>) -> tensor<16385x72xbf16> {
  %0 = dit.kernel "short" space = [16385, 72] (%x) : (tensor<16385x72xbf16>) -> tensor<16385x72xbf16> {
  ^bb0(%a: tensor<16385x72xbf16>):
    %e = arith.extf %a : tensor<16385x72xbf16> to tensor<16385x72xf32>
    %n, %rstd = dit.rms_norm %e eps = 1.0e-6 : tensor<16385x72xf32>
    %o = arith.truncf %n : tensor<16385x72xf32> to tensor<16385x72xbf16>
    dit.yield %o : tensor<16385x72xbf16>
  }
  return %0 : tensor<16385x72xbf16>
}

// Flat: a vector a thread. The exponential is one instruction and corrections.
// CHECK: .reqntid 256
// CHECK: ld.global.v4.b32
// CHECK: ex2.approx.f32
// CHECK: {{rcp.approx.ftz|rcp.approx|div.approx}}.f32
// CHECK: st.global.v4.b32
// CHECK-NOT: st.global
func.func @silu(%x: tensor<64x4608xf32>) -> tensor<64x4608xf32> {
  %0 = dit.kernel "silu" space = [64, 4608] (%x) : (tensor<64x4608xf32>) -> tensor<64x4608xf32> {
  ^bb0(%a: tensor<64x4608xf32>):
    %s = dit.sigmoid %a : tensor<64x4608xf32>
    %y = arith.mulf %s, %a : tensor<64x4608xf32>
    dit.yield %y : tensor<64x4608xf32>
  }
  return %0 : tensor<64x4608xf32>
}
