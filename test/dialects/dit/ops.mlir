// RUN: dit-opt %s --verify-roundtrip | FileCheck %s
// Every op prints and parses back.

// CHECK: dit.global @bias parameter : tensor<768xf32> trainable pieces [#dit.piece<name = "fc1.bias"
dit.global @bias parameter : tensor<768xf32> trainable pieces [
  #dit.piece<name = "fc1.bias", file = tensor<768xf32>, view = [768], permutation = [0], target = [768], offset = [0],
             source = #dit.init<normal, value = 2.0e-2 : f64, fan_in = 0, fan_out = 0, seed = 7, stream = 9>>]
// CHECK: dit.global @latent state : tensor<8x1x32x32xf32>
dit.global @latent state : tensor<8x1x32x32xf32>
// CHECK: dit.global @weight parameter : tensor<768x192xbf16> packed <columns = 32, vnni = 2>
dit.global @weight parameter : tensor<768x192xbf16> packed #dit.packed<columns = 32, vnni = 2>
// CHECK: dit.global @flat state : tensor<128xf32>
dit.global @flat state : tensor<128xf32>
// CHECK: dit.global @member state : tensor<4x16xf32> within @flat at 64
dit.global @member state : tensor<4x16xf32> within @flat at 64

// CHECK-LABEL: @state
func.func @state() {
  // CHECK: %[[X:.*]] = dit.read @latent : tensor<8x1x32x32xf32>
  %0 = dit.read @latent : tensor<8x1x32x32xf32>
  // CHECK: dit.write %[[X]], @latent : tensor<8x1x32x32xf32>
  dit.write %0, @latent : tensor<8x1x32x32xf32>
  return
}

// CHECK-LABEL: @shapes
func.func @shapes(%x: tensor<8x192xf32>) -> tensor<8x192x64xf32> {
  // CHECK: dit.broadcast %{{.*}} dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  %0 = dit.broadcast %x dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
  // CHECK: dit.transpose %{{.*}} permutation = [0, 2, 1] : tensor<8x64x192xf32>
  %1 = dit.transpose %0 permutation = [0, 2, 1] : tensor<8x64x192xf32>
  return %1 : tensor<8x192x64xf32>
}

// CHECK-LABEL: @products_of_training
func.func @products_of_training(%x: tensor<8x64x192xbf16>, %w: tensor<768x192xbf16>, %dy: tensor<8x64x192xbf16>, %v: tensor<192x768xbf16>) -> (tensor<8x64x768xbf16>, tensor<8x64x768xbf16>) {
  // CHECK: %[[G:.*]], %[[P:.*]] = dit.matmul %{{.*}}, %{{.*}} activation = gelu_tanh {transpose_rhs} : tensor<8x64x192xbf16>, tensor<768x192xbf16> -> tensor<8x64x768xbf16> saved tensor<8x64x768xbf16>
  %g, %p = dit.matmul %x, %w activation = gelu_tanh {transpose_rhs} : tensor<8x64x192xbf16>, tensor<768x192xbf16> -> tensor<8x64x768xbf16> saved tensor<8x64x768xbf16>
  // CHECK: %[[D:.*]] = dit.matmul %{{.*}}, %{{.*}} aux %[[P]] activation = gelu_tanh_grad : tensor<8x64x192xbf16>, tensor<192x768xbf16> aux tensor<8x64x768xbf16> -> tensor<8x64x768xbf16>
  %d = dit.matmul %dy, %v aux %p activation = gelu_tanh_grad : tensor<8x64x192xbf16>, tensor<192x768xbf16> aux tensor<8x64x768xbf16> -> tensor<8x64x768xbf16>
  // CHECK: return %[[G]], %[[D]]
  return %g, %d : tensor<8x64x768xbf16>, tensor<8x64x768xbf16>
}

// CHECK-LABEL: @arithmetic
func.func @arithmetic(%x: tensor<8x64x192xf32>, %w: tensor<768x192xf32>, %b: tensor<768xf32>, %g: tensor<8x192xf32>, %p: tensor<192x192xf32>) -> tensor<8x64xf32> {
  // CHECK: dit.layer_norm %{{.*}} eps = {{.*}} : tensor<8x64x192xf32>
  %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : tensor<8x64x192xf32>
  // CHECK: dit.rms_norm %{{.*}} eps = {{.*}} : tensor<8x64x192xf32>
  %r, %rrstd = dit.rms_norm %n eps = 1.0e-6 : tensor<8x64x192xf32>
  // CHECK: dit.matmul %{{.*}}, %{{.*}} bias %{{.*}} activation = gelu_tanh {transpose_rhs} : tensor<8x64x192xf32>, tensor<768x192xf32> bias tensor<768xf32> -> tensor<8x64x768xf32>
  %h = dit.matmul %r, %w bias %b activation = gelu_tanh {transpose_rhs} : tensor<8x64x192xf32>, tensor<768x192xf32> bias tensor<768xf32> -> tensor<8x64x768xf32>
  // CHECK: dit.matmul %{{.*}}, %{{.*}} gate %{{.*}} residual %{{.*}} {transpose_rhs}
  %o = dit.matmul %r, %p gate %g residual %x {transpose_rhs} : tensor<8x64x192xf32>, tensor<192x192xf32> gate tensor<8x192xf32> residual tensor<8x64x192xf32> -> tensor<8x64x192xf32>
  // CHECK: dit.gelu %{{.*}} approximate = none : tensor<8x64x768xf32>
  %e = dit.gelu %h approximate = none : tensor<8x64x768xf32>
  // CHECK: dit.sigmoid %{{.*}} : tensor<8x64x768xf32>
  %s = dit.sigmoid %e : tensor<8x64x768xf32>
  // CHECK: dit.softmax %{{.*}} : tensor<8x64x768xf32>
  %m = dit.softmax %s : tensor<8x64x768xf32>
  // CHECK: dit.reduce sum %{{.*}} dims = [2] : tensor<8x64x768xf32>
  %t = dit.reduce sum %m dims = [2] : tensor<8x64x768xf32>
  return %t : tensor<8x64xf32>
}

// CHECK-LABEL: @attention
func.func @attention(%q: tensor<8x64x4x48xf32>, %mask: tensor<8x1x1x64xf32>) -> tensor<8x64x4x48xf32> {
  // CHECK: dit.attention %{{.*}}, %{{.*}}, %{{.*}} mask %{{.*}} scale = 1.250000e-01 : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x1x1x64xf32>
  %o, %lse = dit.attention %q, %q, %q mask %mask scale = 0.125 : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x1x1x64xf32>
  return %o : tensor<8x64x4x48xf32>
}

// CHECK-LABEL: @lookup
func.func @lookup(%table: tensor<11x192xf32>, %y: tensor<8xi64>, %seed: tensor<1xi64>) -> (tensor<8x192xf32>, tensor<8x4xf32>) {
  // CHECK: dit.gather %{{.*}}, %{{.*}} : tensor<11x192xf32>, tensor<8xi64>
  %e = dit.gather %table, %y : tensor<11x192xf32>, tensor<8xi64>
  // CHECK: dit.random normal stream = 1 at(%{{.*}}, %{{.*}}, %{{.*}}) : tensor<1xi64>, tensor<1xi64>, tensor<8xi64> -> tensor<8x4xf32>
  %z = dit.random normal stream = 1 at (%seed, %seed, %y) : tensor<1xi64>, tensor<1xi64>, tensor<8xi64> -> tensor<8x4xf32>
  return %e, %z : tensor<8x192xf32>, tensor<8x4xf32>
}

// CHECK-LABEL: @kernel
func.func @kernel(%x: tensor<8x64xf32>) -> (tensor<8x64xf32>, tensor<8xf32>) {
  // CHECK: dit.kernel "norm" space = [8, 64](%{{.*}}) : (tensor<8x64xf32>) -> (tensor<8x64xf32>, tensor<8xf32>) {
  %y:2 = dit.kernel "norm" space = [8, 64] (%x) : (tensor<8x64xf32>) -> (tensor<8x64xf32>, tensor<8xf32>) {
  ^bb0(%a: tensor<8x64xf32>):
    %n, %mean, %rstd = dit.layer_norm %a eps = 1.0e-6 : tensor<8x64xf32>
    // CHECK: dit.yield %{{.*}}, %{{.*}} : tensor<8x64xf32>, tensor<8xf32>
    dit.yield %n, %mean : tensor<8x64xf32>, tensor<8xf32>
  }
  return %y#0, %y#1 : tensor<8x64xf32>, tensor<8xf32>
}
