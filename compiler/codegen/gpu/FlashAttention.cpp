//===- FlashAttention.cpp - Our attention kernels and their launch --------===//
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

// Of the gradient: a head dimension and a number of tiles of 64 tokens.
static constexpr char ptx48x1[] = {
#embed "flash_attention_grad_48_1.ptx"
};
static constexpr char ptx48x2[] = {
#embed "flash_attention_grad_48_2.ptx"
};
static constexpr char ptx48x4[] = {
#embed "flash_attention_grad_48_4.ptx"
};
static constexpr char ptx64x1[] = {
#embed "flash_attention_grad_64_1.ptx"
};
static constexpr char ptx64x2[] = {
#embed "flash_attention_grad_64_2.ptx"
};
static constexpr char ptx64x4[] = {
#embed "flash_attention_grad_64_4.ptx"
};
static constexpr char ptx72x1[] = {
#embed "flash_attention_grad_72_1.ptx"
};
static constexpr char ptx72x2[] = {
#embed "flash_attention_grad_72_2.ptx"
};
static constexpr char ptx72x4[] = {
#embed "flash_attention_grad_72_4.ptx"
};

template <size_t size>
static constexpr llvm::StringRef text(const char (&characters)[size]) {
  return llvm::StringRef(characters, size);
}

static constexpr int64_t tileRows = 64, firstRow = 128;

/// Bytes of a row in shared memory, as
/// runtime/kernels/attention/HeadTilesSm90.h has it: its first 64 columns and
/// the rest.
static int64_t getRowBytes(int64_t headDim) {
  int64_t rest = llvm::alignTo(std::max<int64_t>(headDim - 64, 0), 16);
  return firstRow + (rest == 0 ? 0 : rest <= 16 ? 32 : rest <= 32 ? 64 : 128);
}

static llvm::StringRef getPtx(int64_t headDim) {
  static constexpr llvm::StringRef all[] = {
      text(ptx48),  text(ptx56),  text(ptx64), text(ptx72),
      text(ptx80),  text(ptx88),  text(ptx96), text(ptx104),
      text(ptx112), text(ptx120), text(ptx128)};
  if (headDim < 48 || headDim > 128 || headDim % 8)
    return {};
  return all[(headDim - 48) / 8];
}

/// As at the head of the kernel's source.
static int64_t getSharedBytes(int64_t headDim) {
  constexpr int64_t stages = 3;
  int64_t row = getRowBytes(headDim);
  int64_t queries =
      std::max(flashQueryBlock * row, flashQueryBlock * (headDim * 2 + 16));
  // The kernel begins at a multiple of 1024 bytes.
  return llvm::alignTo(queries, 1024) + stages * 2 * tileRows * row + 1024;
}

FlashKernel dit::codegen::getFlashAttention(int64_t headDim) {
  return {getPtx(headDim), "flash_attention_" + std::to_string(headDim),
          "flash_attention", 2 * flashQueryBlock, getSharedBytes(headDim)};
}

static llvm::StringRef getGradPtx(int64_t headDim, int64_t tokens) {
  static constexpr struct {
    int64_t headDim, tokens;
    llvm::StringRef ptx;
  } all[] = {{48, 64, text(ptx48x1)},  {48, 128, text(ptx48x2)},
             {48, 256, text(ptx48x4)}, {64, 64, text(ptx64x1)},
             {64, 128, text(ptx64x2)}, {64, 256, text(ptx64x4)},
             {72, 64, text(ptx72x1)},  {72, 128, text(ptx72x2)},
             {72, 256, text(ptx72x4)}};
  for (const auto &kernel : all)
    if (kernel.headDim == headDim && kernel.tokens == tokens)
      return kernel.ptx;
  return {};
}

/// As at the head of the kernel's source.
static int64_t getGradSharedBytes(int64_t headDim, int64_t tokens,
                                  int64_t warpgroups) {
  int64_t tiles = tokens / tileRows;
  int64_t tileBytes = tileRows * getRowBytes(headDim);
  int64_t partBytes = tiles == 1 ? tileBytes : tiles * tileRows * firstRow;
  return 4 * tiles * tileBytes + warpgroups * partBytes + 2 * 4 * tokens;
}

FlashKernel dit::codegen::getFlashAttentionGrad(int64_t headDim,
                                                int64_t tokens) {
  int64_t warpgroups = tokens == 64 ? 1 : 2;
  return {getGradPtx(headDim, tokens),
          "flash_attention_grad_" + std::to_string(headDim) + "_" +
              std::to_string(tokens),
          "flash_attention_grad", 128 * warpgroups,
          getGradSharedBytes(headDim, tokens, warpgroups)};
}
