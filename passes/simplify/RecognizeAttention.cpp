//===- RecognizeAttention.cpp - Softmax and attention, spelled out --------===//
//
// See RecognizeAttention in Passes.td. Anchored at the product with V:
//
//   1. From its left operand back to a softmax, through casts, reshapes of the
//      batch dimensions and the guard against rows of NaN.
//   2. From the softmax back to Q·Kᵀ, collecting scale factors and masks.
//   3. Scale factors on Q and K themselves, under their views, join the scale.
//   4. Q, K and V become [B, T, H, d] by a reshape and a transpose, which
//      NormalizeViews composes with the exporter's own.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/Passes.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/simplify/IndexView.h"
#include "passes/simplify/Match.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_RECOGNIZEATTENTION
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

/// A reshape of the dimensions before the last two.
static bool reshapesBatch(Operation *op) {
  return isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op) &&
         getTensorType(op->getOperand(0)).getRank() >= 3 &&
         getTensorType(op->getResult(0)).getRank() >= 3 &&
         getTensorType(op->getOperand(0)).getShape().take_back(2) ==
             getTensorType(op->getResult(0)).getShape().take_back(2);
}

/// The p of select(p is NaN, 0, p), else null.
static Value matchNanGuard(Operation *op) {
  auto select = dyn_cast<arith::SelectOp>(op);
  if (!select || getSplat(select.getTrueValue()) != 0.)
    return {};
  auto compare = select.getCondition().getDefiningOp<arith::CmpFOp>();
  if (!compare || compare.getPredicate() != arith::CmpFPredicate::UNO)
    return {};
  return skipCasts(compare.getLhs()) == skipCasts(select.getFalseValue())
             ? select.getFalseValue()
             : Value();
}

/// The x and s of x · s or x / (1/s), with s a constant other than 0.
static std::optional<std::pair<Value, double>> matchScaled(Operation *op) {
  if (!isa<arith::MulFOp, arith::DivFOp>(op))
    return std::nullopt;
  bool isProduct = isa<arith::MulFOp>(op);
  unsigned constant = isProduct && getSplat(op->getOperand(0)) ? 0 : 1;
  auto number = getSplat(op->getOperand(constant));
  if (!number || *number == 0)
    return std::nullopt;
  return std::pair(op->getOperand(1 - constant),
                   isProduct ? *number : 1 / *number);
}

/// Step 1.
static SoftmaxOp findSoftmax(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto softmax = dyn_cast<SoftmaxOp>(op))
      return softmax;
    if (Value guarded = matchNanGuard(op))
      value = guarded;
    else if (isa<arith::ExtFOp, arith::TruncFOp>(op) || reshapesBatch(op))
      value = op->getOperand(0);
    else
      break;
  }
  return {};
}

namespace {
/// A mask as it is added at some point, to be multiplied by the scale factors
/// that come after it. A condition adds 0 where it is `kept`, else `elsewhere`.
struct Mask {
  Value value;
  double scale;
  bool isCondition = false, kept = true;
  double elsewhere = 0;
};
/// scale · q kᵀ + Σ masks
struct Scores {
  MatmulOp product;
  double scale = 1;
  SmallVector<Mask> masks;
};
} // namespace

/// Step 2; false where `value` is no scores.
static bool collectScores(Value value, double scale, Scores &scores) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return false;
  if (auto product = dyn_cast<MatmulOp>(op)) {
    if (getTensorType(product.getRhs()).getRank() < 3 || product.getBias() ||
        product.getResidual() ||
        product.getActivation() != Activation::Identity)
      return false;
    scores.product = product;
    scores.scale = scale;
    return true;
  }
  if (isa<arith::ExtFOp, arith::TruncFOp>(op) || reshapesBatch(op))
    return collectScores(op->getOperand(0), scale, scores);
  if (auto scaled = matchScaled(op))
    return collectScores(scaled->first, scale * scaled->second, scores);
  if (auto select = dyn_cast<arith::SelectOp>(op))
    for (bool kept : {true, false}) {
      // A number so low that exp gives 0 beside any score.
      auto low =
          getSplat(kept ? select.getFalseValue() : select.getTrueValue());
      Value other = kept ? select.getTrueValue() : select.getFalseValue();
      if (low && *low <= -1e4 && collectScores(other, scale, scores)) {
        scores.masks.push_back(
            {select.getCondition(), scale, true, kept, *low});
        return true;
      }
    }
  if (isa<arith::AddFOp>(op))
    for (unsigned side : {0u, 1u})
      if (collectScores(op->getOperand(side), scale, scores)) {
        scores.masks.push_back({op->getOperand(1 - side), scale});
        return true;
      }
  return false;
}

