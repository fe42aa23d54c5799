//===- ChooseAttention.cpp - Our attention kernel or the library's --------===//
#include "passes/lowering/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_CHOOSEATTENTION
#include "passes/lowering/Passes.h.inc"
} // namespace dit

using namespace dit;

/// Multiprocessors of a Hopper GPU: with fewer blocks some have nothing to do.
static constexpr int64_t multiprocessors = 132;

/// Whether our kernel can do it: docs/benchmarks.md has the times that say it
/// should.
static bool isOurs(plan::AttentionOp op) {
  ArrayRef<int64_t> sizes = op.getSizes();
  int64_t headDim = sizes[4];
  if (!op.getType().isBF16() || op.getMask() || op.getKeyHeadGroup() != 1 ||
      sizes[5] != headDim || headDim < 48 || headDim > 128 || headDim % 8)
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
          op.emitRemark("attention by cuDNN: our kernel is for bf16 heads of "
                        "48 to 128 in steps of 8, without masks and groups");
        return;
      }
      ArrayRef<int64_t> sizes = op.getSizes();
      // Four warpgroups of 64 queries, or three where registers allow no more.
      int64_t wide = sizes[4] <= 88 ? 256 : 192;
      int64_t blocks = sizes[0] * sizes[1] * llvm::divideCeil(sizes[2], wide);
      op.setQueryBlock(blocks < multiprocessors ? 128 : wide);
      if (report)
        op.emitRemark("attention by our kernel, ")
            << *op.getQueryBlock() << " queries a block";
    });
  }
};
} // namespace
