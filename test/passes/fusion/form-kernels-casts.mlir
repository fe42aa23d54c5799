// RUN: dit-opt %s --dit-form-kernels --dit-verify-fused | FileCheck %s

// A sum that is rounded and read by two kernels lies in memory as rounded: each
// reader widens it for itself.
// CHECK-LABEL: @residual_stream
// CHECK: %[[A:.*]]:2 = dit.kernel {{.*}} -> (tensor<2x256x64xbf16>, tensor<2x256x64xbf16>)
// CHECK: dit.matmul %[[A]]#1
// CHECK: dit.kernel {{.*}}%[[A]]#0{{.*}} : ({{.*}}tensor<2x256x64xbf16>{{.*}}) -> tensor<2x256x64xbf16>
!low = tensor<2x256x64xbf16>
!x = tensor<2x256x64xf32>
dit.global @x input : !low
dit.global @branch input : !low
dit.global @w parameter : tensor<64x64xbf16>
dit.global @out output : !low
func.func @residual_stream() attributes {dit.step = "step"} {
  %x = dit.read @x : !low
  %branch = dit.read @branch : !low
  %w = dit.read @w : tensor<64x64xbf16>
  %wide = arith.extf %x : !low to !x
  %wideBranch = arith.extf %branch : !low to !x
  %sum = arith.addf %wide, %wideBranch : !x
  %stored = arith.truncf %sum : !x to !low
  %loaded = arith.extf %stored : !low to !x
  %n, %mean, %rstd = dit.layer_norm %loaded eps = 1.0e-6 : !x
  %h = arith.truncf %n : !x to !low
  %y = dit.matmul %h, %w {transpose_rhs} : !low, tensor<64x64xbf16> -> !low
  %wideY = arith.extf %y : !low to !x
  %next = arith.addf %loaded, %wideY : !x
  %result = arith.truncf %next : !x to !low
  dit.write %result, @out : !low
  return
}
