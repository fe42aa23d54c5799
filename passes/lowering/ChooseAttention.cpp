//===- ChooseAttention.cpp - Our attention kernels or the library's -------===//
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

/// What both kernels are for: bf16, every head with keys of its own, no mask.
template <typename Op>
static bool isForOurs(Op op) {
  return op.getType().isBF16() && !op.getMask() && op.getKeyHeadGroup() == 1 &&
         op.getSizes()[5] == op.getSizes()[4] &&
         op.getScale().convertToDouble() > 0;
}

/// Rows are read and written 16 bytes at a time.
static bool isAligned(Value memory, ArrayRef<int64_t> strides) {
  return plan::getPlace(memory).offset % 16 == 0 &&
         llvm::all_of(strides, [](int64_t s) { return s % 8 == 0; });
}

/// Whether our kernel can do it, and should.
static bool isOurs(plan::AttentionOp op) {
  return isForOurs(op) && isFaster(op) &&
         isAligned(op.getQ(), op.getQStrides()) &&
         isAligned(op.getK(), op.getKStrides()) &&
         isAligned(op.getV(), op.getVStrides()) &&
         isAligned(op.getOutput(), op.getOutputStrides());
}

/// Of heads that a multiprocessor's shared memory holds whole, cuDNN was slower
/// at every size.
static bool isOurs(plan::AttentionGradOp op) {
  using Op = plan::AttentionGradOp;
  ArrayRef<int64_t> sizes = op.getSizes();
  return isForOurs(op) && sizes[2] == sizes[3] &&
         llvm::is_contained({64, 128, 256}, sizes[2]) &&
         llvm::is_contained({48, 64, 72}, sizes[4]) &&
         isAligned(op.getQ(), op.getStrides(Op::Q)) &&
         isAligned(op.getK(), op.getStrides(Op::K)) &&
         isAligned(op.getV(), op.getStrides(Op::V)) &&
         isAligned(op.getOutput(), op.getStrides(Op::Output)) &&
         isAligned(op.getOutputGrad(), op.getStrides(Op::OutputGrad)) &&
         isAligned(op.getQueryGrad(), op.getStrides(Op::QueryGrad)) &&
         isAligned(op.getKeyGrad(), op.getStrides(Op::KeyGrad)) &&
         isAligned(op.getValueGrad(), op.getStrides(Op::ValueGrad));
}

namespace {
struct ChooseAttention : dit::impl::ChooseAttentionBase<ChooseAttention> {
  using ChooseAttentionBase::ChooseAttentionBase;

  void runOnOperation() override {
    getOperation().walk([&](Operation *op) {
      if (auto attention = dyn_cast<plan::AttentionOp>(op))
        choose(attention, "attention",
               "bf16 without masks and groups, where it was measured faster");
      else if (auto gradient = dyn_cast<plan::AttentionGradOp>(op))
        choose(
            gradient, "gradient of attention",
            "bf16 without masks and groups, 64, 128 or 256 tokens, and heads "
            "of 48, 64 or 72");
    });
  }

  /// Marks it as ours if it is to be; `isFor` tells what our kernel is for.
  template <typename Op>
  void choose(Op op, StringRef name, StringRef isFor) {
    bool chosen = isOurs(op);
    op.setOurs(chosen);
    if (!report)
      return;
    if (chosen)
      op.emitRemark() << name << " by our kernel";
    else
      op.emitRemark() << name << " by cuDNN: our kernel is for " << isFor;
  }
};
} // namespace
