// RUN: dit-opt %s '--dit-lower-precision=precision=bf16 results=low' --dit-verify-precision | FileCheck %s
// RUN: dit-opt %s '--dit-lower-precision=precision=bf16 results=saved' --dit-verify-precision | FileCheck %s --check-prefix=SAVED

!x = tensor<2x3x8xf32>
!w = tensor<8x8xf32>
!b = tensor<8xf32>

// What goes to arithmetic is stored in the low type, after its bias, and used
// as stored.
// CHECK-LABEL: func.func @branch
// CHECK: %[[P:.*]] = dit.matmul {{.*}} -> tensor<2x3x8xf32>
// CHECK: %[[S:.*]] = arith.addf %[[P]], %{{.*}} : tensor<2x3x8xf32>
// CHECK: %[[LOW:.*]] = arith.truncf %[[S]] : tensor<2x3x8xf32> to tensor<2x3x8xbf16>
// CHECK: %[[WIDE:.*]] = arith.extf %[[LOW]]
// CHECK: arith.mulf %[[WIDE]], %{{.*}} : tensor<2x3x8xf32>
func.func @branch(%x: !x, %gate: !x, %w: !w, %b: !b) -> !x {
  %p = dit.matmul %x, %w {transpose_rhs} : !x, !w -> !x
  %r = dit.broadcast %b dims = [2] : !b -> !x
  %s = arith.addf %p, %r : !x
  %y = arith.mulf %s, %gate : !x
  return %y : !x
}

// Activations see the sums, and so does who called.
// CHECK-LABEL: func.func @sums
// CHECK: %[[P:.*]] = dit.matmul
// CHECK-NOT: arith.extf
// CHECK: dit.gelu %[[P]]
// CHECK: %[[Q:.*]] = dit.matmul {{.*}} -> tensor<2x3x8xf32>
// CHECK-NEXT: return %[[Q]]
// In training it is stored before an activation, too.
// SAVED-LABEL: func.func @sums
// SAVED: %[[P:.*]] = dit.matmul
// SAVED: %[[LOW:.*]] = arith.truncf %[[P]] : tensor<2x3x8xf32> to tensor<2x3x8xbf16>
// SAVED: %[[WIDE:.*]] = arith.extf %[[LOW]]
// SAVED: dit.gelu %[[WIDE]]
// SAVED: %[[Q:.*]] = dit.matmul {{.*}} -> tensor<2x3x8xf32>
// SAVED-NEXT: return %[[Q]]
func.func @sums(%x: !x, %w: !w) -> !x {
  %p = dit.matmul %x, %w {transpose_rhs} : !x, !w -> !x
  %g = dit.gelu %p approximate = tanh : !x
  %q = dit.matmul %g, %w {transpose_rhs} : !x, !w -> !x
  return %q : !x
}

// What only products read is rounded once.
// CHECK-LABEL: func.func @chain
// CHECK: %[[P:.*]] = dit.matmul {{.*}} -> tensor<2x3x8xbf16>
// CHECK-NEXT: dit.matmul %[[P]]
func.func @chain(%x: !x, %w: !w) -> !x {
  %p = dit.matmul %x, %w {transpose_rhs} : !x, !w -> !x
  %q = dit.matmul %p, %w {transpose_rhs} : !x, !w -> !x
  return %q : !x
}
