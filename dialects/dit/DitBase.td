//===- DitBase.td - The dit dialect -----------------------*- tablegen -*-===//
#ifndef DIT_BASE_TD
#define DIT_BASE_TD

include "mlir/IR/OpBase.td"

def Dit_Dialect : Dialect {
  let name = "dit";
  let cppNamespace = "::dit";
  let summary = "What a Diffusion Transformer computes, on tensors";
  let description = [{
    Tensors with static shapes. Upstream wherever it fits: `func`, `arith` and
    `math` elementwise on tensors of equal shape, `tensor.expand_shape`,
    `collapse_shape`, `extract_slice` and `concat`; `dit` has only what upstream
    lacks. Modulation, gates and the sampler's update need no op of their own:
    they are arith, and fusion makes kernels of them.

    A program's state is `dit.global`s; functions `dit.read` and `dit.write` them.
  }];
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
  let hasConstantMaterializer = 1;
  let extraClassDeclaration = [{
    /// Marks activations that are computed again for the gradient, and that no
    /// GEMM may apply therefore: its bits are not those of a kernel.
    static constexpr ::llvm::StringLiteral rerunAttrName = "dit.rerun";
    void registerAttributes();
    void registerOperations();
  }];
}

#endif // DIT_BASE_TD
