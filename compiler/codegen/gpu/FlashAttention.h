//===- FlashAttention.h - Our attention kernel and its launch -------------===//
//
// runtime/kernels/attention/FlashAttentionSm90.cu, compiled when ditc is built.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_CODEGEN_GPU_FLASHATTENTION_H
#define COMPILER_CODEGEN_GPU_FLASHATTENTION_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>

namespace dit::codegen {

/// PTX for sm_90a of the kernel for heads of `headDim`: 48 to 128 in steps of
/// 8; empty for others.
llvm::StringRef getFlashAttentionPtx(int64_t headDim);

/// Image.part of that code.
std::string getFlashAttentionPart(int64_t headDim);

/// The kernel's name in it.
inline constexpr llvm::StringLiteral flashAttentionSymbol = "flash_attention";

/// Queries of a head that a block of threads has.
inline constexpr int64_t flashQueryBlock = 128;

/// Dynamic shared memory of the kernel in bytes.
int64_t getFlashAttentionSharedBytes(int64_t headDim);

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_GPU_FLASHATTENTION_H
