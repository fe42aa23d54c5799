// RUN: dit-opt %s --verify-roundtrip | FileCheck %s
// The ops of gradients print and parse back.

// CHECK-LABEL: @elementwise
func.func @elementwise(%x: tensor<8x768xf32>, %dy: tensor<8x768xf32>) -> (tensor<8x768xf32>, tensor<8x768xf32>) {
  // CHECK: dit.gelu_grad %arg0, %arg1 approximate = tanh : tensor<8x768xf32>
  %0 = dit.gelu_grad %x, %dy approximate = tanh : tensor<8x768xf32>
  // CHECK: dit.gelu_grad %{{.*}}, %arg1 approximate = none : tensor<8x768xf32>
  %1 = dit.gelu_grad %0, %dy approximate = none : tensor<8x768xf32>
  // CHECK: dit.stop_gradient %{{.*}} : tensor<8x768xf32>
  %2 = dit.stop_gradient %1 : tensor<8x768xf32>
  return %1, %2 : tensor<8x768xf32>, tensor<8x768xf32>
}

// The other value may be of any type.
// CHECK-LABEL: @after
func.func @after(%x: tensor<8x768xf32>, %dy: tensor<4xbf16>) -> tensor<8x768xf32> {
  // CHECK: dit.after %arg0, %arg1 : tensor<8x768xf32>, tensor<4xbf16>
  %0 = dit.after %x, %dy : tensor<8x768xf32>, tensor<4xbf16>
  return %0 : tensor<8x768xf32>
}

// The table may be wider than the rows that are added.
// CHECK-LABEL: @scatter_add
func.func @scatter_add(%labels: tensor<2x4xi64>, %updates: tensor<2x4x192xbf16>) -> tensor<11x192xf32> {
  // CHECK: dit.scatter_add %arg0, %arg1 : tensor<2x4xi64>, tensor<2x4x192xbf16> -> tensor<11x192xf32>
  %0 = dit.scatter_add %labels, %updates : tensor<2x4xi64>, tensor<2x4x192xbf16> -> tensor<11x192xf32>
  return %0 : tensor<11x192xf32>
}

// Fewer heads of key and value, another size of value, and a mask.
// CHECK-LABEL: @attention_grad
func.func @attention_grad(%q: tensor<8x64x4x48xbf16>, %k: tensor<8x16x2x48xbf16>, %v: tensor<8x16x2x32xbf16>,
                          %o: tensor<8x64x4x32xbf16>, %lse: tensor<8x4x64xf32>, %m: tensor<8x1x1x16xf32>)
    -> (tensor<8x64x4x48xbf16>, tensor<8x16x2x48xbf16>, tensor<8x16x2x32xbf16>) {
  // CHECK: %{{.*}}, %{{.*}}, %{{.*}} = dit.attention_grad %arg0, %arg1, %arg2 output %arg3, %arg4 cotangent %arg3 mask %arg5 scale = 1.250000e-01 : tensor<8x64x4x48xbf16>, tensor<8x16x2x48xbf16>, tensor<8x16x2x32xbf16> output tensor<8x64x4x32xbf16>, tensor<8x4x64xf32> cotangent tensor<8x64x4x32xbf16> mask tensor<8x1x1x16xf32>
  %dq, %dk, %dv = dit.attention_grad %q, %k, %v output %o, %lse cotangent %o mask %m scale = 0.125
      : tensor<8x64x4x48xbf16>, tensor<8x16x2x48xbf16>, tensor<8x16x2x32xbf16>
        output tensor<8x64x4x32xbf16>, tensor<8x4x64xf32> cotangent tensor<8x64x4x32xbf16> mask tensor<8x1x1x16xf32>
  return %dq, %dk, %dv : tensor<8x64x4x48xbf16>, tensor<8x16x2x48xbf16>, tensor<8x16x2x32xbf16>
}

// CHECK-LABEL: @attention_grad_without_mask
func.func @attention_grad_without_mask(%q: tensor<1x2x1x4xf32>, %lse: tensor<1x1x2xf32>) -> tensor<1x2x1x4xf32> {
  // CHECK: dit.attention_grad %arg0, %arg0, %arg0 output %arg0, %arg1 cotangent %arg0 scale = 5.000000e-01 : tensor<1x2x1x4xf32>, tensor<1x2x1x4xf32>, tensor<1x2x1x4xf32> output tensor<1x2x1x4xf32>, tensor<1x1x2xf32> cotangent tensor<1x2x1x4xf32>
  %dq, %dk, %dv = dit.attention_grad %q, %q, %q output %q, %lse cotangent %q scale = 0.5
      : tensor<1x2x1x4xf32>, tensor<1x2x1x4xf32>, tensor<1x2x1x4xf32>
        output tensor<1x2x1x4xf32>, tensor<1x1x2xf32> cotangent tensor<1x2x1x4xf32>
  return %dq : tensor<1x2x1x4xf32>
}
