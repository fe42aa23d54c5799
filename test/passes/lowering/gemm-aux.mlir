// RUN: dit-opt %s --split-input-file --dit-materialize-views --dit-lower-to-plan | FileCheck %s

// The value before GELU has a buffer of its own; the GEMM of the gradient reads
// it, and does not write its result there.
dit.global @x input : tensor<2x8x64xbf16>
dit.global @w parameter : tensor<128x64xbf16>
dit.global @y output : tensor<2x8x128xbf16>
dit.global @d output : tensor<2x8x64xbf16>

// CHECK-LABEL: plan.function @step
// CHECK: %[[Y:.*]] = plan.global @y 4096
// CHECK: %[[P:.*]] = plan.buffer 4096
// CHECK: plan.gemm %{{.*}}, %{{.*}} -> %[[Y]] aux %[[P]] activation = gelu_tanh sizes = [16, 128, 64, 1]
// CHECK-SAME: {aux_stride = 128 : i64, transpose_b}
// CHECK: %[[D:.*]] = plan.buffer 4096
// CHECK: plan.gemm %{{.*}}, %{{.*}} -> %[[D]] aux %[[P]] activation = gelu_tanh_grad sizes = [16, 128, 64, 1]
// CHECK-SAME: {aux_stride = 128 : i64, transpose_b}
func.func @step() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<2x8x64xbf16>
  %w = dit.read @w : tensor<128x64xbf16>
  %y, %p = dit.matmul %x, %w activation = gelu_tanh {transpose_rhs} : tensor<2x8x64xbf16>, tensor<128x64xbf16> -> tensor<2x8x128xbf16> saved tensor<2x8x128xbf16>
  %g = dit.matmul %x, %w aux %p activation = gelu_tanh_grad {transpose_rhs} : tensor<2x8x64xbf16>, tensor<128x64xbf16> aux tensor<2x8x128xbf16> -> tensor<2x8x128xbf16>
  %d = dit.matmul %g, %w : tensor<2x8x128xbf16>, tensor<128x64xbf16> -> tensor<2x8x64xbf16>
  dit.write %y, @y : tensor<2x8x128xbf16>
  dit.write %d, @d : tensor<2x8x64xbf16>
  return
}

// -----

// Some of the columns of a wider tensor are read where they lie.
dit.global @x input : tensor<16x64xbf16>
dit.global @w parameter : tensor<128x64xbf16>
dit.global @a input : tensor<16x256xbf16>
dit.global @y output : tensor<16x128xbf16>

// CHECK-LABEL: plan.function @columns
// CHECK: %[[A:.*]] = plan.slice %{{.*}}[256, 7936]
// CHECK: plan.gemm {{.*}} aux %[[A]] activation = gelu_tanh_grad
// CHECK-SAME: {aux_stride = 256 : i64, transpose_b}
func.func @columns() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<16x64xbf16>
  %w = dit.read @w : tensor<128x64xbf16>
  %a = dit.read @a : tensor<16x256xbf16>
  %s = tensor.extract_slice %a[0, 128] [16, 128] [1, 1] : tensor<16x256xbf16> to tensor<16x128xbf16>
  %y = dit.matmul %x, %w aux %s activation = gelu_tanh_grad {transpose_rhs} : tensor<16x64xbf16>, tensor<128x64xbf16> aux tensor<16x128xbf16> -> tensor<16x128xbf16>
  dit.write %y, @y : tensor<16x128xbf16>
  return
}

// -----

// Columns that do not lie side by side are copied first.
dit.global @x input : tensor<16x64xbf16>
dit.global @w parameter : tensor<128x64xbf16>
dit.global @a input : tensor<128x16xbf16>
dit.global @y output : tensor<16x128xbf16>

// CHECK-LABEL: plan.function @across
// CHECK: plan.launch @dit_copy_view_0(%{{.*}} -> %[[A:.*]]) blocks
// CHECK: plan.gemm {{.*}} aux %[[A]] activation = gelu_tanh_grad
func.func @across() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<16x64xbf16>
  %w = dit.read @w : tensor<128x64xbf16>
  %a = dit.read @a : tensor<128x16xbf16>
  %t = dit.transpose %a permutation = [1, 0] : tensor<128x16xbf16>
  %y = dit.matmul %x, %w aux %t activation = gelu_tanh_grad {transpose_rhs} : tensor<16x64xbf16>, tensor<128x64xbf16> aux tensor<16x128xbf16> -> tensor<16x128xbf16>
  dit.write %y, @y : tensor<16x128xbf16>
  return
}