/// Step 3: `value` without constant factors under its views and casts.
static Value stripScale(OpBuilder &builder, Value value, double &scale) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return value;
  if (auto scaled = matchScaled(op)) {
    scale *= scaled->second;
    return stripScale(builder, scaled->first, scale);
  }
  if (!isIndexViewOp(op))
    return value;
  Value inner = stripScale(builder, op->getOperand(0), scale);
  if (inner == op->getOperand(0))
    return value;
  IRMapping mapping;
  mapping.map(op->getOperand(0), inner);
  return builder.clone(*op, mapping)->getResult(0);
}

/// `value` as a view, without constant factors on the way to its base.
static IndexView traceScaledView(Value value) {
  SmallVector<Operation *> chain;
  while (Operation *op = value.getDefiningOp()) {
    if (isIndexViewOp(op)) {
      chain.push_back(op);
      value = op->getOperand(0);
    } else if (auto scaled = matchScaled(op)) {
      value = scaled->first;
    } else {
      break;
    }
  }
  IndexView view = IndexView::identity(value);
  for (Operation *op : llvm::reverse(chain))
    if (!view.apply(op))
      view = IndexView::identity(op->getResult(0));
  return view;
}

/// Batch and heads of the problems that `query` [batch…, T, d] walks.
static std::pair<int64_t, int64_t> splitBatch(Value query) {
  ArrayRef<int64_t> batch = getTensorType(query).getShape().drop_back(2);
  int64_t problems = 1;
  for (int64_t size : batch)
    problems *= size;
  if (batch.size() > 1)
    return {problems / batch.back(), batch.back()};
  // [B·H, T, d]: its view tells which part of the dimension lies inside a
  // token.
  IndexView view = traceScaledView(query);
  const IndexView::Dimension &dim = view.dims[0], &tokens = view.dims[1];
  if (dim.size() == 2)
    return {dim[0].size, dim[1].size};
  if (dim.size() == 1 && !tokens.empty() &&
      dim[0].stride < tokens.front().stride)
    return {1, problems};
  return {problems, 1};
}

namespace {
/// A mask as [B or 1, H or 1, Tq or 1, Tk or 1] of its base.
struct PlannedMask {
  Mask mask;
  Value base;
  SmallVector<ViewStep> steps;
};
} // namespace

/// Nothing where the mask cannot be seen with this shape.
static std::optional<PlannedMask> planMask(Mask mask, ArrayRef<int64_t> shape) {
  IndexView view = traceView(mask.value);
  if (!view.reshape(shape))
    return std::nullopt;
  for (IndexView::Dimension &dim : view.dims)
    if (llvm::all_of(dim, [](Factor factor) { return factor.stride == 0; }))
      dim.clear();
  auto steps = planView(view);
  if (!steps)
    return std::nullopt;
  return PlannedMask{mask, view.base, *steps};
}

/// The mask in fp32, scaled.
static Value createMask(OpBuilder &builder, Location loc,
                        const PlannedMask &planned) {
  const Mask &mask = planned.mask;
  Value value = createChain(builder, loc, planned.base, planned.steps);
  RankedTensorType type = getTensorType(value).clone(builder.getF32Type());
  if (mask.isCondition) {
    Value kept = createSplat(builder, loc, type, 0);
    Value low = createSplat(builder, loc, type, mask.elsewhere);
    value = arith::SelectOp::create(builder, loc, value, mask.kept ? kept : low,
                                    mask.kept ? low : kept);
  }
  value = createCast(builder, loc, value, builder.getF32Type());
  if (mask.scale == 1)
    return value;
  return arith::MulFOp::create(builder, loc, value,
                               createSplat(builder, loc, type, mask.scale));
}

