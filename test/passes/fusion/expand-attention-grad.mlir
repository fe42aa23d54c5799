// RUN: dit-opt %s --dit-expand-attention-grad | FileCheck %s
// RUN: dit-opt %s --dit-expand-attention-grad --dit-split-reductions --dit-form-kernels --dit-verify-fused -o /dev/null

// CHECK-LABEL: func.func @masked
// CHECK-SAME: %[[Q:[a-z0-9]+]]: tensor<2x8x4x16xf32>, %[[K:[a-z0-9]+]]: tensor<2x6x4x16xf32>, %[[V:[a-z0-9]+]]: tensor<2x6x4x24xf32>, %[[O:[a-z0-9]+]]: tensor<2x8x4x24xf32>, %[[L:[a-z0-9]+]]: tensor<2x4x8xf32>, %[[D:[a-z0-9]+]]: tensor<2x8x4x24xf32>, %[[M:[a-z0-9]+]]: tensor<1x1x8x6xf32>
// CHECK-DAG: %[[QT:.*]] = dit.transpose %[[Q]] permutation = [0, 2, 1, 3]
// CHECK-DAG: %[[KT:.*]] = dit.transpose %[[K]] permutation = [0, 2, 1, 3]
// CHECK-DAG: %[[VT:.*]] = dit.transpose %[[V]] permutation = [0, 2, 1, 3]
// CHECK-DAG: %[[DT:.*]] = dit.transpose %[[D]] permutation = [0, 2, 1, 3]
// CHECK: %[[S:.*]] = dit.matmul %[[QT]], %[[KT]] {transpose_rhs}
// CHECK: %[[SCALED:.*]] = arith.mulf %[[S]], %[[SCALE:.*]] : tensor<2x4x8x6xf32>
// CHECK: %[[MASKED:.*]] = arith.addf %[[SCALED]], %{{.*}}
// CHECK: %[[SUM:.*]] = dit.broadcast %[[L]] dims = [0, 1, 2]
// CHECK: %[[SHIFTED:.*]] = arith.subf %[[MASKED]], %[[SUM]]
// CHECK: %[[P:.*]] = math.exp %[[SHIFTED]]
// CHECK: %[[DO:.*]] = arith.mulf %[[D]], %[[O]] : tensor<2x8x4x24xf32>
// CHECK: dit.reduce sum %[[DO]] dims = [3]
// CHECK: %[[DP:.*]] = dit.matmul %[[DT]], %[[VT]] {transpose_rhs}
// CHECK: %[[LESS:.*]] = arith.subf %[[DP]],
// CHECK: %[[DS:.*]] = arith.mulf %[[P]], %[[LESS]]
// CHECK: %[[DSS:.*]] = arith.mulf %[[DS]],
// CHECK-DAG: %[[DQ:.*]] = dit.matmul %[[DSS]], %[[KT]] :
// CHECK-DAG: %[[DK:.*]] = dit.matmul %[[DSS]], %[[QT]] {transpose_lhs}
// CHECK-DAG: %[[DV:.*]] = dit.matmul %[[P]], %[[DT]] {transpose_lhs}
// CHECK-NOT: dit.attention_grad
func.func @masked(%q: tensor<2x8x4x16xf32>, %k: tensor<2x6x4x16xf32>, %v: tensor<2x6x4x24xf32>, %o: tensor<2x8x4x24xf32>, %lse: tensor<2x4x8xf32>, %do: tensor<2x8x4x24xf32>, %m: tensor<1x1x8x6xf32>) -> (tensor<2x8x4x16xf32>, tensor<2x6x4x16xf32>, tensor<2x6x4x24xf32>) {
  %dq, %dk, %dv = dit.attention_grad %q, %k, %v output %o, %lse cotangent %do mask %m scale = 0.25
      : tensor<2x8x4x16xf32>, tensor<2x6x4x16xf32>, tensor<2x6x4x24xf32> output tensor<2x8x4x24xf32>, tensor<2x4x8xf32> cotangent tensor<2x8x4x24xf32> mask tensor<1x1x8x6xf32>
  return %dq, %dk, %dv : tensor<2x8x4x16xf32>, tensor<2x6x4x16xf32>, tensor<2x6x4x24xf32>
}

// What the library knows stays, and so do shared heads.
// CHECK-LABEL: func.func @left_alone
// CHECK-COUNT-2: dit.attention_grad
// CHECK-NOT: dit.matmul
func.func @left_alone(%q: tensor<2x8x4x16xbf16>, %lse: tensor<2x4x8xf32>, %f: tensor<2x8x4x16xf32>, %k: tensor<2x8x2x16xf32>) -> (tensor<2x8x4x16xbf16>, tensor<2x8x4x16xf32>) {
  %dq, %dk, %dv = dit.attention_grad %q, %q, %q output %q, %lse cotangent %q scale = 0.25
      : tensor<2x8x4x16xbf16>, tensor<2x8x4x16xbf16>, tensor<2x8x4x16xbf16> output tensor<2x8x4x16xbf16>, tensor<2x4x8xf32> cotangent tensor<2x8x4x16xbf16>
  %eq, %ek, %ev = dit.attention_grad %f, %k, %k output %f, %lse cotangent %f scale = 0.25
      : tensor<2x8x4x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x16xf32> output tensor<2x8x4x16xf32>, tensor<2x4x8xf32> cotangent tensor<2x8x4x16xf32>
  return %dq, %eq : tensor<2x8x4x16xbf16>, tensor<2x8x4x16xf32>
}
