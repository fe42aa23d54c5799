//===- CpuCodegen.h - Kernels as x86-64 object code -------------*- C++ -*-===//
//
//   KernelSource  ──emitKernels──▶  func + scf + vector + arith, on pointers
//                 ──translateToLlvm──▶  llvm dialect ──▶ LLVM IR
//                 ──emitObject──▶  optimised ──▶ ELF relocatable object
//
// All kernels of a plan are one module. The code calls nothing but memcpy and
// memset. The same sources, target and options give the same bytes.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_CODEGEN_CPU_CPUCODEGEN_H
#define COMPILER_CODEGEN_CPU_CPUCODEGEN_H

#include "compiler/codegen/KernelSource.h"
#include "compiler/codegen/cpu/CpuTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/IR/PassManager.h"

namespace llvm {
class LLVMContext;
class Module;
class TargetMachine;
} // namespace llvm

namespace dit::codegen {

/// Adds a function for every kernel to `module`, in func, scf, vector, arith,
/// math and llvm ops. Errors are emitted at the ops that have no code.
llvm::LogicalResult emitKernels(mlir::ModuleOp module,
                                llvm::ArrayRef<KernelSource> kernels,
                                VectorTarget target);

/// What an ELF object or a text is made of: all kernels, in LLVM IR, optimised
/// for `target`. An error names the kernel (diagnostics, the op) that failed.
llvm::Expected<std::unique_ptr<llvm::Module>>
emitLlvm(llvm::LLVMContext &llvmContext, mlir::MLIRContext &context,
         llvm::ArrayRef<KernelSource> kernels, const CpuTarget &target);

/// The kernels as a relocatable ELF object, position independent.
llvm::Expected<llvm::SmallVector<char, 0>>
emitObject(mlir::MLIRContext &context, llvm::ArrayRef<KernelSource> kernels,
           const CpuTarget &target);

/// The same as LLVM IR, and as assembly.
llvm::Expected<std::string> emitLlvmText(mlir::MLIRContext &context,
                                         llvm::ArrayRef<KernelSource> kernels,
                                         const CpuTarget &target);
llvm::Expected<std::string> emitAssembly(mlir::MLIRContext &context,
                                         llvm::ArrayRef<KernelSource> kernels,
                                         const CpuTarget &target);

/// Runs `passes` on every function that `module` defines.
void runPasses(llvm::Module &module, llvm::TargetMachine &machine,
               llvm::FunctionPassManager passes);

/// Runs `work` with this context's errors collected; gives the first where it
/// returns false.
llvm::Error collectErrors(mlir::MLIRContext &context,
                          llvm::function_ref<bool()> work);

/// The module of `emitKernels`, lowered to the llvm dialect and translated.
/// Null, with a diagnostic, where that fails, which is a bug.
std::unique_ptr<llvm::Module> translateToLlvm(mlir::ModuleOp module,
                                              llvm::LLVMContext &llvmContext);

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_CPU_CPUCODEGEN_H
