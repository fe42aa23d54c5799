// RUN: dit-opt %s --dit-emit-cpu-kernels="cpu=znver4 rows-per-block=2" | FileCheck %s
// RUN: dit-opt %s --dit-emit-cpu-kernels="cpu=x86-64-v3 rows-per-block=2" | FileCheck %s --check-prefix=AVX2

!x = tensor<4x40xf32>
!b = tensor<4x40xbf16>
!r = tensor<4xf32>

func.func @kernels(%x: !x, %s: tensor<40xf32>, %b: !b, %y: tensor<4x32xf32>) -> (!x, !x, !b, tensor<4x32xf32>) {
  // A broadcast row: two vectors of 16 in a loop, and one of 8 lanes.
  // CHECK-LABEL: func.func @kernel0(%{{.*}}: !llvm.ptr, %{{.*}}: i64, %{{.*}}: i64)
  // CHECK:         scf.for
  // CHECK:           scf.for
  // CHECK:             %[[A:.*]] = llvm.load %{{.*}} : !llvm.ptr -> vector<16xf32>
  // CHECK:             %[[B:.*]] = llvm.load %{{.*}} : !llvm.ptr -> vector<16xf32>
  // CHECK:             %[[C:.*]] = arith.addf %[[A]], %[[B]] : vector<16xf32>
  // CHECK:             llvm.store %[[C]], %{{.*}} : vector<16xf32>, !llvm.ptr
  // CHECK:           }
  // CHECK:           llvm.intr.masked.load
  // CHECK:           llvm.intr.masked.store
  // AVX2-LABEL: func.func @kernel0
  // AVX2:         arith.addf {{.*}} : vector<8xf32>
  // AVX2-NOT:     masked
  // AVX2-LABEL: func.func @kernel1
  %0 = dit.kernel "bias" space = [4, 40] (%x, %s) : (!x, tensor<40xf32>) -> !x {
  ^bb0(%a: !x, %c: tensor<40xf32>):
    %d = dit.broadcast %c dims = [1] : tensor<40xf32> -> !x
    %e = arith.addf %a, %d : !x
    dit.yield %e : !x
  }

  // A contiguous pointwise kernel is one loop over the elements of a block.
  // The exponential is arithmetic, not a call.
  // CHECK-LABEL: func.func @kernel1
  // CHECK:         scf.for %[[BLOCK:.*]] =
  // CHECK:           arith.muli %[[BLOCK]], %c80_i64
  // CHECK:           scf.for
  // CHECK:             llvm.load %{{.*}} : !llvm.ptr -> vector<16xf32>
  // CHECK-NOT:         math.exp
  // CHECK-COUNT-6:     math.fma {{.*}} : vector<16xf32>
  // CHECK:             llvm.store
  %1 = dit.kernel "exp" space = [4, 40] (%x) : (!x) -> !x {
  ^bb0(%a: !x):
    %e = math.exp %a : !x
    dit.yield %e : !x
  }

  // The sum that the mean, the variance and the result need is computed in the
  // first loop and kept on the stack; narrowing rounds, also where the result is
  // widened again at once.
  // CHECK-LABEL: func.func @kernel2
  // CHECK:         %[[ROW:.*]] = llvm.alloca %{{.*}} x f32
  // CHECK:         arith.truncf %{{.*}} : vector<16xf32> to vector<16xbf16>
  // CHECK:         llvm.store %{{.*}} : vector<16xf32>, !llvm.ptr
  // CHECK:         vector.shuffle {{.*}} [0, 1, 2, 3, 4, 5, 6, 7]
  // CHECK:         math.sqrt %{{.*}} : f32
  // CHECK:         llvm.getelementptr %[[ROW]]
  // AVX2-LABEL: func.func @kernel2
  // AVX2-NOT:     arith.truncf {{.*}} bf16
  %2 = dit.kernel "norm" space = [4, 40] (%x, %b) : (!x, !b) -> !b {
  ^bb0(%a: !x, %c: !b):
    %d = arith.extf %c : !b to !x
    %e = arith.mulf %a, %d : !x
    %f = arith.addf %e, %a : !x
    %g = arith.truncf %f : !x to !b
    %h = arith.extf %g : !b to !x
    %n, %mean, %rstd = dit.layer_norm %h eps = 1.0e-6 : !x
    %o = arith.truncf %n : !x to !b
    dit.yield %o : !b
  }

  // Pairs swapped: vectors are loaded as they lie, shuffled, and chosen from by
  // a constant.
  // CHECK-LABEL: func.func @kernel3
  // CHECK-NOT:     gather
  // CHECK:         %[[PAIRS:.*]] = llvm.load %{{.*}} : !llvm.ptr -> vector<16xf32>
  // CHECK:         vector.shuffle %[[PAIRS]], %[[PAIRS]] [1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15, 15]
  // CHECK:         vector.shuffle {{.*}} [0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14]
  // CHECK:         arith.constant dense<[0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]>
  %3 = dit.kernel "swap" space = [4, 32] (%y) : (tensor<4x32xf32>) -> tensor<4x32xf32> {
  ^bb0(%a: tensor<4x32xf32>):
    %e = tensor.expand_shape %a [[0], [1, 2]] output_shape [4, 16, 2] : tensor<4x32xf32> into tensor<4x16x2xf32>
    %l = tensor.extract_slice %e[0, 0, 0] [4, 16, 1] [1, 1, 1] : tensor<4x16x2xf32> to tensor<4x16x1xf32>
    %r = tensor.extract_slice %e[0, 0, 1] [4, 16, 1] [1, 1, 1] : tensor<4x16x2xf32> to tensor<4x16x1xf32>
    %c = tensor.concat dim(2) %r, %l : (tensor<4x16x1xf32>, tensor<4x16x1xf32>) -> tensor<4x16x2xf32>
    %t = tensor.collapse_shape %c [[0], [1, 2]] : tensor<4x16x2xf32> into tensor<4x32xf32>
    dit.yield %t : tensor<4x32xf32>
  }
  return %0, %1, %2, %3 : !x, !x, !b, tensor<4x32xf32>
}
