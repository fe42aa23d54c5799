//===- FlashAttention.h - Our attention kernels and their launches -*- C++
//-*-===//
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

/// PTX for sm_90a of the kernels for heads of `headDim`: 48 to 128 in steps of
/// 8; empty for others.
llvm::StringRef getFlashAttentionPtx(int64_t headDim);

/// Image.part of that code.
std::string getFlashAttentionPart(int64_t headDim);

/// The kernel with `queryBlock` queries a block of threads, which is one of
/// getFlashQueryBlocks().
llvm::StringRef getFlashAttentionSymbol(int64_t headDim, int64_t queryBlock);

/// Dynamic shared memory of that kernel in bytes.
int64_t getFlashAttentionSharedBytes(int64_t headDim, int64_t queryBlock);

/// Queries a block of the wide kernel has, which reads keys least often, and of
/// the narrow one, which makes more blocks of less work.
struct FlashQueryBlocks {
  int64_t wide, narrow;
};
FlashQueryBlocks getFlashQueryBlocks(int64_t headDim);

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_GPU_FLASHATTENTION_H
