// RUN: dit-opt %s --dit-lower-precision=precision=bf16 --dit-verify-precision | FileCheck %s
// RUN: dit-opt %s --dit-lower-precision=precision=fp32 --dit-verify-precision | FileCheck %s --check-prefix=FP32
// RUN: dit-opt %s --dit-lower-precision=precision=fp16 --dit-verify-precision | FileCheck %s --check-prefix=FP16
// RUN: dit-opt %s '--dit-lower-precision=precision=bf16 residual=low' --dit-verify-precision | FileCheck %s --check-prefix=LOW

// CHECK: module attributes {dit.precision = "bf16"}
// FP16: module attributes {dit.precision = "fp16"}
// FP32: module attributes {dit.precision = "fp32"}
// FP32-NOT: truncf
// FP32-NOT: bf16>
module {
  // CHECK: dit.global @w parameter : tensor<8x8xbf16>
  // CHECK: dit.global @bias parameter : tensor<8xf32>
  // CHECK: dit.global @qkv parameter : tensor<24x8xbf16>
  // CHECK: dit.global @shared parameter : tensor<8x8xf32>
  // CHECK: dit.global @time parameter : tensor<8x8xf32>
  // FP16: dit.global @w parameter : tensor<8x8xf16>
  dit.global @w parameter : tensor<8x8xf32>
  dit.global @bias parameter : tensor<8xf32>
  dit.global @qkv parameter : tensor<24x8xf32>
  dit.global @shared parameter : tensor<8x8xf32>
  dit.global @time parameter : tensor<8x8xf32>

  // The operand is rounded, the weight stored low, bias and result stay.
  // CHECK-LABEL: func.func @linear
  func.func @linear(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
    %w = dit.read @w : tensor<8x8xf32>
    %b = dit.read @bias : tensor<8xf32>
    // CHECK: %[[N:.*]], %{{.*}}, %{{.*}} = dit.layer_norm {{.*}} : tensor<2x3x8xf32>
    // CHECK: %[[L:.*]] = arith.truncf %[[N]] : tensor<2x3x8xf32> to tensor<2x3x8xbf16>
    // CHECK: dit.matmul %[[L]], %{{.*}} bias %{{.*}} {transpose_rhs} : tensor<2x3x8xbf16>, tensor<8x8xbf16> bias tensor<8xf32> -> tensor<2x3x8xf32>
    %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : tensor<2x3x8xf32>
    %y = dit.matmul %n, %w bias %b {transpose_rhs} : tensor<2x3x8xf32>, tensor<8x8xf32> bias tensor<8xf32> -> tensor<2x3x8xf32>
    return %y : tensor<2x3x8xf32>
  }

  // The projection gives bf16 itself; views between it and attention are bf16.
  // CHECK-LABEL: func.func @attention
  func.func @attention(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
    %w = dit.read @qkv : tensor<24x8xf32>
    // CHECK: %[[QKV:.*]] = dit.matmul {{.*}} -> tensor<2x3x24xbf16>
    // CHECK-NOT: arith
    %y = dit.matmul %x, %w {transpose_rhs} : tensor<2x3x8xf32>, tensor<24x8xf32> -> tensor<2x3x24xf32>
    %h = tensor.expand_shape %y [[0], [1], [2, 3, 4]] output_shape [2, 3, 2, 3, 4] : tensor<2x3x24xf32> into tensor<2x3x2x3x4xf32>
    %q5 = tensor.extract_slice %h[0, 0, 0, 0, 0] [2, 3, 2, 1, 4] [1, 1, 1, 1, 1] : tensor<2x3x2x3x4xf32> to tensor<2x3x2x1x4xf32>
    %k5 = tensor.extract_slice %h[0, 0, 0, 1, 0] [2, 3, 2, 1, 4] [1, 1, 1, 1, 1] : tensor<2x3x2x3x4xf32> to tensor<2x3x2x1x4xf32>
    %v5 = tensor.extract_slice %h[0, 0, 0, 2, 0] [2, 3, 2, 1, 4] [1, 1, 1, 1, 1] : tensor<2x3x2x3x4xf32> to tensor<2x3x2x1x4xf32>
    %q = tensor.collapse_shape %q5 [[0], [1], [2], [3, 4]] : tensor<2x3x2x1x4xf32> into tensor<2x3x2x4xf32>
    %k = tensor.collapse_shape %k5 [[0], [1], [2], [3, 4]] : tensor<2x3x2x1x4xf32> into tensor<2x3x2x4xf32>
    %v = tensor.collapse_shape %v5 [[0], [1], [2], [3, 4]] : tensor<2x3x2x1x4xf32> into tensor<2x3x2x4xf32>
    // CHECK: %[[O:.*]], %{{.*}} = dit.attention {{.*}} : tensor<2x3x2x4xbf16>, tensor<2x3x2x4xbf16>, tensor<2x3x2x4xbf16>
    // CHECK: %[[W:.*]] = arith.extf %[[O]]
    %o, %lse = dit.attention %q, %k, %v scale = 0.5 : tensor<2x3x2x4xf32>, tensor<2x3x2x4xf32>, tensor<2x3x2x4xf32>
    %r = tensor.collapse_shape %o [[0], [1], [2, 3]] : tensor<2x3x2x4xf32> into tensor<2x3x8xf32>
    return %r : tensor<2x3x8xf32>
  }

  // The activation is computed in fp32 and rounded once.
  // CHECK-LABEL: func.func @mlp
  func.func @mlp(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
    %w = dit.read @w : tensor<8x8xf32>
    // CHECK: %[[H:.*]] = dit.matmul {{.*}} -> tensor<4x8xf32>
    // CHECK: %[[G:.*]] = dit.gelu %[[H]] approximate = tanh : tensor<4x8xf32>
    // CHECK: %[[L:.*]] = arith.truncf %[[G]]
    // CHECK: dit.matmul %[[L]]
    %h = dit.matmul %x, %w {transpose_rhs} : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32>
    %g = dit.gelu %h approximate = tanh : tensor<4x8xf32>
    %y = dit.matmul %g, %w {transpose_rhs} : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32>
    return %y : tensor<4x8xf32>
  }

  // A weight that is added somewhere too stays fp32 and is rounded at the use.
  // CHECK-LABEL: func.func @weight_with_two_uses
  func.func @weight_with_two_uses(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {
    // CHECK: %[[W:.*]] = dit.read @shared : tensor<8x8xf32>
    // CHECK: %[[L:.*]] = arith.truncf %[[W]]
    // CHECK: %[[Y:.*]] = dit.matmul %{{.*}}, %[[L]]
    // CHECK: arith.addf %[[Y]], %[[W]]
    %w = dit.read @shared : tensor<8x8xf32>
    %y = dit.matmul %x, %w : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
    %r = arith.addf %y, %w : tensor<8x8xf32>
    return %r : tensor<8x8xf32>
  }

  // What sees only the timestep's sinusoid stays fp32; after the label is added
  // it does not.
  // CHECK-LABEL: func.func @timestep
  func.func @timestep(%t: tensor<2xf32>, %y: tensor<2xf32>) -> tensor<2x8xf32> {
    %a = dit.broadcast %t dims = [0] : tensor<2xf32> -> tensor<2x8xf32>
    %s = math.sin %a : tensor<2x8xf32>
    %w = dit.read @time : tensor<8x8xf32>
    // CHECK: %[[E:.*]] = dit.matmul {{.*}} : tensor<2x8xf32>, tensor<8x8xf32> -> tensor<2x8xf32>
    %e = dit.matmul %s, %w {transpose_rhs} : tensor<2x8xf32>, tensor<8x8xf32> -> tensor<2x8xf32>
    %b = dit.broadcast %y dims = [0] : tensor<2xf32> -> tensor<2x8xf32>
    %c = arith.addf %e, %b : tensor<2x8xf32>
    %m = dit.read @w : tensor<8x8xf32>
    // CHECK: dit.matmul {{.*}} : tensor<2x8xbf16>, tensor<8x8xbf16> -> tensor<2x8xf32>
    %r = dit.matmul %c, %m {transpose_rhs} : tensor<2x8xf32>, tensor<8x8xf32> -> tensor<2x8xf32>
    return %r : tensor<2x8xf32>
  }

  // CHECK-LABEL: func.func @residual
  // CHECK-NOT: truncf
  // LOW-LABEL: func.func @residual
  func.func @residual(%x: tensor<2x3x8xf32>, %branch: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
    // LOW: %[[S:.*]] = arith.addf
    // LOW: %[[STORED:.*]] = arith.truncf %[[S]]
    // LOW: %[[LOADED:.*]] = arith.extf %[[STORED]]
    // LOW: %[[N:.*]], %{{.*}}, %{{.*}} = dit.layer_norm %[[LOADED]]
    // LOW: arith.addf %[[LOADED]], %[[N]]
    %s = arith.addf %x, %branch : tensor<2x3x8xf32>
    %n, %mean, %rstd = dit.layer_norm %s eps = 1.0e-6 : tensor<2x3x8xf32>
    %r = arith.addf %s, %n : tensor<2x3x8xf32>
    return %r : tensor<2x3x8xf32>
  }
}
