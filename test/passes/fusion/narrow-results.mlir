// RUN: dit-opt %s --dit-narrow-results | FileCheck %s

!w = tensor<4x64xf32>
!n = tensor<4x64xbf16>

// The sum was rounded: it is stored so, and widened by who reads it, as often as
// it is read. Row results are left alone, and so is what is not a widening.
// CHECK-LABEL: @residual
// CHECK: %[[X:.*]]:2 = dit.kernel "a" {{.*}} -> (tensor<4x64xbf16>, tensor<4xf32>) {
// CHECK: %[[R:.*]] = arith.truncf
// CHECK: %[[W:.*]] = arith.extf %[[R]]
// CHECK: %[[M:.*]] = dit.reduce max %[[W]]
// CHECK: dit.yield %[[R]], %[[M]] : tensor<4x64xbf16>, tensor<4xf32>
// CHECK: dit.kernel "b" space = [4, 64](%[[X]]#0, %[[X]]#0) : (tensor<4x64xbf16>, tensor<4x64xbf16>) -> tensor<4x64xf32> {
// CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<4x64xbf16>, %[[B:.*]]: tensor<4x64xbf16>):
// CHECK-DAG: %[[AW:.*]] = arith.extf %[[A]] : tensor<4x64xbf16> to tensor<4x64xf32>
// CHECK-DAG: %[[BW:.*]] = arith.extf %[[B]] : tensor<4x64xbf16> to tensor<4x64xf32>
// CHECK: arith.addf %[[AW]], %[[BW]]
func.func @residual(%x: !w) -> !w {
  %0:2 = dit.kernel "a" space = [4, 64] (%x) : (!w) -> (!w, tensor<4xf32>) {
  ^bb0(%a: !w):
    %r = arith.truncf %a : !w to !n
    %e = arith.extf %r : !n to !w
    %m = dit.reduce max %e dims = [1] : !w
    dit.yield %e, %m : !w, tensor<4xf32>
  }
  %1 = dit.kernel "b" space = [4, 64] (%0#0, %0#0) : (!w, !w) -> !w {
  ^bb0(%a: !w, %b: !w):
    %s = arith.addf %a, %b : !w
    dit.yield %s : !w
  }
  return %1 : !w
}

// Somebody else reads it.
// CHECK-LABEL: @returned
// CHECK: dit.kernel "a" {{.*}} -> tensor<4x64xf32>
// CHECK: dit.yield %{{.*}} : tensor<4x64xf32>
func.func @returned(%x: !n) -> !w {
  %0 = dit.kernel "a" space = [4, 64] (%x) : (!n) -> !w {
  ^bb0(%a: !n):
    %e = arith.extf %a : !n to !w
    dit.yield %e : !w
  }
  return %0 : !w
}
