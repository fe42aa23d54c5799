//===- Passes.td - Code generation's stages as passes ---*- tablegen -*-===//
#ifndef DIT_CODEGEN_PASSES_TD
#define DIT_CODEGEN_PASSES_TD

include "mlir/Pass/PassBase.td"

def EmitCpuKernels : Pass<"dit-emit-cpu-kernels", "::mlir::ModuleOp"> {
  let summary = "Adds the loops and vectors of every kernel as a function";
  let description = [{
    What code generation does with kernels before LLVM takes over, to look at:
    each dit.kernel in the module becomes a function `kernel<i>` of the operands'
    addresses and a range of blocks, in func, scf, vector, arith, math and llvm
    ops. The kernels stay.

    ```mlir
    %y = dit.kernel "double" space = [4, 32] (%x) : … {
      %s = arith.addf %a, %a : tensor<4x32xf32> …
    // becomes
    func.func @kernel0(%operands: !llvm.ptr, %begin: i64, %end: i64) {
      …
      scf.for %i = … {
        %v = llvm.load %p : !llvm.ptr -> vector<16xf32>
        %s = arith.addf %v, %v : vector<16xf32>
        llvm.store %s, %q : vector<16xf32>, !llvm.ptr
    ```
  }];
  let options = [
    Option<"cpu", "cpu", "std::string", "\"x86-64-v4\"",
           "native, x86-64-v3, x86-64-v4 or an LLVM CPU name">,
    Option<"rowsPerBlock", "rows-per-block", "int64_t", "16",
           "rows in a block">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::func::FuncDialect",
                           "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

#endif // DIT_CODEGEN_PASSES_TD
