// RUN: dit-opt %s --dit-fuse-training-epilogue=report=true --verify-diagnostics | FileCheck %s

!x = tensor<8x64x192xbf16>
!w = tensor<768x192xbf16>
!v = tensor<192x768xbf16>
!b = tensor<768xf32>
!low = tensor<8x64x768xbf16>
!wide = tensor<8x64x768xf32>

// What the gradient reads is stored by the GEMM; the gradient is in the GEMM
// that makes its cotangent.
// CHECK-LABEL: @step
// CHECK-SAME: %[[X:[^:]*]]: tensor<8x64x192xbf16>, %[[W:[^:]*]]: tensor<768x192xbf16>, %[[B:[^:]*]]: tensor<768xf32>, %[[DY:[^:]*]]: tensor<8x64x192xbf16>, %[[V:[^:]*]]: tensor<192x768xbf16>
func.func @step(%x: !x, %w: !w, %b: !b, %dy: !x, %v: !v) -> (!low, !low) {
  // CHECK-NEXT: %[[G:.*]], %[[P:.*]] = dit.matmul %[[X]], %[[W]] bias %[[B]] activation = gelu_tanh {transpose_rhs} : {{.*}} bias tensor<768xf32> -> tensor<8x64x768xbf16> saved tensor<8x64x768xbf16>
  // CHECK-NEXT: arith.extf %[[P]]
  // CHECK-NEXT: %[[D:.*]] = dit.matmul %[[DY]], %[[V]] aux %[[P]] activation = gelu_tanh_grad : {{.*}} aux tensor<8x64x768xbf16> -> tensor<8x64x768xbf16>
  // CHECK-NEXT: return %[[G]], %[[D]]
  %f = dit.matmul %x, %w bias %b {transpose_rhs} : !x, !w bias !b -> !wide
  %l = arith.truncf %f : !wide to !low
  %e = arith.extf %l : !low to !wide
  // expected-remark @+1 {{fused gelu_tanh, and the value before it, into the GEMM}}
  %g = dit.gelu %e approximate = tanh : !wide
  %r = arith.truncf %g : !wide to !low
  %p = dit.matmul %dy, %v : !x, !v -> !low
  %c = arith.extf %p : !low to !wide
  // expected-remark @+1 {{fused the gradient of gelu_tanh into the GEMM}}
  %d = dit.gelu_grad %e, %c approximate = tanh : !wide
  %n = arith.truncf %d : !wide to !low
  return %r, %n : !low, !low
}

// Nobody reads the value before GELU later: dit-fuse-epilogue's case.
// CHECK-LABEL: @no_gradient
func.func @no_gradient(%x: !x, %w: !w) -> !low {
  // CHECK: dit.matmul %{{.*}} {transpose_rhs} {{.*}} -> tensor<8x64x768xbf16>{{$}}
  // CHECK: dit.gelu
  %l = dit.matmul %x, %w {transpose_rhs} : !x, !w -> !low
  %e = arith.extf %l : !low to !wide
  %g = dit.gelu %e approximate = tanh : !wide
  %r = arith.truncf %g : !wide to !low
  return %r : !low
}

// The library has the tanh form alone.
// CHECK-LABEL: @erf
func.func @erf(%x: !x, %w: !w, %dy: !x, %v: !v) -> (!low, !low) {
  // CHECK-NOT: activation
  // CHECK: dit.gelu %
  // CHECK: dit.gelu_grad
  %l = dit.matmul %x, %w {transpose_rhs} : !x, !w -> !low
  %e = arith.extf %l : !low to !wide
  %g = dit.gelu %e approximate = none : !wide
  %r = arith.truncf %g : !wide to !low
  %p = dit.matmul %dy, %v : !x, !v -> !low
  %c = arith.extf %p : !low to !wide
  %d = dit.gelu_grad %e, %c approximate = none : !wide
  %n = arith.truncf %d : !wide to !low
  return %r, %n : !low, !low
}

// Somebody reads the products, or the results, before they are rounded.
// CHECK-LABEL: @more_users
func.func @more_users(%x: !x, %w: !w, %dy: !x, %v: !v) -> (!wide, !wide, !low, !low) {
  // CHECK-NOT: activation
  // CHECK: dit.gelu %
  // CHECK: dit.gelu_grad
  %l = dit.matmul %x, %w {transpose_rhs} : !x, !w -> !low
  %e = arith.extf %l : !low to !wide
  %g = dit.gelu %e approximate = tanh : !wide
  %r = arith.truncf %g : !wide to !low
  %p = dit.matmul %dy, %v : !x, !v -> !low
  %c = arith.extf %p : !low to !wide
  %d = dit.gelu_grad %e, %c approximate = tanh : !wide
  %n = arith.truncf %d : !wide to !low
  return %g, %c, %r, %n : !wide, !wide, !low, !low
}

// aux in rows that are no multiple of 16 bytes is refused by the library.
// CHECK-LABEL: @ragged
func.func @ragged(%x: tensor<4x8xbf16>, %w: tensor<12x8xbf16>, %dy: tensor<4x8xbf16>, %v: tensor<8x12xbf16>) -> (tensor<4x12xbf16>, tensor<4x12xbf16>) {
  // CHECK-NOT: activation
  // CHECK: dit.gelu %
  // CHECK: dit.gelu_grad
  %l = dit.matmul %x, %w {transpose_rhs} : tensor<4x8xbf16>, tensor<12x8xbf16> -> tensor<4x12xbf16>
  %e = arith.extf %l : tensor<4x12xbf16> to tensor<4x12xf32>
  %g = dit.gelu %e approximate = tanh : tensor<4x12xf32>
  %r = arith.truncf %g : tensor<4x12xf32> to tensor<4x12xbf16>
  %p = dit.matmul %dy, %v : tensor<4x8xbf16>, tensor<8x12xbf16> -> tensor<4x12xbf16>
  %c = arith.extf %p : tensor<4x12xbf16> to tensor<4x12xf32>
  %d = dit.gelu_grad %e, %c approximate = tanh : tensor<4x12xf32>
  %n = arith.truncf %d : tensor<4x12xf32> to tensor<4x12xbf16>
  return %r, %n : tensor<4x12xbf16>, tensor<4x12xbf16>
}

