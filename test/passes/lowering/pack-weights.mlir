// RUN: dit-opt %s --split-input-file --dit-pack-weights | FileCheck %s

// CHECK: dit.global @weight parameter : tensor<96x64xf32> packed <columns = 32, vnni = 1>
dit.global @weight parameter : tensor<96x64xf32>
// Dot products of pairs.
// CHECK: dit.global @half parameter : tensor<96x64xbf16> packed <columns = 32, vnni = 2>
dit.global @half parameter : tensor<96x64xbf16>
// CHECK-NOT: packed
// Also read by a kernel.
dit.global @shared parameter : tensor<96x64xf32>
// As [K, N].
dit.global @straight parameter : tensor<64x96xf32>
// Changes from call to call.
dit.global @state state : tensor<96x64xf32>
dit.global @written parameter : tensor<96x64xf32>
// Not of rank 2.
dit.global @batched parameter : tensor<2x96x64xf32>
func.func @run() attributes {dit.step = "forward"} {
  %x = arith.constant dense<1.0> : tensor<8x64xf32>
  %h = arith.constant dense<1.0> : tensor<8x64xbf16>
  %z = arith.constant dense<1.0> : tensor<2x8x64xf32>
  %0 = dit.read @weight : tensor<96x64xf32>
  %1 = dit.read @half : tensor<96x64xbf16>
  %2 = dit.read @shared : tensor<96x64xf32>
  %3 = dit.read @straight : tensor<64x96xf32>
  %4 = dit.read @state : tensor<96x64xf32>
  %5 = dit.read @written : tensor<96x64xf32>
  %6 = dit.read @batched : tensor<2x96x64xf32>
  %7 = dit.matmul %x, %0 {transpose_rhs} : tensor<8x64xf32>, tensor<96x64xf32> -> tensor<8x96xf32>
  %8 = dit.matmul %h, %1 {transpose_rhs} : tensor<8x64xbf16>, tensor<96x64xbf16> -> tensor<8x96xbf16>
  %9 = dit.matmul %x, %2 {transpose_rhs} : tensor<8x64xf32>, tensor<96x64xf32> -> tensor<8x96xf32>
  %10 = dit.matmul %x, %3 : tensor<8x64xf32>, tensor<64x96xf32> -> tensor<8x96xf32>
  %11 = dit.matmul %x, %4 {transpose_rhs} : tensor<8x64xf32>, tensor<96x64xf32> -> tensor<8x96xf32>
  %12 = dit.matmul %x, %5 {transpose_rhs} : tensor<8x64xf32>, tensor<96x64xf32> -> tensor<8x96xf32>
  %13 = dit.matmul %z, %6 {transpose_rhs} : tensor<2x8x64xf32>, tensor<2x96x64xf32> -> tensor<2x8x96xf32>
  %14 = arith.addf %2, %2 : tensor<96x64xf32>
  dit.write %5, @written : tensor<96x64xf32>
  return
}
