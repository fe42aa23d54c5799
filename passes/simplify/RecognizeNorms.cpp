//===- RecognizeNorms.cpp - LayerNorm and RMSNorm, spelled out ------------===//
//
// See RecognizeNorms in Passes.td. Anchored at the last multiplication or
// division; statistics may be spread before or after their root.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/Passes.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/simplify/Match.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_RECOGNIZENORMS
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {

/// value = numerator · 1/√(square + eps)
struct Normalized {
  Value numerator, variance;
  double eps;
};
} // namespace

/// Reads variance + eps under a root; the eps may be missing (0).
static std::optional<std::pair<Value, double>> matchVariance(Value value) {
  Sum sum = matchSum(value);
  if (sum.terms.size() != 1 || sum.terms[0].negated || sum.constant < 0)
    return std::nullopt;
  return std::pair(sum.terms[0].value, sum.constant);
}

static std::optional<Normalized> matchNormalized(Operation *op) {
  auto make = [](Value numerator, Value rooted) -> std::optional<Normalized> {
    auto variance = matchVariance(rooted);
    if (!variance)
      return std::nullopt;
    return Normalized{numerator, variance->first, variance->second};
  };
  if (isa<arith::DivFOp>(op))
    if (auto root = matchRoot(op->getOperand(1)); root && !root->reciprocal)
      return make(op->getOperand(0), root->input);
  if (isa<arith::MulFOp>(op))
    for (unsigned side : {1u, 0u})
      if (auto root = matchRoot(op->getOperand(side)); root && root->reciprocal)
        return make(op->getOperand(1 - side), root->input);
  return std::nullopt;
}

/// The x of x − mean(x).
static Value matchCentered(Value value) {
  auto sub = skipCasts(value).getDefiningOp<arith::SubFOp>();
  if (!sub)
    return {};
  Value mean = matchMean(sub.getRhs());
  return mean && skipCasts(mean) == skipCasts(sub.getLhs()) ? sub.getLhs()
                                                            : Value();
}

namespace {

struct RecognizeNorm : RewritePattern {
  explicit RecognizeNorm(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    auto match = matchNormalized(op);
    if (!match)
      return rewriter.notifyMatchFailure(op, "is not x / √(v + eps)");
    Value mean = matchMean(match->variance);
    Value squared = mean ? matchSquare(mean) : Value();
    if (!squared)
      return rewriter.notifyMatchFailure(op, "v is no mean of squares");
    if (skipCasts(squared) != skipCasts(match->numerator))
      return rewriter.notifyMatchFailure(op, "v is of another tensor");
    Type element = getTensorType(op->getResult(0)).getElementType();
    Value x = matchCentered(match->numerator);
    Value input = x ? x : match->numerator;
    FloatAttr eps = rewriter.getF64FloatAttr(match->eps);
    Value norm =
        x ? LayerNormOp::create(rewriter, op->getLoc(), input, eps).getResult()
          : RmsNormOp::create(rewriter, op->getLoc(), input, eps).getResult();
    rewriter.replaceOp(op, createCast(rewriter, op->getLoc(), norm, element));
    return success();
  }
};

/// trunc(norm(ext(x))) → norm(x): statistics are fp32 and rounding is at the
/// end either way.
template <typename Op>
struct AbsorbCasts : OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    auto norm = op.getIn().getDefiningOp<Op>();
    auto wide = norm ? norm.getInput().template getDefiningOp<arith::ExtFOp>()
                     : arith::ExtFOp();
    if (!wide || wide.getIn().getType() != op.getType() ||
        op.getIn() != norm->getResult(0) || !op.getIn().hasOneUse())
      return rewriter.notifyMatchFailure(op, "is not trunc(f(ext(x)))");
    IRMapping mapping;
    mapping.map(norm.getInput(), wide.getIn());
    for (Value statistic : norm->getResults().drop_front())
      if (!statistic.use_empty())
        return rewriter.notifyMatchFailure(op, "the statistics are used");
    SmallVector<Type> types(norm->getResultTypes());
    types[0] = op.getType();
    Operation *narrow = rewriter.clone(*norm, mapping);
    narrow->getResult(0).setType(op.getType());
    rewriter.replaceOp(op, narrow->getResult(0));
    return success();
  }
};

struct RecognizeNorms : dit::impl::RecognizeNormsBase<RecognizeNorms> {
  using RecognizeNormsBase::RecognizeNormsBase;
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    patterns
        .add<RecognizeNorm, AbsorbCasts<LayerNormOp>, AbsorbCasts<RmsNormOp>,
             AbsorbCasts<SoftmaxOp>, AbsorbCasts<GeluOp>>(context);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    if (report)
      explain();
  }

  /// Remarks quotients by a root and means that are part of no norm.
  void explain() {
    llvm::SmallPtrSet<Operation *, 8> explained;
    getOperation().walk([&](Operation *op) {
      auto match = matchNormalized(op);
      if (!match)
        return;
      op->emitRemark("no norm: what is under the root is not the mean of the "
                     "numerator's squares along the last dimension");
      explained.insert(skipSpread(match->variance).getDefiningOp());
    });
    getOperation().walk([&](Operation *op) {
      if (isa<arith::MulFOp, arith::DivFOp>(op) && !explained.contains(op) &&
          op->getOperand(0).getDefiningOp<ReduceOp>() &&
          matchMean(op->getResult(0)))
        op->emitRemark("no norm: a mean along the last dimension that no norm "
                       "takes in");
    });
  }
};

} // namespace
