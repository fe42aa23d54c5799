//===- Passes.td - Passes of the recompute phase ----------*- tablegen -*-===//
//
// In training alone, in this order: dit-recompute-norms,
// dit-recompute-activations (with --recompute block or auto).
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RECOMPUTE_PASSES_TD
#define DIT_RECOMPUTE_PASSES_TD

include "mlir/Pass/PassBase.td"

def RecomputeNorms : Pass<"dit-recompute-norms", "::mlir::func::FuncOp"> {
  let summary = "make normalised rows again where they are read late";
  let description = [{
    The gradient of a scale reads the normalised row long after the norm. What
    it is made of, the row and two numbers of it, is in memory for the norm's
    own gradient; so it is made again, and not stored.

    ```mlir
    %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : tensor<8x64x192xf32>
    …GEMMs…
    %ds = arith.mulf %dh, %n : tensor<8x64x192xf32>
    ```
    becomes
    ```mlir
    %c = arith.subf %x, %means : tensor<8x64x192xf32>
    %m = arith.mulf %c, %rstds : tensor<8x64x192xf32>
    %ds = arith.mulf %dh, %m : tensor<8x64x192xf32>
    ```
    In training only: nothing happens where nobody reads the statistics. The
    norm's gradient computes the same; CSE makes one of both.
  }];
  let dependentDialects = ["::dit::DitDialect", "::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
}

def RecomputeActivations : Pass<"dit-recompute-activations", "::mlir::ModuleOp"> {
  let summary = "compute activations again in the gradient, and keep fewer";
  let description = [{
    The gradient reads what the forward pass made long before. Of a transformer
    block it suffices to keep what the block begins with, the residual stream,
    and what does not depend on it: the rest can be computed again shortly
    before the block's gradient. TrainingStep.h says how blocks are found.

    ```mlir
    %h = arith.mulf %x, %scale : tensor<8x64x192xf32>
    %f = dit.matmul %h, %w {transpose_rhs} : …
    …loss, gradients of the blocks behind…
    %dw = dit.matmul %df, %h {transpose_lhs} : …
    ```
    becomes
    ```mlir
    %h = arith.mulf %x, %scale : tensor<8x64x192xf32>
    %f = dit.matmul %h, %w {transpose_rhs} : …
    …loss, gradients of the blocks behind, which make %dy…
    %x1 = dit.after %x, %dy : tensor<8x64x192xf32>, tensor<8x64x192xf32>
    %h1 = arith.mulf %x1, %scale : tensor<8x64x192xf32>
    %dw = dit.matmul %df, %h1 {transpose_lhs} : …
    ```
    With `what = block` all of a block is computed again. With `what = auto`
    values are dropped one by one, those first that save most bytes per
    operation, until `bytes` are saved; of equal ones those of earlier blocks,
    whose gradients come last, when least is kept. So what kernels make goes
    before attention, and attention before GEMMs.

    The last block is always kept: its gradient comes at once. The module's
    attribute `dit.recomputed_bytes` says what was saved, a remark what it costs.

    The clones give the same bits as the originals: their activations, marked
    `dit.rerun`, stay out of GEMMs' epilogues. After dit-recompute-norms, which
    decides what norms keep.
  }];
  let options = [
    Option<"what", "what", "std::string", "\"block\"", "block or auto">,
    Option<"bytes", "bytes", "int64_t", "0", "auto: what is to be saved">,
  ];
  let dependentDialects = ["::dit::DitDialect"];
}

#endif // DIT_RECOMPUTE_PASSES_TD
