//===- ChooseAttention.cpp - Our attention kernel or the library's --------===//
#include "passes/lowering/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_CHOOSEATTENTION
#include "passes/lowering/Passes.h.inc"
} // namespace dit

using namespace dit;

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
      op.setOurs(true);
      if (report)
        op.emitRemark("attention by our kernel");
    });
  }
};
} // namespace
