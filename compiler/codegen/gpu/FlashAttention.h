//===- FlashAttention.h - Our attention kernels and their launch ----------===//
//
// runtime/kernels/attention/FlashAttention{,Grad}Sm90.cu, compiled when ditc is
// built.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_CODEGEN_GPU_FLASHATTENTION_H
#define COMPILER_CODEGEN_GPU_FLASHATTENTION_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>

namespace dit::codegen {

/// A kernel of ours for one shape, and its launch.
struct FlashKernel {
  llvm::StringRef ptx; // for sm_90a; empty for shapes that there is none for
  std::string part;    // Image.part of that code
  std::string symbol;  // the kernel's name in it
  int64_t threads;     // of a block
  int64_t sharedBytes; // dynamic shared memory of a block
};

/// Attention for heads of `headDim`, 48 to 128 in steps of 8; a block of
/// threads has flashQueryBlock queries of a head.
FlashKernel getFlashAttention(int64_t headDim);

inline constexpr int64_t flashQueryBlock = 128;

/// Its gradient for heads of `headDim`, 48, 64 or 72, and sequences of
/// `tokens`, 64, 128 or 256; a block of threads has a head.
FlashKernel getFlashAttentionGrad(int64_t headDim, int64_t tokens);

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_GPU_FLASHATTENTION_H