// At fp32 nothing is rounded, and nothing fused.
// CHECK-LABEL: @wide
func.func @wide(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %c: tensor<4x16xf32>) -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  // CHECK-NOT: activation
  // CHECK: dit.gelu %
  %e = dit.matmul %x, %w {transpose_rhs} : tensor<4x8xf32>, tensor<16x8xf32> -> tensor<4x16xf32>
  %g = dit.gelu %e approximate = tanh : tensor<4x16xf32>
  %d = dit.gelu_grad %e, %c approximate = tanh : tensor<4x16xf32>
  return %g, %d : tensor<4x16xf32>, tensor<4x16xf32>
}

// The value before GELU is made again, for the gradient: the first GEMM does not
// store it, the second one does.
// CHECK-LABEL: @computed_twice
func.func @computed_twice(%x: !x, %again: !x, %w: !w, %c: !wide) -> (!low, !low, !wide) {
  // CHECK: %[[R:.*]] = dit.matmul %{{.*}}, %{{.*}} activation = gelu_tanh {transpose_rhs} : {{.*}} -> tensor<8x64x768xbf16>{{$}}
  // CHECK-NEXT: %[[S:.*]], %[[L:.*]] = dit.matmul {{.*}} activation = gelu_tanh {transpose_rhs} : {{.*}} saved tensor<8x64x768xbf16>
  // CHECK-NEXT: %[[E:.*]] = arith.extf %[[L]]
  // CHECK-NEXT: %[[D:.*]] = dit.gelu_grad %[[E]]
  // CHECK-NEXT: return %[[R]], %[[S]], %[[D]]
  %l = dit.matmul %x, %w {transpose_rhs} : !x, !w -> !low
  %e = arith.extf %l : !low to !wide
  // expected-remark @+1 {{fused gelu_tanh into the GEMM}}
  %g = dit.gelu %e approximate = tanh {dit.rerun} : !wide
  %r = arith.truncf %g : !wide to !low
  %m = dit.matmul %again, %w {transpose_rhs} : !x, !w -> !low
  %f = arith.extf %m : !low to !wide
  // expected-remark @+1 {{fused gelu_tanh, and the value before it, into the GEMM}}
  %h = dit.gelu %f approximate = tanh {dit.rerun} : !wide
  %s = arith.truncf %h : !wide to !low
  %d = dit.gelu_grad %f, %c approximate = tanh : !wide
  return %r, %s, %d : !low, !low, !wide
}

// GELU alone is made again, of the value before it, which is kept: by a kernel.
// CHECK-LABEL: @made_of_a_kept_value
func.func @made_of_a_kept_value(%x: !x, %w: !w, %c: !wide, %dy: !x) -> (!low, !low, !wide) {
  // CHECK: %[[R:.*]], %[[L:.*]] = dit.matmul {{.*}} activation = gelu_tanh {{.*}} saved
  // CHECK: %[[K:.*]] = dit.after %[[L]]
  // CHECK: dit.gelu %
  %l = dit.matmul %x, %w {transpose_rhs} : !x, !w -> !low
  %e = arith.extf %l : !low to !wide
  // expected-remark @+1 {{fused gelu_tanh, and the value before it, into the GEMM}}
  %g = dit.gelu %e approximate = tanh {dit.rerun} : !wide
  %r = arith.truncf %g : !wide to !low
  %k = dit.after %l, %dy : !low, !x
  %f = arith.extf %k : !low to !wide
  %h = dit.gelu %f approximate = tanh {dit.rerun} : !wide
  %s = arith.truncf %h : !wide to !low
  %d = dit.gelu_grad %e, %c approximate = tanh : !wide
  return %r, %s, %d : !low, !low, !wide
}

// The product waits for the value before GELU that it multiplies with.
// CHECK-LABEL: @product_comes_first
// CHECK-SAME: %[[X:[^:]*]]: tensor<8x64x192xbf16>, %[[W:[^:]*]]: tensor<768x192xbf16>
func.func @product_comes_first(%x: !x, %w: !w, %dy: !x, %v: !v) -> !low {
  // CHECK: %[[L:.*]] = dit.matmul %[[X]], %[[W]]
  // CHECK: %[[D:.*]] = dit.matmul %{{.*}}, %{{.*}} aux %[[L]] activation = gelu_tanh_grad
  // CHECK-NEXT: return %[[D]]
  %p = dit.matmul %dy, %v : !x, !v -> !low
  %l = dit.matmul %x, %w {transpose_rhs} : !x, !w -> !low
  %e = arith.extf %l : !low to !wide
  %c = arith.extf %p : !low to !wide
  // expected-remark @+1 {{fused the gradient of gelu_tanh into the GEMM}}
  %d = dit.gelu_grad %e, %c approximate = tanh : !wide
  %n = arith.truncf %d : !wide to !low
  return %n : !low
}
