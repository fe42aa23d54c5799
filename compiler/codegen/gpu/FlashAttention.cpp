//===- FlashAttention.cpp - Our attention kernel and its launch ------===//
#include "compiler/codegen/gpu/FlashAttention.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace dit::codegen;

// The build folder's PTX, a file a head dimension.
static constexpr char ptx48[] = {
#embed "flash_attention_48.ptx"
};
static constexpr char ptx56[] = {
#embed "flash_attention_56.ptx"
};
static constexpr char ptx64[] = {
#embed "flash_attention_64.ptx"
};
static constexpr char ptx72[] = {
#embed "flash_attention_72.ptx"
};
static constexpr char ptx80[] = {
#embed "flash_attention_80.ptx"
};
static constexpr char ptx88[] = {
#embed "flash_attention_88.ptx"
};
static constexpr char ptx96[] = {
#embed "flash_attention_96.ptx"
};
static constexpr char ptx104[] = {
#embed "flash_attention_104.ptx"
};
static constexpr char ptx112[] = {
#embed "flash_attention_112.ptx"
};
static constexpr char ptx120[] = {
#embed "flash_attention_120.ptx"
};
static constexpr char ptx128[] = {
#embed "flash_attention_128.ptx"
};

template <size_t size>
static constexpr llvm::StringRef text(const char (&characters)[size]) {
  return llvm::StringRef(characters, size);
}

llvm::StringRef dit::codegen::getFlashAttentionPtx(int64_t headDim) {
  static constexpr llvm::StringRef all[] = {
      text(ptx48),  text(ptx56),  text(ptx64), text(ptx72),
      text(ptx80),  text(ptx88),  text(ptx96), text(ptx104),
      text(ptx112), text(ptx120), text(ptx128)};
  if (headDim < 48 || headDim > 128 || headDim % 8)
    return {};
  return all[(headDim - 48) / 8];
}

std::string dit::codegen::getFlashAttentionPart(int64_t headDim) {
  return "flash_attention_" + std::to_string(headDim);
}

int64_t dit::codegen::getFlashAttentionSharedBytes(int64_t headDim) {
  // As at the head of the kernel's source.
  constexpr int64_t keyBlock = 64, stages = 3;
  int64_t rest = llvm::alignTo(std::max<int64_t>(headDim - 64, 0), 16);
  int64_t restRow = rest == 0 ? 0 : rest <= 16 ? 32 : rest <= 32 ? 64 : 128;
  int64_t row = 128 + restRow;
  int64_t queries =
      std::max(flashQueryBlock * row, flashQueryBlock * (headDim * 2 + 16));
  // The kernel begins at a multiple of 1024 bytes.
  return llvm::alignTo(queries, 1024) + stages * 2 * keyBlock * row + 1024;
}
