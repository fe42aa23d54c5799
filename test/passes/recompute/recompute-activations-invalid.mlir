// RUN: dit-opt %s --split-input-file --verify-diagnostics --dit-recompute-activations="what=block"
// RUN: not dit-opt %s --split-input-file --dit-recompute-activations="what=half" 2>&1 | FileCheck %s
// RUN: dit-opt %s --split-input-file --dit-recompute-activations="what=auto" -o /dev/null

// CHECK: error: 'builtin.module' op may compute block or auto again, not 'half'

// expected-error @below {{has no attention with a gradient, by which the blocks are found that are to be computed again}}
module {
  dit.global @x input : tensor<8x192xf32>
  dit.global @loss output : tensor<8xf32>
  dit.global @d state : tensor<8x192xf32>
  func.func @accumulate() attributes {dit.step = "accumulate"} {
    %x = dit.read @x : tensor<8x192xf32>
    %y = arith.mulf %x, %x : tensor<8x192xf32>
    %loss = dit.reduce sum %y dims = [1] : tensor<8x192xf32>
    dit.write %loss, @loss : tensor<8xf32>
    %d = arith.addf %y, %x : tensor<8x192xf32>
    dit.write %d, @d : tensor<8x192xf32>
    return
  }
}
