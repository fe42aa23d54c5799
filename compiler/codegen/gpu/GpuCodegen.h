//===- GpuCodegen.h - Kernels as PTX ----------------------------*- C++ -*-===//
//
//   KernelSource  ──GpuEmitter───▶  func + scf + vector + arith, on pointers
//                 ──LowerToLlvm──▶  llvm dialect ──▶ LLVM IR
//                 ──emitPtx──────▶  optimised ──▶ PTX
//
// All kernels of a plan are one module. The code calls nothing: no CUDA toolkit
// and no libdevice is needed. The same sources and target give the same bytes.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_CODEGEN_GPU_GPUCODEGEN_H
#define COMPILER_CODEGEN_GPU_GPUCODEGEN_H

#include "compiler/codegen/KernelSource.h"
#include "compiler/codegen/gpu/GpuTarget.h"
#include "mlir/IR/MLIRContext.h"
#include <vector>

namespace dit::codegen {

/// How a kernel is launched: `symbol<<<blocks, threads, sharedBytes>>>(op0,
/// op1, …)`, bare pointers to the inputs, then to the results, all multiples of
/// 16 bytes. All three numbers follow from the kernel and its shape alone.
struct GpuKernel {
  std::string symbol;
  int64_t blocks;
  int64_t threads;
  /// Dynamic shared memory; what the code declares itself is not counted.
  int64_t sharedBytes;
  /// From sm_90 on: the code waits for the end of the kernel before it
  /// (griddepcontrol.wait) before it touches memory, so that it may be launched
  /// while that one runs.
  bool waitsItself = false;
};

/// The text of one PTX module and the launches of its kernels, in the order of
/// the sources.
struct GpuCode {
  std::string ptx;
  std::vector<GpuKernel> kernels;
};

/// Compiles `kernels`; their rowsPerBlock is not looked at, see GpuKernel. An
/// error names the op that has no code.
llvm::Expected<GpuCode> emitPtx(mlir::MLIRContext &context,
                                llvm::ArrayRef<KernelSource> kernels,
                                const GpuTarget &target);

/// "// kernel0: 4096 blocks of 128 threads, 0 bytes: 37748736 2304 ->
/// 37748736": a line of PTX on a launch, with the operands' bytes.
std::string printLaunch(const GpuKernel &launch, const KernelSource &source);

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_GPU_GPUCODEGEN_H
