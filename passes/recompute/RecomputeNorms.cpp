//===- RecomputeNorms.cpp - Normalised rows made again from statistics ----===//
#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/recompute/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_RECOMPUTENORMS
#include "passes/recompute/Passes.h.inc"
} // namespace dit

using namespace dit;

/// (x - mean) · rstd, as the norm itself computes it.
static Value createNormalised(OpBuilder &builder, LayerNormOp norm) {
  Location loc = norm.getLoc();
  RankedTensorType type = getTensorType(norm.getInput());
  SmallVector<int64_t> rowDims =
      llvm::to_vector(llvm::seq<int64_t>(0, type.getRank() - 1));
  auto spread = [&](Value statistic) {
    return createBroadcast(builder, loc, statistic, type.getShape(), rowDims);
  };
  Type wide = getTensorType(norm.getRstd()).getElementType();
  Value x = createCast(builder, loc, norm.getInput(), wide);
  Value centred =
      arith::SubFOp::create(builder, loc, x, spread(norm.getMean()));
  Value normalised =
      arith::MulFOp::create(builder, loc, centred, spread(norm.getRstd()));
  return createCast(builder, loc, normalised, type.getElementType());
}

/// The readers of the normalised row that a product or an attention separates
/// from the norm.
static SmallVector<OpOperand *> findLateUses(LayerNormOp norm) {
  Block *block = norm->getBlock();
  Operation *anchor = norm->getNextNode();
  while (anchor && !isa<MatmulOp, AttentionOp>(anchor))
    anchor = anchor->getNextNode();
  SmallVector<OpOperand *> late;
  for (OpOperand &use : norm.getResult().getUses())
    if (anchor && use.getOwner()->getBlock() == block &&
        anchor->isBeforeInBlock(use.getOwner()))
      late.push_back(&use);
  return late;
}

namespace {
struct RecomputeNorms : dit::impl::RecomputeNormsBase<RecomputeNorms> {
  void runOnOperation() override {
    getOperation().walk([](LayerNormOp norm) {
      if (norm.getMean().use_empty() || norm.getRstd().use_empty())
        return;
      SmallVector<OpOperand *> uses = findLateUses(norm);
      if (uses.empty())
        return;
      Operation *first = uses.front()->getOwner();
      for (OpOperand *use : uses)
        if (use->getOwner()->isBeforeInBlock(first))
          first = use->getOwner();
      OpBuilder builder(first);
      Value again = createNormalised(builder, norm);
      for (OpOperand *use : uses)
        use->set(again);
    });
  }
};
} // namespace
