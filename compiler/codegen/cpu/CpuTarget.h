//===- CpuTarget.h - Which CPU code is generated for ------------*- C++ -*-===//
#ifndef COMPILER_CODEGEN_CPU_CPUTARGET_H
#define COMPILER_CODEGEN_CPU_CPUTARGET_H

#include "compiler/codegen/KernelSource.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace dit::codegen {

/// An x86-64 CPU, as the plan records it and as LLVM names it.
struct CpuTarget {
  /// LLVM's name: znver4, x86-64-v3, ...
  std::string cpu;
  /// Every instruction set that the code may use, sorted, in LLVM's names
  /// ("avx2"): what the machine that runs it must have.
  std::vector<std::string> features;
  /// What a CPU of that name has and the code must not use, because this
  /// machine hides it.
  std::vector<std::string> hidden;

  /// `name` is native (this machine), x86-64-v3, x86-64-v4 or another of LLVM's
  /// CPU names. An error names what it does not know, and a CPU without AVX2
  /// and FMA.
  static llvm::Expected<CpuTarget> resolve(llvm::StringRef name);

  bool hasFeature(llvm::StringRef feature) const;
  VectorTarget getVectorTarget() const;
};

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_CPU_CPUTARGET_H
