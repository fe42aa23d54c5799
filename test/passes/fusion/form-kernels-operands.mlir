// RUN: dit-opt %s --dit-form-kernels=report=true --verify-diagnostics | FileCheck %s

!t = tensor<8x256xf32>

// A kernel has at most 24 operands, results among them: a longer sum is cut.
// CHECK-LABEL: @long_sum
// CHECK:       %[[S:.*]] = dit.kernel "residual" space = [8, 256](%arg0, %arg1, %arg2, %arg3)
// CHECK:       %[[T:.*]] = dit.kernel "residual" space = [8, 256](%[[S]], %arg4,{{.*}}, %arg25)
// CHECK-NOT:   dit.kernel
// CHECK:       return %[[T]]
func.func @long_sum(
    %a0: !t, %a1: !t, %a2: !t, %a3: !t, %a4: !t, %a5: !t, %a6: !t,
    %a7: !t, %a8: !t, %a9: !t, %a10: !t, %a11: !t, %a12: !t, %a13: !t,
    %a14: !t, %a15: !t, %a16: !t, %a17: !t, %a18: !t, %a19: !t, %a20: !t,
    %a21: !t, %a22: !t, %a23: !t, %a24: !t, %a25: !t) -> !t {
  %s1 = arith.addf %a0, %a1 : !t
  %s2 = arith.addf %s1, %a2 : !t
  // expected-remark @+2 {{not fused: the kernel would have 25 operands, more than 24}}
  // expected-remark @+1 {{fused add, add, add into 'residual', 4 in, 1 out}}
  %s3 = arith.addf %s2, %a3 : !t
  %s4 = arith.addf %s3, %a4 : !t
  %s5 = arith.addf %s4, %a5 : !t
  %s6 = arith.addf %s5, %a6 : !t
  %s7 = arith.addf %s6, %a7 : !t
  %s8 = arith.addf %s7, %a8 : !t
  %s9 = arith.addf %s8, %a9 : !t
  %s10 = arith.addf %s9, %a10 : !t
  %s11 = arith.addf %s10, %a11 : !t
  %s12 = arith.addf %s11, %a12 : !t
  %s13 = arith.addf %s12, %a13 : !t
  %s14 = arith.addf %s13, %a14 : !t
  %s15 = arith.addf %s14, %a15 : !t
  %s16 = arith.addf %s15, %a16 : !t
  %s17 = arith.addf %s16, %a17 : !t
  %s18 = arith.addf %s17, %a18 : !t
  %s19 = arith.addf %s18, %a19 : !t
  %s20 = arith.addf %s19, %a20 : !t
  %s21 = arith.addf %s20, %a21 : !t
  %s22 = arith.addf %s21, %a22 : !t
  %s23 = arith.addf %s22, %a23 : !t
  %s24 = arith.addf %s23, %a24 : !t
  // expected-remark @+1 {{into 'residual', 23 in, 1 out}}
  %s25 = arith.addf %s24, %a25 : !t
  return %s25 : !t
}
