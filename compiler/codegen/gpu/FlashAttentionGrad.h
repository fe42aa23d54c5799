//===- FlashAttentionGrad.h - Our gradient of attention -------------------===//
//
// runtime/kernels/attention/FlashAttentionGradSm90.cu, compiled when ditc is
// built.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_CODEGEN_GPU_FLASHATTENTIONGRAD_H
#define COMPILER_CODEGEN_GPU_FLASHATTENTIONGRAD_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>

namespace dit::codegen {

/// The kernel for one shape, and its launch: a block of threads a head.
struct FlashAttentionGrad {
  llvm::StringRef ptx; // for sm_90a
  std::string part;    // Image.part of that code
  int64_t threads;     // of a block
  int64_t sharedBytes; // dynamic
};

/// The kernel for heads of `headDim`, 48, 64 or 72, and sequences of `tokens`,
/// 64, 128 or 256; ptx is empty for others.
FlashAttentionGrad getFlashAttentionGrad(int64_t headDim, int64_t tokens);

/// The kernel's name in its code.
inline constexpr llvm::StringLiteral flashAttentionGradSymbol =
    "flash_attention_grad";

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_GPU_FLASHATTENTIONGRAD_H
