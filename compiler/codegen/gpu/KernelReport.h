//===- KernelReport.h - What each kernel asks of a GPU ----------*- C++ -*-===//
#ifndef COMPILER_CODEGEN_GPU_KERNELREPORT_H
#define COMPILER_CODEGEN_GPU_KERNELREPORT_H

#include "compiler/codegen/gpu/Assembler.h"
#include "compiler/codegen/gpu/GpuCodegen.h"

namespace dit::codegen {

/// A multiprocessor of an architecture: what its blocks share.
struct Multiprocessor {
  int64_t warps, blocks, registers, sharedBytes;

  /// `arch` is one that GpuTarget::resolve takes.
  static Multiprocessor get(llvm::StringRef arch);

  /// Warps of a kernel that run at once: as many blocks as registers, shared
  /// memory, warps and block slots allow.
  int64_t getWarpsAtOnce(const GpuKernel &launch,
                         const KernelResources &resources) const;
};

/// A line a kernel: its launch, the bytes of its operands, and with a cubin its
/// registers, spills and warps at once. `sources` are those that `code` was
/// made from.
std::string describeKernels(const GpuCode &code,
                            llvm::ArrayRef<KernelSource> sources,
                            const GpuTarget &target, const Cubin *cubin);

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_GPU_KERNELREPORT_H
