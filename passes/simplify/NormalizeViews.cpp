//===- NormalizeViews.cpp - One spelling for every chain of views ---------===//
//
// See NormalizeViews in Passes.td, and IndexView.h for the spelling.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/Passes.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/simplify/IndexView.h"
#include "passes/simplify/Match.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_NORMALIZEVIEWS
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {

/// Rewrites a chain of views, at its last op, to the planned one.
struct NormalizeChain : RewritePattern {
  explicit NormalizeChain(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isIndexViewOp(op))
      return failure();
    Value result = op->getResult(0);
    // Inside a chain: the end is rewritten as a whole.
    bool isEnd = llvm::any_of(op->getUsers(), [&](Operation *user) {
      return !isIndexViewOp(user) ||
             traceView(user->getResult(0)).base == result;
    });
    if (!isEnd)
      return rewriter.notifyMatchFailure(op, "is not the end of a chain");
    IndexView view = traceView(result);
    auto plan = planView(view);
    if (!plan)
      return rewriter.notifyMatchFailure(op, "is no view that ops can write");
    if (readChain(result, view.base) == *plan)
      return failure();
    rewriter.replaceOp(op,
                       createChain(rewriter, op->getLoc(), view.base, *plan));
    return success();
  }
};

/// True where both ops do the same to values of one shape.
static bool isSameView(Operation *a, Operation *b) {
  return a->getName() == b->getName() &&
         a->getAttrDictionary() == b->getAttrDictionary() &&
         a->getPropertiesAsAttribute() == b->getPropertiesAsAttribute() &&
         getTensorType(a->getOperand(0)).getShape() ==
             getTensorType(b->getOperand(0)).getShape() &&
         getTensorType(a->getResult(0)).getShape() ==
             getTensorType(b->getResult(0)).getShape();
}

/// f(view(x), view(y), splat) → view(f(x, y, splat)): arithmetic is done on the
/// smaller tensor, and the view comes nearer to what it may vanish in.
struct SinkViewThroughElementwise : RewritePattern {
  explicit SinkViewThroughElementwise(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/2, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!op->hasTrait<OpTrait::Elementwise>() || op->getNumResults() != 1 ||
        op->getNumRegions() || !isa<RankedTensorType>(op->getResultTypes()[0]))
      return failure();
    Operation *view = nullptr;
    for (Value operand : op->getOperands()) {
      if (getSplat(operand))
        continue;
      Operation *producer = operand.getDefiningOp();
      if (!producer || !isIndexViewOp(producer) ||
          isa<tensor::ExtractSliceOp>(producer) ||
          (view && !isSameView(view, producer)))
        return rewriter.notifyMatchFailure(op, "operands are not one view");
      view = producer;
    }
    if (!view)
      return failure();
    ArrayRef<int64_t> shape = getTensorType(view->getOperand(0)).getShape();
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      if (auto splat = getSplat(operand))
        operands.push_back(createSplat(rewriter, op->getLoc(),
                                       getTensorType(operand).clone(shape),
                                       *splat));
      else
        operands.push_back(operand.getDefiningOp()->getOperand(0));
    }
    auto resultType = cast<RankedTensorType>(op->getResultTypes()[0]);
    OperationState state(op->getLoc(), op->getName(), operands,
                         {resultType.clone(shape)},
                         op->getAttrDictionary().getValue());
    Operation *smaller = rewriter.create(state);
    IRMapping mapping;
    mapping.map(view->getOperand(0), smaller->getResult(0));
    Operation *moved = rewriter.clone(*view, mapping);
    moved->getResult(0).setType(resultType);
    rewriter.replaceOp(op, moved->getResults());
    return success();
  }
};

/// A slice that lies in one operand of a concat is a slice of that operand.
struct SliceOfConcat : OpRewritePattern<tensor::ExtractSliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tensor::ExtractSliceOp op,
                                PatternRewriter &rewriter) const override {
    auto concat = op.getSource().getDefiningOp<tensor::ConcatOp>();
    if (!concat || !isIndexViewOp(op))
      return rewriter.notifyMatchFailure(op, "slices no concat");
    int64_t dim = concat.getDim();
    int64_t start = op.getStaticOffsets()[dim];
    int64_t last =
        start + (op.getStaticSizes()[dim] - 1) * op.getStaticStrides()[dim];
    int64_t begin = 0;
    for (Value part : concat.getInputs()) {
      int64_t end = begin + getTensorType(part).getDimSize(dim);
      if (start >= begin && last < end) {
        SmallVector<int64_t> offsets(op.getStaticOffsets());
        offsets[dim] -= begin;
        rewriter.replaceOpWithNewOp<tensor::ExtractSliceOp>(
            op, op.getType(), part, ValueRange(), ValueRange(), ValueRange(),
            offsets, op.getStaticSizes(), op.getStaticStrides());
        return success();
      }
      begin = end;
    }
    return rewriter.notifyMatchFailure(op, "spans operands of the concat");
  }
};

/// transpose(concat(x, y)) → concat(transpose(x), transpose(y)), so that the
/// tokens of joint attention keep their order.
struct TransposeOfConcat : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    auto concat = op.getInput().getDefiningOp<tensor::ConcatOp>();
    if (!concat || !concat->hasOneUse())
      return rewriter.notifyMatchFailure(op, "transposes no concat of its own");
    SmallVector<Value> parts;
    for (Value part : concat.getInputs())
      parts.push_back(TransposeOp::create(rewriter, op.getLoc(), part,
                                          op.getPermutation()));
    int64_t dim =
        llvm::find(op.getPermutation(), static_cast<int64_t>(concat.getDim())) -
        op.getPermutation().begin();
    rewriter.replaceOpWithNewOp<tensor::ConcatOp>(op, op.getType(), dim, parts);
    return success();
  }
};

/// transpose(rms_norm(x)) → rms_norm(transpose(x)) where the lane stays: the
/// norm of q and k then stands before the view that attention takes.
template <typename Norm>
struct TransposeOfNorm : OpRewritePattern<TransposeOp> {
  using OpRewritePattern<TransposeOp>::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    auto norm = op.getInput().getDefiningOp<Norm>();
    auto rank = static_cast<int64_t>(op.getPermutation().size());
    if (!norm || op.getPermutation().back() != rank - 1 ||
        op.getInput() != norm.getResult() || !norm.getResult().hasOneUse())
      return rewriter.notifyMatchFailure(op, "transposes no norm's rows");
    for (Value statistic : norm->getResults().drop_front())
      if (!statistic.use_empty())
        return rewriter.notifyMatchFailure(op, "the statistics are used");
    Value input = TransposeOp::create(rewriter, op.getLoc(), norm.getInput(),
                                      op.getPermutation());
    auto moved = Norm::create(rewriter, op.getLoc(), input, norm.getEpsAttr());
    rewriter.replaceOp(op, moved.getResult());
    return success();
  }
};

struct NormalizeViews : dit::impl::NormalizeViewsBase<NormalizeViews> {
  using NormalizeViewsBase::NormalizeViewsBase;
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    patterns.add<NormalizeChain, SinkViewThroughElementwise, SliceOfConcat,
                 TransposeOfConcat, TransposeOfNorm<RmsNormOp>,
                 TransposeOfNorm<LayerNormOp>>(context);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
