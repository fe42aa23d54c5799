// RUN: dit-opt %s --dit-program-forward --dit-verify-program | FileCheck %s

// CHECK: module attributes {dit.inputs = [{global = "x_0", name = "x"}, {global = "t", name = "t"}], dit.mode = "forward", dit.outputs = [{global = "sample", name = "sample"}]}
module {
  // A weight that is named like an input keeps its name.
  // CHECK: dit.global @x parameter
  dit.global @x parameter : tensor<4x8xf32>
  // CHECK-NEXT: dit.global @x_0 input : tensor<2x8xf32>
  // CHECK-NEXT: dit.global @t input : tensor<2xi64>
  // CHECK-NEXT: dit.global @sample output : tensor<2x4xf32>

  // CHECK-NOT: @forward
  // CHECK: func.func @run() attributes {dit.step = "forward"} {
  // CHECK-DAG: %[[X:.*]] = dit.read @x_0 : tensor<2x8xf32>
  // CHECK-DAG: %[[T:.*]] = dit.read @t : tensor<2xi64>
  // CHECK-DAG: %[[W:.*]] = dit.read @x : tensor<4x8xf32>
  // CHECK: %[[Y:.*]] = dit.matmul %[[X]], %[[W]]
  // CHECK: %[[F:.*]] = arith.sitofp %[[T]]
  // CHECK: %[[B:.*]] = dit.broadcast %[[F]]
  // CHECK: %[[S:.*]] = arith.addf %[[Y]], %[[B]]
  // CHECK: dit.write %[[S]], @sample : tensor<2x4xf32>
  // CHECK-NEXT: return
  func.func @forward(%x: tensor<2x8xf32>, %t: tensor<2xi64>) -> tensor<2x4xf32>
      attributes {dit.inputs = ["x", "t"], dit.outputs = ["sample"]} {
    %w = dit.read @x : tensor<4x8xf32>
    %y = dit.matmul %x, %w {transpose_rhs} : tensor<2x8xf32>, tensor<4x8xf32> -> tensor<2x4xf32>
    %f = arith.sitofp %t : tensor<2xi64> to tensor<2xf32>
    %b = dit.broadcast %f dims = [0] : tensor<2xf32> -> tensor<2x4xf32>
    %s = arith.addf %y, %b : tensor<2x4xf32>
    return %s : tensor<2x4xf32>
  }
  // CHECK-NOT: func.func
}
