//===- ChooseAttention.cpp - Our attention kernel or the library's --------===//
#include "passes/lowering/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_CHOOSEATTENTION
#include "passes/lowering/Passes.h.inc"
} // namespace dit

using namespace dit;

/// The head dimensions at which our kernel was measured to be faster than cuDNN
/// at every shape (docs/benchmarks.md). cuDNN has kernels for 64 and 128 and is
/// slow between; the kernel is written for 48 to 128 in steps of 8.
static constexpr int64_t ourHeadDims[] = {72, 80};

/// Whether our kernel can do it, and should.
static bool isOurs(plan::AttentionOp op) {
  ArrayRef<int64_t> sizes = op.getSizes();
  int64_t headDim = sizes[4];
  if (!op.getType().isBF16() || op.getMask() || op.getKeyHeadGroup() != 1 ||
      sizes[5] != headDim || !llvm::is_contained(ourHeadDims, headDim) ||
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
          op.emitRemark("attention by cuDNN: our kernel is for bf16 heads of "
                        "72 or 80, without masks and groups");
        return;
      }
      op.setOurs(true);
      if (report)
        op.emitRemark("attention by our kernel");
    });
  }
};
} // namespace
