//===- RecognizeActivations.cpp - GELU and sigmoid, spelled out -----------===//
//
// See RecognizeActivations in Passes.td. Products and sums are flattened first
// (Match.h), so that order and association do not matter.
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
#define GEN_PASS_DEF_RECOGNIZEACTIVATIONS
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

/// The single term of 1 + term.
static Value matchOnePlus(Value value) {
  Sum sum = matchSum(value);
  return sum.constant == 1 && sum.terms.size() == 1 && !sum.terms[0].negated
             ? sum.terms[0].value
             : Value();
}

/// True where `value` = √(2/π) · (x + 0.044715 x³), also with x or √(2/π)
/// multiplied out.
static bool isTanhArgument(Value value, Value x) {
  constexpr double root = 0.7978845608028654, cubic = 0.044715;
  Product product = matchProduct(value, x);
  double linearScale, cubicScale, outer = product.scale;
  Sum sum;
  bool xOutside = product.factors.size() == 2 && product.take(x);
  if (product.factors.size() != 1)
    return false;
  sum = matchSum(product.factors[0], x);
  if (xOutside) { // x · (1 + 0.044715 x²)
    if (sum.terms.size() != 1 || sum.terms[0].negated)
      return false;
    linearScale = outer * sum.constant;
    Product square = matchProduct(sum.terms[0].value, x);
    cubicScale = outer * square.scale;
    if (!square.take(x) || !square.take(x) || !square.factors.empty())
      return false;
  } else {
    if (sum.terms.size() != 2 || sum.constant != 0)
      return false;
    linearScale = cubicScale = 0;
    for (Sum::Term term : sum.terms) {
      Product part = matchProduct(term.value, x);
      double scale = term.negated ? -part.scale : part.scale;
      if (!part.take(x))
        return false;
      if (part.factors.empty())
        linearScale = outer * scale;
      else if (part.take(x) && part.take(x) && part.factors.empty())
        cubicScale = outer * scale;
      else
        return false;
    }
  }
  return isNear(linearScale, root) && isNear(cubicScale / linearScale, cubic);
}

namespace {

/// True where the product goes on: its only user multiplies by a constant.
static bool isScaledLater(arith::MulFOp op) {
  if (!op->hasOneUse())
    return false;
  Operation *user = *op->getUsers().begin();
  return isa<arith::MulFOp>(user) &&
         (getSplat(user->getOperand(0)) || getSplat(user->getOperand(1)));
}

/// ½ x (1 + tanh(…)) and ½ x (1 + erf(x / √2)). Where an optimiser took the ½
/// elsewhere, twice the GELU is left.
struct RecognizeGelu : OpRewritePattern<arith::MulFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::MulFOp op,
                                PatternRewriter &rewriter) const override {
    Product product = matchProduct(op.getResult());
    bool isWhole = product.scale == 0.5;
    if ((!isWhole && (product.scale != 1 || isScaledLater(op))) ||
        product.factors.size() != 2)
      return rewriter.notifyMatchFailure(op, "is not ½ · x · f");
    for (unsigned side : {0u, 1u}) {
      Value x = product.factors[side];
      auto kind = matchGate(product.factors[1 - side], x);
      if (!kind)
        continue;
      Location loc = op.getLoc();
      RankedTensorType type = getTensorType(op.getResult());
      Value gelu =
          createCast(rewriter, loc, GeluOp::create(rewriter, loc, x, *kind),
                     type.getElementType());
      if (!isWhole)
        gelu = arith::MulFOp::create(rewriter, loc, gelu,
                                     createSplat(rewriter, loc, type, 2));
      rewriter.replaceOp(op, gelu);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "f is not 1 + tanh or 1 + erf");
  }

  /// The GELU whose factor 1 + tanh(…x…) or 1 + erf(x / √2) `value` is.
  static std::optional<Approximate> matchGate(Value value, Value x) {
    Value inner = matchOnePlus(value);
    Operation *function = inner ? inner.getDefiningOp() : nullptr;
    if (isa_and_nonnull<math::TanhOp>(function) &&
        isTanhArgument(function->getOperand(0), x))
      return Approximate::Tanh;
    if (isa_and_nonnull<math::ErfOp>(function)) {
      Product argument = matchProduct(function->getOperand(0), x);
      if (isNear(argument.scale, 0.7071067811865476) && argument.take(x) &&
          argument.factors.empty())
        return Approximate::None;
    }
    return std::nullopt;
  }
};

/// 1 / (1 + exp(−x)), and x / (1 + exp(−x)).
struct RecognizeSigmoid : OpRewritePattern<arith::DivFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::DivFOp op,
                                PatternRewriter &rewriter) const override {
    Value term = matchOnePlus(op.getRhs());
    auto exp = term ? term.getDefiningOp<math::ExpOp>() : math::ExpOp();
    if (!exp)
      return rewriter.notifyMatchFailure(op, "does not divide by 1 + exp");
    Product argument = matchProduct(exp.getOperand());
    if (argument.scale != -1 || argument.factors.size() != 1)
      return rewriter.notifyMatchFailure(op, "the exponent is not −x");
    Value x = argument.factors[0];
    Type element = getTensorType(op.getResult()).getElementType();
    Value sigmoid =
        createCast(rewriter, op.getLoc(),
                   SigmoidOp::create(rewriter, op.getLoc(), x), element);
    if (getSplat(op.getLhs()) == 1.)
      rewriter.replaceOp(op, sigmoid);
    else
      rewriter.replaceOpWithNewOp<arith::MulFOp>(op, op.getLhs(), sigmoid);
    return success();
  }
};

struct RecognizeActivations
    : dit::impl::RecognizeActivationsBase<RecognizeActivations> {
  using RecognizeActivationsBase::RecognizeActivationsBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RecognizeGelu, RecognizeSigmoid>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    if (report)
      getOperation().walk([](Operation *op) {
        if (isa<math::TanhOp, math::ErfOp>(op))
          op->emitRemark("no GELU: the product around it, or its argument, is "
                         "not GELU's");
      });
  }
};

} // namespace
