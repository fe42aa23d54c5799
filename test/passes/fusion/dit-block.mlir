// RUN: dit-opt %s --dit-split-reductions --dit-fuse-epilogue --dit-form-kernels \
// RUN:   --dit-fuse-gated-residual --dit-verify-fused | FileCheck %s

// The launches of a DiT block: two kernels, each norm with all around it, four
// GEMMs and the modulation's, and attention on views. Here the stream ends, so
// the last gate and residual are in the last GEMM's epilogue.

dit.global @w_ada parameter : tensor<1152x192xf32>
dit.global @w_qkv parameter : tensor<576x192xf32>
dit.global @w_proj parameter : tensor<192x192xf32>
dit.global @w_fc1 parameter : tensor<768x192xf32>
dit.global @w_fc2 parameter : tensor<192x768xf32>
dit.global @c input : tensor<8x192xf32>
dit.global @xin input : tensor<8x64x192xf32>
dit.global @pos parameter : tensor<64x192xf32>
dit.global @out output : tensor<8x64x192xf32>

// CHECK-LABEL: @run
func.func @run() {
  // CHECK:     %[[C:.*]] = dit.kernel "silu" space = [8, 192]
  // CHECK:     %[[MOD:.*]] = dit.matmul %[[C]]
  // CHECK:     %[[FIRST:.*]]:2 = dit.kernel "layer_norm_modulate" space = [8, 64, 192]({{.*}}%[[MOD]]{{.*}})
  // CHECK-NOT: {{dit.kernel|dit.matmul}}
  // CHECK:     %[[QKV:.*]] = dit.matmul %[[FIRST]]#1
  // CHECK-NOT: {{dit.kernel|dit.matmul}}
  // CHECK:     %[[O:.*]], %{{.*}} = dit.attention
  // CHECK-NOT: {{dit.kernel|dit.matmul}}
  // CHECK:     %[[P:.*]] = dit.matmul
  // CHECK-NOT: {{dit.kernel|dit.matmul}}
  // CHECK:     %[[SECOND:.*]]:2 = dit.kernel "gate_residual_layer_norm_modulate" space = [8, 64, 192](%[[MOD]], %[[P]], %[[FIRST]]#0)
  // CHECK-NOT: {{dit.kernel|dit.matmul}}
  // CHECK:     %[[F:.*]] = dit.matmul %[[SECOND]]#1, %{{.*}} activation = gelu_tanh
  // CHECK-NOT: {{dit.kernel|dit.matmul}}
  // CHECK:     %[[X2:.*]] = dit.matmul %[[F]], %{{.*}} gate %{{.*}} residual %[[SECOND]]#0
  // CHECK-NOT: {{dit.kernel|dit.matmul}}
  // CHECK:     dit.write %[[X2]], @out
  // CHECK-NOT: {{dit.kernel|dit.matmul}}
  // CHECK:     return
  %wa = dit.read @w_ada : tensor<1152x192xf32>
  %wq = dit.read @w_qkv : tensor<576x192xf32>
  %wp = dit.read @w_proj : tensor<192x192xf32>
  %w1 = dit.read @w_fc1 : tensor<768x192xf32>
  %w2 = dit.read @w_fc2 : tensor<192x768xf32>
  %c = dit.read @c : tensor<8x192xf32>
  %xin = dit.read @xin : tensor<8x64x192xf32>
  %pos = dit.read @pos : tensor<64x192xf32>
  %sg = dit.sigmoid %c : tensor<8x192xf32>
  %silu = arith.mulf %c, %sg : tensor<8x192xf32>
  %mod = dit.matmul %silu, %wa {transpose_rhs} : tensor<8x192xf32>, tensor<1152x192xf32> -> tensor<8x1152xf32>
  %sa = tensor.extract_slice %mod[0, 0] [8, 192] [1, 1] : tensor<8x1152xf32> to tensor<8x192xf32>
  %ca = tensor.extract_slice %mod[0, 192] [8, 192] [1, 1] : tensor<8x1152xf32> to tensor<8x192xf32>
  %ga = tensor.extract_slice %mod[0, 384] [8, 192] [1, 1] : tensor<8x1152xf32> to tensor<8x192xf32>
  %sm = tensor.extract_slice %mod[0, 576] [8, 192] [1, 1] : tensor<8x1152xf32> to tensor<8x192xf32>
  %cm = tensor.extract_slice %mod[0, 768] [8, 192] [1, 1] : tensor<8x1152xf32> to tensor<8x192xf32>
  %gm = tensor.extract_slice %mod[0, 960] [8, 192] [1, 1] : tensor<8x1152xf32> to tensor<8x192xf32>
  %posb = dit.broadcast %pos dims = [1, 2] : tensor<64x192xf32> -> tensor<8x64x192xf32>
  %x = arith.addf %xin, %posb : tensor<8x64x192xf32>

  %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : tensor<8x64x192xf32>
  %one = arith.constant dense<1.0> : tensor<8x192xf32>
  %ca1 = arith.addf %ca, %one : tensor<8x192xf32>
  %cab = dit.broadcast %ca1 dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  %sab = dit.broadcast %sa dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  %h0 = arith.mulf %n, %cab : tensor<8x64x192xf32>
  %h = arith.addf %h0, %sab : tensor<8x64x192xf32>
  %qkv = dit.matmul %h, %wq {transpose_rhs} : tensor<8x64x192xf32>, tensor<576x192xf32> -> tensor<8x64x576xf32>
  %qkve = tensor.expand_shape %qkv [[0], [1], [2, 3, 4]] output_shape [8, 64, 4, 3, 48] : tensor<8x64x576xf32> into tensor<8x64x4x3x48xf32>
  %q = tensor.extract_slice %qkve[0, 0, 0, 0, 0] [8, 64, 4, 1, 48] [1, 1, 1, 1, 1] : tensor<8x64x4x3x48xf32> to tensor<8x64x4x48xf32>
  %k = tensor.extract_slice %qkve[0, 0, 0, 1, 0] [8, 64, 4, 1, 48] [1, 1, 1, 1, 1] : tensor<8x64x4x3x48xf32> to tensor<8x64x4x48xf32>
  %v = tensor.extract_slice %qkve[0, 0, 0, 2, 0] [8, 64, 4, 1, 48] [1, 1, 1, 1, 1] : tensor<8x64x4x3x48xf32> to tensor<8x64x4x48xf32>
  %o, %lse = dit.attention %q, %k, %v scale = 0.144 : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>
  %oc = tensor.collapse_shape %o [[0], [1], [2, 3]] : tensor<8x64x4x48xf32> into tensor<8x64x192xf32>
  %p = dit.matmul %oc, %wp {transpose_rhs} : tensor<8x64x192xf32>, tensor<192x192xf32> -> tensor<8x64x192xf32>
  %gab = dit.broadcast %ga dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  %pg = arith.mulf %gab, %p : tensor<8x64x192xf32>
  %x1 = arith.addf %x, %pg : tensor<8x64x192xf32>
  %n1, %mean1, %rstd1 = dit.layer_norm %x1 eps = 1.0e-6 : tensor<8x64x192xf32>
  %cm1 = arith.addf %cm, %one : tensor<8x192xf32>
  %cmb = dit.broadcast %cm1 dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  %smb = dit.broadcast %sm dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  %h1 = arith.mulf %n1, %cmb : tensor<8x64x192xf32>
  %h2 = arith.addf %h1, %smb : tensor<8x64x192xf32>
  %f = dit.matmul %h2, %w1 {transpose_rhs} : tensor<8x64x192xf32>, tensor<768x192xf32> -> tensor<8x64x768xf32>
  %g = dit.gelu %f approximate = tanh : tensor<8x64x768xf32>
  %f2 = dit.matmul %g, %w2 {transpose_rhs} : tensor<8x64x768xf32>, tensor<192x768xf32> -> tensor<8x64x192xf32>
  %gmb = dit.broadcast %gm dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  %fg = arith.mulf %gmb, %f2 : tensor<8x64x192xf32>
  %x2 = arith.addf %x1, %fg : tensor<8x64x192xf32>
  dit.write %x2, @out : tensor<8x64x192xf32>
  return
}
