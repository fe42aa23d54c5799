//===- FlashAttentionGrad.cpp - Our gradient of attention -----------------===//
#include "compiler/codegen/gpu/FlashAttentionGrad.h"

#include <algorithm>

using namespace dit::codegen;

// The build folder's PTX, a file a head dimension and number of tiles of 64
// tokens.
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

static llvm::StringRef getPtx(int64_t headDim, int64_t tokens) {
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
static int64_t getSharedBytes(int64_t headDim, int64_t tokens,
                              int64_t warpgroups) {
  constexpr int64_t tileRows = 64, scoreBytes = 64 * 128;
  int64_t tiles = tokens / tileRows;
  int64_t tileBytes = tileRows * (headDim > 64 ? 128 + 32 : 128);
  int64_t partBytes = tiles == 1 ? tileBytes : tiles * scoreBytes;
  return 4 * tiles * tileBytes + warpgroups * partBytes + 2 * 4 * tokens;
}

FlashAttentionGrad dit::codegen::getFlashAttentionGrad(int64_t headDim,
                                                       int64_t tokens) {
  int64_t warpgroups = tokens == 64 ? 1 : 2;
  return {getPtx(headDim, tokens),
          "flash_attention_grad_" + std::to_string(headDim) + "_" +
              std::to_string(tokens),
          128 * warpgroups, getSharedBytes(headDim, tokens, warpgroups)};
}
