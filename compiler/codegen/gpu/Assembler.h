//===- Assembler.h - CUDA's assembler, where there is one -------*- C++ -*-===//
//
// PTX goes into every plan and is enough: the driver compiles it. A machine
// code image beside it saves the driver that work, and tells at compile time
// what each kernel uses. It is made by `ptxas` or by the library nvJitLink, in
// this order (the library takes more registers for the same PTX); neither is
// linked or needed.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_CODEGEN_GPU_ASSEMBLER_H
#define COMPILER_CODEGEN_GPU_ASSEMBLER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace dit::codegen {

/// What a kernel uses, as the assembler says.
struct KernelResources {
  std::string symbol;
  /// Of a thread.
  int64_t registers = 0;
  /// Of a block, without what the launch adds.
  int64_t sharedBytes = 0;
  /// Of a thread: registers written to memory, and read back.
  int64_t spillStoreBytes = 0, spillLoadBytes = 0;
};

/// Machine code of one module.
struct Cubin {
  std::string code;
  /// "ptxas 13.0.88", "nvJitLink 13.0".
  std::string assembler;
  std::vector<KernelResources> kernels;
};

/// Assembles `ptx` for `arch` (sm_90). Looks in the folders of the environment
/// variable DIT_CUDA_PATH, in PATH and where the loader looks, and in
/// /usr/local/cuda. An error says why there is no cubin: no assembler was
/// found, or what it said.
llvm::Expected<Cubin> assemble(llvm::StringRef ptx, llvm::StringRef arch);

/// What `ptxas -v` says of each kernel, in its order.
std::vector<KernelResources> parseResources(llvm::StringRef log);

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_GPU_ASSEMBLER_H
