//===- ChooseAttention.cpp - Our attention kernel or the library's --------===//
#include "passes/lowering/Passes.h"

#include <limits>

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_CHOOSEATTENTION
#include "passes/lowering/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {
/// Where our kernel was measured to be faster than cuDNN (docs/benchmarks.md):
/// up to a number of query rows in all batches and heads, or from a number of
/// tokens on. cuDNN has kernels for heads of 64 and 128 and is slow between;
/// ours is written for 48 to 128 in steps of 8.
struct Faster {
  int64_t headDim, mostRows, leastTokens;
};
} // namespace

static constexpr int64_t always = std::numeric_limits<int64_t>::max();
static constexpr Faster measured[] = {
    {48, 8192, 1024}, {64, 8192, 16384}, {72, always, 0}, {80, always, 0}};

static bool isFaster(plan::AttentionOp op) {
  ArrayRef<int64_t> sizes = op.getSizes();
  int64_t rows = sizes[0] * sizes[1] * sizes[2],
          tokens = std::min(sizes[2], sizes[3]);
  return llvm::any_of(measured, [&](const Faster &at) {
    return at.headDim == sizes[4] &&
           (rows <= at.mostRows || tokens >= at.leastTokens);
  });
}

/// Whether our kernel can do it, and should.
static bool isOurs(plan::AttentionOp op) {
  ArrayRef<int64_t> sizes = op.getSizes();
  int64_t headDim = sizes[4];
  if (!op.getType().isBF16() || op.getMask() || op.getKeyHeadGroup() != 1 ||
      sizes[5] != headDim || !isFaster(op) ||
      op.getScale().convertToDouble() <= 0)
    return false;
  // The copy engine wants rows at multiples of 16 bytes, so do the results.
  auto isAligned = [](Value memory, ArrayRef<int64_t> strides) {
    return plan::getPlace(memory).offset % 16 == 0 &&
           llvm::all_of(strides, [](int64_t s) { return s % 8 == 0; });
  };
  return isAligned(op.getQ(), op.getQStrides()) &&
         isAligned(op.getK(), op.getKStrides()) &&
         isAligned(op.getV(), op.getVStrides()) &&
         isAligned(op.getOutput(), op.getOutputStrides());
}

namespace {
struct ChooseAttention : dit::impl::ChooseAttentionBase<ChooseAttention> {
  using ChooseAttentionBase::ChooseAttentionBase;

  void runOnOperation() override {
    getOperation().walk([&](plan::AttentionOp op) {
      if (!isOurs(op)) {
        if (report)
          op.emitRemark("attention by cuDNN: our kernel is for bf16 without "
                        "masks and groups, where it was measured faster");
        return;
      }
      op.setOurs(true);
      if (report)
        op.emitRemark("attention by our kernel");
    });
  }
};
} // namespace