/// [batch…, T, d] ([batch…, d, T] where `transposed`) → [B, T, H, d].
static Value createHeadsInside(OpBuilder &builder, Location loc, Value value,
                               bool transposed, int64_t batch, int64_t heads) {
  ArrayRef<int64_t> matrix = getTensorType(value).getShape().take_back(2);
  value =
      createReshape(builder, loc, value, {batch, heads, matrix[0], matrix[1]});
  return TransposeOp::create(builder, loc, value,
                             transposed ? ArrayRef<int64_t>{0, 3, 1, 2}
                                        : ArrayRef<int64_t>{0, 2, 1, 3});
}

namespace {

struct RecognizeProductWithValues : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    if (getTensorType(op.getRhs()).getRank() < 3 || op.getBias() ||
        op.getResidual() || op.getTransposeLhs())
      return rewriter.notifyMatchFailure(op, "is no batched product");
    SoftmaxOp softmax = findSoftmax(op.getLhs());
    if (!softmax)
      return rewriter.notifyMatchFailure(op, "its left is no softmax");
    Scores scores;
    if (!collectScores(softmax.getInput(), 1, scores))
      return rewriter.notifyMatchFailure(op, "the softmax is not of scores");
    MatmulOp product = scores.product;
    if (product.getTransposeLhs())
      return rewriter.notifyMatchFailure(op, "Q is transposed");

    auto [batch, heads] = splitBatch(product.getLhs());
    ArrayRef<int64_t> matrix =
        getTensorType(product.getResult()).getShape().take_back(2);
    SmallVector<PlannedMask> masks;
    for (Mask term : scores.masks) {
      auto mask = planMask(term, {batch, heads, matrix[0], matrix[1]});
      if (!mask)
        return rewriter.notifyMatchFailure(op, "the mask has another shape");
      masks.push_back(*mask);
    }

    Location loc = op.getLoc();
    double scale = scores.scale;
    Value query = stripScale(rewriter, product.getLhs(), scale);
    Value key = stripScale(rewriter, product.getRhs(), scale);
    Value mask;
    for (const PlannedMask &term : masks) {
      Value value = createMask(rewriter, loc, term);
      mask = mask ? addMasks(rewriter, loc, mask, value) : value;
    }
    auto attention = AttentionOp::create(
        rewriter, loc,
        createHeadsInside(rewriter, loc, query, false, batch, heads),
        createHeadsInside(rewriter, loc, key, !product.getTransposeRhs(), batch,
                          heads),
        createHeadsInside(rewriter, loc, op.getRhs(), op.getTransposeRhs(),
                          batch, heads),
        mask, rewriter.getF64FloatAttr(scale));
    RankedTensorType type = getTensorType(op.getResult());
    Value result = TransposeOp::create(rewriter, loc, attention.getResult(),
                                       ArrayRef<int64_t>{0, 2, 1, 3});
    rewriter.replaceOp(op,
                       createReshape(rewriter, loc, result, type.getShape()));
    return success();
  }

  static Value addMasks(OpBuilder &builder, Location loc, Value a, Value b) {
    SmallVector<int64_t> shape;
    for (auto [left, right] :
         llvm::zip(getTensorType(a).getShape(), getTensorType(b).getShape()))
      shape.push_back(std::max(left, right));
    return arith::AddFOp::create(builder, loc,
                                 createNumpyBroadcast(builder, loc, a, shape),
                                 createNumpyBroadcast(builder, loc, b, shape));
  }
};

struct RecognizeAttention
    : dit::impl::RecognizeAttentionBase<RecognizeAttention> {
  using RecognizeAttentionBase::RecognizeAttentionBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RecognizeProductWithValues>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    if (report)
      getOperation().walk(explainSoftmax);
  }

  /// Says why a softmax did not become attention.
  static void explainSoftmax(SoftmaxOp op) {
    Scores scores;
    if (!collectScores(op.getInput(), 1, scores)) {
      op.emitRemark("no attention: its input is not a scaled, masked product "
                    "of two batched tensors");
      return;
    }
    op.emitRemark("no attention: its result does not go to one product with V, "
                  "or a mask is no broadcast of [B, H, Tq, Tk]");
  }
};

} // namespace
