// RUN: dit-opt %s --dit-join-small-kernels --dit-verify-fused | FileCheck %s

dit.global @p input : tensor<16x96xf32>
dit.global @q input : tensor<16x96xf32>
dit.global @r input : tensor<16x64xf32>
dit.global @large input : tensor<16384x96xf32>
dit.global @a state : tensor<96xf32>
dit.global @b state : tensor<96xf32>
dit.global @c state : tensor<96xf32>
dit.global @d state : tensor<64xf32>

// Both sums run where the second did, and are written behind it; each reads
// what it read. The one between them has another space.
// CHECK-LABEL: @two_sums
// CHECK:       %[[P:.*]] = dit.read @p
// CHECK-NOT:   dit.write @a
// CHECK:       %[[S:.*]] = dit.kernel "sum" space = [1, 64]
// CHECK:       dit.write %[[S]], @d
// CHECK:       %[[OLD:.*]] = dit.read @b
// CHECK:       %[[K:.*]]:2 = dit.kernel "sum_residual" space = [1, 96](%[[P]], %[[OLD]], %{{.*}}) : (tensor<16x96xf32>, tensor<96xf32>, tensor<16x96xf32>) -> (tensor<96xf32>, tensor<96xf32>) {
// CHECK-NEXT:  ^bb0(%[[X:.*]]: tensor<16x96xf32>, %[[Z:.*]]: tensor<96xf32>, %[[Y:.*]]: tensor<16x96xf32>):
// CHECK-NEXT:    %[[V:.*]] = dit.reduce sum %[[X]] dims = [0]
// CHECK-NEXT:    %[[W:.*]] = dit.reduce sum %[[Y]] dims = [0]
// CHECK-NEXT:    %[[T:.*]] = arith.addf %[[Z]], %[[W]]
// CHECK-NEXT:    dit.yield %[[V]], %[[T]]
// CHECK-NEXT:  }
// CHECK-NEXT:  dit.write %[[K]]#0, @a
// CHECK-NEXT:  dit.write %[[K]]#1, @b
// CHECK-NEXT:  return
func.func @two_sums() {
  %p = dit.read @p : tensor<16x96xf32>
  %s = dit.kernel "sum" space = [1, 96](%p) : (tensor<16x96xf32>) -> tensor<96xf32> {
  ^bb0(%x: tensor<16x96xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<16x96xf32>
    dit.yield %v : tensor<96xf32>
  }
  dit.write %s, @a : tensor<96xf32>
  %r = dit.read @r : tensor<16x64xf32>
  %u = dit.kernel "sum" space = [1, 64](%r) : (tensor<16x64xf32>) -> tensor<64xf32> {
  ^bb0(%x: tensor<16x64xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<16x64xf32>
    dit.yield %v : tensor<64xf32>
  }
  dit.write %u, @d : tensor<64xf32>
  %q = dit.read @q : tensor<16x96xf32>
  %old = dit.read @b : tensor<96xf32>
  %t = dit.kernel "sum_residual" space = [1, 96](%old, %q) : (tensor<96xf32>, tensor<16x96xf32>) -> tensor<96xf32> {
  ^bb0(%z: tensor<96xf32>, %y: tensor<16x96xf32>):
    %w = dit.reduce sum %y dims = [0] : tensor<16x96xf32>
    %v = arith.addf %z, %w : tensor<96xf32>
    dit.yield %v : tensor<96xf32>
  }
  dit.write %t, @b : tensor<96xf32>
  return
}

// Somebody waits for the first; the second takes longer than a launch. The
// third stays alone.
// CHECK-LABEL: @apart
// CHECK-COUNT-3: = dit.kernel {{.*}} -> tensor<96xf32> {
// CHECK-NOT: dit.kernel
func.func @apart(%w: tensor<96x96xf32>) -> tensor<1x96xf32> {
  %p = dit.read @p : tensor<16x96xf32>
  %s = dit.kernel "sum" space = [1, 96](%p) : (tensor<16x96xf32>) -> tensor<96xf32> {
  ^bb0(%x: tensor<16x96xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<16x96xf32>
    dit.yield %v : tensor<96xf32>
  }
  dit.write %s, @a : tensor<96xf32>
  %row = tensor.expand_shape %s [[0, 1]] output_shape [1, 96] : tensor<96xf32> into tensor<1x96xf32>
  %m = dit.matmul %row, %w : tensor<1x96xf32>, tensor<96x96xf32> -> tensor<1x96xf32>
  %large = dit.read @large : tensor<16384x96xf32>
  %t = dit.kernel "sum" space = [1, 96](%large) : (tensor<16384x96xf32>) -> tensor<96xf32> {
  ^bb0(%x: tensor<16384x96xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<16384x96xf32>
    dit.yield %v : tensor<96xf32>
  }
  dit.write %t, @b : tensor<96xf32>
  %q = dit.read @q : tensor<16x96xf32>
  %u = dit.kernel "sum" space = [1, 96](%q) : (tensor<16x96xf32>) -> tensor<96xf32> {
  ^bb0(%x: tensor<16x96xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<16x96xf32>
    dit.yield %v : tensor<96xf32>
  }
  dit.write %u, @c : tensor<96xf32>
  return %m : tensor<1x96xf32>
}
dit.global @p0 input : tensor<4x8xf32>
dit.global @s0 state : tensor<8xf32>
dit.global @p1 input : tensor<4x8xf32>
dit.global @s1 state : tensor<8xf32>
dit.global @p2 input : tensor<4x8xf32>
dit.global @s2 state : tensor<8xf32>
dit.global @p3 input : tensor<4x8xf32>
dit.global @s3 state : tensor<8xf32>
dit.global @p4 input : tensor<4x8xf32>
dit.global @s4 state : tensor<8xf32>
dit.global @p5 input : tensor<4x8xf32>
dit.global @s5 state : tensor<8xf32>
dit.global @p6 input : tensor<4x8xf32>
dit.global @s6 state : tensor<8xf32>
dit.global @p7 input : tensor<4x8xf32>
dit.global @s7 state : tensor<8xf32>
dit.global @p8 input : tensor<4x8xf32>
dit.global @s8 state : tensor<8xf32>
dit.global @p9 input : tensor<4x8xf32>
dit.global @s9 state : tensor<8xf32>
dit.global @p10 input : tensor<4x8xf32>
dit.global @s10 state : tensor<8xf32>
dit.global @p11 input : tensor<4x8xf32>
dit.global @s11 state : tensor<8xf32>
dit.global @p12 input : tensor<4x8xf32>
dit.global @s12 state : tensor<8xf32>

// A kernel has at most 24 operands: of thirteen sums the last stays alone.
// CHECK-LABEL: @many
// CHECK: dit.kernel "sum" space = [1, 8]({{(%[^,]*, ){11}%[^,]*}}) :
// CHECK: dit.kernel "sum" space = [1, 8](%{{[^,]*}}) :
// CHECK-NOT: dit.kernel
func.func @many() {
  %p0 = dit.read @p0 : tensor<4x8xf32>
  %s0 = dit.kernel "sum" space = [1, 8](%p0) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s0, @s0 : tensor<8xf32>
  %p1 = dit.read @p1 : tensor<4x8xf32>
  %s1 = dit.kernel "sum" space = [1, 8](%p1) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s1, @s1 : tensor<8xf32>
  %p2 = dit.read @p2 : tensor<4x8xf32>
  %s2 = dit.kernel "sum" space = [1, 8](%p2) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s2, @s2 : tensor<8xf32>
  %p3 = dit.read @p3 : tensor<4x8xf32>
  %s3 = dit.kernel "sum" space = [1, 8](%p3) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s3, @s3 : tensor<8xf32>
  %p4 = dit.read @p4 : tensor<4x8xf32>
  %s4 = dit.kernel "sum" space = [1, 8](%p4) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s4, @s4 : tensor<8xf32>
  %p5 = dit.read @p5 : tensor<4x8xf32>
  %s5 = dit.kernel "sum" space = [1, 8](%p5) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s5, @s5 : tensor<8xf32>
  %p6 = dit.read @p6 : tensor<4x8xf32>
  %s6 = dit.kernel "sum" space = [1, 8](%p6) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s6, @s6 : tensor<8xf32>
  %p7 = dit.read @p7 : tensor<4x8xf32>
  %s7 = dit.kernel "sum" space = [1, 8](%p7) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s7, @s7 : tensor<8xf32>
  %p8 = dit.read @p8 : tensor<4x8xf32>
  %s8 = dit.kernel "sum" space = [1, 8](%p8) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s8, @s8 : tensor<8xf32>
  %p9 = dit.read @p9 : tensor<4x8xf32>
  %s9 = dit.kernel "sum" space = [1, 8](%p9) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s9, @s9 : tensor<8xf32>
  %p10 = dit.read @p10 : tensor<4x8xf32>
  %s10 = dit.kernel "sum" space = [1, 8](%p10) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s10, @s10 : tensor<8xf32>
  %p11 = dit.read @p11 : tensor<4x8xf32>
  %s11 = dit.kernel "sum" space = [1, 8](%p11) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s11, @s11 : tensor<8xf32>
  %p12 = dit.read @p12 : tensor<4x8xf32>
  %s12 = dit.kernel "sum" space = [1, 8](%p12) : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%x: tensor<4x8xf32>):
    %v = dit.reduce sum %x dims = [0] : tensor<4x8xf32>
    dit.yield %v : tensor<8xf32>
  }
  dit.write %s12, @s12 : tensor<8xf32>
  return
}
