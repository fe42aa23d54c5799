//===- Passes.td - Passes of the lowering phase ---*- tablegen -*-===//
//
// From step functions of kernels, matmuls, attentions and views to plan IR, in
// the order below; no bufferization dialect.
//
//===----------------------------------------------------------------------===//

#ifndef DIT_LOWERING_PASSES_TD
#define DIT_LOWERING_PASSES_TD

include "mlir/Pass/PassBase.td"

class Dit_LoweringPass<string flag> : Pass<flag, "::mlir::ModuleOp"> {
  let dependentDialects = ["::dit::DitDialect", "::dit::plan::PlanDialect"];
}

def PackWeights : Dit_LoweringPass<"dit-pack-weights"> {
  let summary = "give GEMM weights the layout that the GEMM reads fastest";
  let description = [{
    A parameter or constant [N, K] that nobody writes, and that every reader
    uses as the shared, transposed right side of a matmul, is stored in panels.

    ```mlir
    dit.global @w parameter : tensor<768x192xf32>
    %y = dit.matmul %x, %w {transpose_rhs} : …
    ```
    gives `dit.global @w parameter : tensor<768x192xf32> packed <columns = 32, vnni = 1>`.
    The value that `dit.read` yields is still the row-major tensor.
  }];
}

def MaterializeViews : Dit_LoweringPass<"dit-materialize-views"> {
  let summary = "make every view one that its user can read";
  let description = [{
    Kernels read contiguous tensors that begin at multiples of 16 bytes: another
    view moves into the kernel. Matmuls and attentions take strides; where a view is none that
    they can walk, or a write needs contiguous bytes, a kernel copies it.

    ```mlir
    %s = tensor.extract_slice %mod[0, 192] [8, 192] [1, 1] : tensor<8x1152xf32> to tensor<8x192xf32>
    %y = dit.kernel "scale" space = [8, 192] (%s) : (tensor<8x192xf32>) -> tensor<8x192xf32> {…}
    ```
    becomes
    ```mlir
    %y = dit.kernel "scale" space = [8, 192] (%mod) : (tensor<8x1152xf32>) -> tensor<8x192xf32> {
    ^bb0(%m: tensor<8x1152xf32>):
      %s = tensor.extract_slice %m[0, 192] [8, 192] [1, 1] : …
    ```
  }];
  let options = [Option<"report", "report", "bool", "false",
                        "remark each copy">];
}

def LowerToPlan : Dit_LoweringPass<"dit-lower-to-plan"> {
  let summary = "turn step functions into lists of instructions on memory";
  let description = [{
    Each tensor becomes a place: a read is its global's memory, a view an offset
    and strides, a result a buffer. Equal kernels are outlined once.

    A result that is written to a global is made there, if every reader of the
    old value runs earlier (or reads, at each point, only what that point
    overwrites); else it is copied at the end. A result takes over the buffer of
    an operand on the same condition, if nobody needs the operand afterwards.

    ```mlir
    func.func @step() attributes {dit.step = "sample_step"} {
      %x = dit.read @x : tensor<8x192xf32>
      %y = dit.kernel "double" space = [8, 192] (%x) : … {…}
      dit.write %y, @x : tensor<8x192xf32>
      return
    }
    ```
    becomes
    ```mlir
    plan.kernel @dit_double_0 "double" space = [8, 192] rows_per_block = 1 {…}
    plan.function @step step = "sample_step" {
      %x = plan.global @x 6144
      plan.launch @dit_double_0(%x -> %x) blocks = 8
    }
    ```
  }];
  let options = [Option<"report", "report", "bool", "false",
                        "remark each copy">];
}

def AddWorkspaces : Dit_LoweringPass<"dit-add-workspaces"> {
  let summary = "give GEMMs and attentions the scratch memory of GPU libraries";
  let description = [{
    The instructions of a function run one after the other, so that all GEMMs
    share one buffer, and all attentions one; gradients of attention, whose
    scratch is as large as the scores, have one each. They are buffers like any other:
    the memory phase places them, and the plan's peak has them in it.

    ```mlir
    plan.gemm %h, %w -> %y sizes = […] …
    ```
    becomes
    ```mlir
    %s = plan.buffer 33554432
    plan.gemm %h, %w -> %y workspace %s sizes = […] …
    ```
  }];
}

def ChooseAttention : Dit_LoweringPass<"dit-choose-attention"> {
  let summary = "take our own attention kernels where they are faster";
  let description = [{
    For plans that run on sm_90 alone. Attention in bf16, all heads with keys
    of their own, without a mask, becomes ours where it was measured to be
    faster than cuDNN: with heads of 72 or 80 at any shape, with heads of 48 and
    64 where rows are few or tokens many (the table in ChooseAttention.cpp). So
    does its gradient with as many queries as keys, 64, 128 or 256, and heads of
    48, 64 or 72.

    ```mlir
    plan.attention %q, %k, %v -> %o sizes = [64, 16, 256, 256, 72, 72] … type = bf16
    ```
    becomes `plan.attention … type = bf16 {ours}`.
  }];
  let options = [Option<"report", "report", "bool", "false",
                        "remark each choice">];
}

def PlaceGlobals : Dit_LoweringPass<"dit-place-globals"> {
  let summary = "assign every global its bytes";
  let description = [{
    Parameters and constants that no function uses go. Those with values that
    nobody writes are mapped from the plan's weights section; everything else
    lies in the globals' memory. Offsets are multiples of 64, in the module's
    order; the totals go to the module.

    Members of a flat global lie in its memory, used or not. The first values of
    parameters among them follow what is mapped in the weights section.
  }];
  let options = [Option<"externalWeights", "external-weights", "bool", "false",
                        "leave the values of parameters in their files">];
}

def VerifyLowering : Dit_LoweringPass<"dit-verify-lowering"> {
  let summary = "check what must hold after the lowering phase";
  let description = [{
    No function but plan.function, no tensor outside plan.kernel, every kernel
    launched, every global placed.
  }];
}

#endif // DIT_LOWERING_PASSES_TD
