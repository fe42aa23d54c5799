//===- RecognizeSoftmax.cpp - Softmax, spelled out ------------------------===//
//
// See RecognizeSoftmax in Passes.td.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/Passes.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/simplify/Match.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_RECOGNIZESOFTMAX
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

/// The input of a spread reduction of `kind` along the last dimension.
static Value matchRowReduction(Value value, ReduceKind kind) {
  auto reduce = skipSpread(value).getDefiningOp<ReduceOp>();
  if (!reduce || reduce.getKind() != kind || reduce.getDims().size() != 1 ||
      reduce.getDims()[0] != getTensorType(reduce.getInput()).getRank() - 1)
    return {};
  return skipCasts(reduce.getInput());
}

/// exp of the quotient exp / Σ exp, else null.
static math::ExpOp matchNormalizedExp(Operation *op) {
  auto match = [](Value exp, Value sum) -> math::ExpOp {
    Value summed = matchRowReduction(sum, ReduceKind::Sum);
    return summed && summed == skipCasts(exp)
               ? summed.getDefiningOp<math::ExpOp>()
               : math::ExpOp();
  };
  if (isa<arith::DivFOp>(op))
    return match(op->getOperand(0), op->getOperand(1));
  if (isa<arith::MulFOp>(op))
    for (unsigned side : {0u, 1u}) {
      auto reciprocal =
          skipSpread(op->getOperand(side)).getDefiningOp<arith::DivFOp>();
      if (!reciprocal || getSplat(reciprocal.getLhs()) != 1.)
        continue;
      if (math::ExpOp exp =
              match(op->getOperand(1 - side), reciprocal.getRhs()))
        return exp;
    }
  return {};
}

namespace {

struct RecognizeExpOverSum : RewritePattern {
  explicit RecognizeExpOverSum(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context) {}
  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    math::ExpOp exp = matchNormalizedExp(op);
    if (!exp)
      return rewriter.notifyMatchFailure(op, "is not exp / Σ exp");
    // Any value of the row may have been subtracted; it is usually the largest.
    Value input = exp.getOperand();
    if (auto sub = skipCasts(input).getDefiningOp<arith::SubFOp>()) {
      Value largest = matchRowReduction(sub.getRhs(), ReduceKind::Max);
      if (largest && largest == skipCasts(sub.getLhs()))
        input = sub.getLhs();
    }
    Value softmax = SoftmaxOp::create(rewriter, op->getLoc(), input);
    rewriter.replaceOp(
        op, createCast(rewriter, op->getLoc(), softmax,
                       getTensorType(op->getResult(0)).getElementType()));
    return success();
  }
};

struct RecognizeSoftmax : dit::impl::RecognizeSoftmaxBase<RecognizeSoftmax> {
  using RecognizeSoftmaxBase::RecognizeSoftmaxBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RecognizeExpOverSum>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    if (report)
      getOperation().walk([](math::ExpOp op) {
        for (Operation *user : op->getUsers())
          if (isa<ReduceOp>(user)) {
            op.emitRemark("no softmax: it is summed, but not divided by its "
                          "sum along the last dimension");
            return;
          }
      });
  }
};

} // namespace
