//===- GpuTarget.h - Which GPU code is generated for ------------*- C++ -*-===//
#ifndef COMPILER_CODEGEN_GPU_GPUTARGET_H
#define COMPILER_CODEGEN_GPU_GPUTARGET_H

#include "llvm/Support/Error.h"
#include <string>

namespace dit::codegen {

/// An NVIDIA architecture, in LLVM's name.
struct GpuTarget {
  std::string arch;

  /// Whether a kernel can begin before the one before it ends.
  bool canOverlap() const { return arch != "sm_80" && arch != "sm_89"; }

  /// `name` is sm_80, sm_89, sm_90 or sm_100; an error lists them.
  static llvm::Expected<GpuTarget> resolve(llvm::StringRef name);
};

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_GPU_GPUTARGET_H
