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

/// True where broadcast(x) is, before the transpose `view`, a broadcast of the
/// same x: the dimensions of x keep their order.
static bool isBroadcastBefore(Operation *view, Operation *producer) {
  auto transpose = dyn_cast<TransposeOp>(view);
  auto broadcast = dyn_cast_or_null<BroadcastOp>(producer);
  if (!transpose || !broadcast)
    return false;
  int64_t previous = -1;
  for (int64_t dim : broadcast.getDims()) {
    int64_t before = transpose.getPermutation()[dim];
    if (before < previous)
      return false;
    previous = before;
  }
  return true;
}

/// The permutation that takes `permutation` back.
static SmallVector<int64_t> invert(ArrayRef<int64_t> permutation) {
  SmallVector<int64_t> inverse(permutation.size());
  for (auto [index, dim] : llvm::enumerate(permutation))
    inverse[dim] = static_cast<int64_t>(index);
  return inverse;
}

/// f(view(x), view(y), splat) → view(f(x, y, splat)): arithmetic is done on the
/// smaller tensor, and the view comes nearer to what it may vanish in. With a
/// transpose, operands may also be broadcasts of something smaller: the scale
/// of a norm, a table of rotations.
struct SinkViewThroughElementwise : RewritePattern {
  explicit SinkViewThroughElementwise(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/2, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!op->hasTrait<OpTrait::Elementwise>() || op->getNumResults() != 1 ||
        op->getNumRegions() || !isa<RankedTensorType>(op->getResultTypes()[0]))
      return failure();
    Operation *view = findView(op);
    if (!view)
      return rewriter.notifyMatchFailure(op, "operands are not one view");
    ArrayRef<int64_t> shape = getTensorType(view->getOperand(0)).getShape();
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      if (auto splat = getSplat(operand))
        operands.push_back(createSplat(rewriter, op->getLoc(),
                                       getTensorType(operand).clone(shape),
                                       *splat));
      else if (isSameView(view, operand.getDefiningOp()))
        operands.push_back(operand.getDefiningOp()->getOperand(0));
      else
        operands.push_back(TransposeOp::create(
            rewriter, op->getLoc(), operand,
            invert(cast<TransposeOp>(view).getPermutation())));
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

  /// The view that all operands which are no constants are; a transpose where
  /// some are broadcasts.
  static Operation *findView(Operation *op) {
    Operation *view = nullptr;
    for (Value operand : op->getOperands()) {
      if (getSplat(operand))
        continue;
      Operation *producer = operand.getDefiningOp();
      if (!producer || !isIndexViewOp(producer) ||
          isa<tensor::ExtractSliceOp>(producer))
        return nullptr;
      if (!view || isa<TransposeOp>(producer))
        view = producer;
    }
    bool agree = llvm::all_of(op->getOperands(), [&](Value operand) {
      return getSplat(operand) || isSameView(view, operand.getDefiningOp()) ||
             isBroadcastBefore(view, operand.getDefiningOp());
    });
    return view && agree ? view : nullptr;
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

/// concat(transpose(x), transpose(y)) → transpose(concat(x, y)): the tokens of
/// joint attention keep their order.
struct SinkTransposeThroughConcat : OpRewritePattern<tensor::ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tensor::ConcatOp op,
                                PatternRewriter &rewriter) const override {
    auto first = op.getInputs().front().getDefiningOp<TransposeOp>();
    if (!first)
      return rewriter.notifyMatchFailure(op, "joins no transposes");
    SmallVector<Value> parts;
    for (Value part : op.getInputs()) {
      auto transpose = part.getDefiningOp<TransposeOp>();
      if (!transpose || transpose.getPermutation() != first.getPermutation())
        return rewriter.notifyMatchFailure(op, "operands differ in order");
      parts.push_back(transpose.getInput());
    }
    auto dim = static_cast<int64_t>(op.getDim());
    Value joined = tensor::ConcatOp::create(rewriter, op.getLoc(),
                                            first.getPermutation()[dim], parts);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), joined,
                                             first.getPermutation());
    return success();
  }
};

/// norm(transpose(x)) → transpose(norm(x)) where the lane stays: the norm of q
/// and k then stands before the transpose that attention takes in.
template <typename Norm>
struct SinkTransposeThroughNorm : OpRewritePattern<Norm> {
  using OpRewritePattern<Norm>::OpRewritePattern;
  LogicalResult matchAndRewrite(Norm op,
                                PatternRewriter &rewriter) const override {
    auto transpose = op.getInput().template getDefiningOp<TransposeOp>();
    if (!transpose)
      return rewriter.notifyMatchFailure(op, "norms no transpose");
    ArrayRef<int64_t> permutation = transpose.getPermutation();
    if (permutation.back() != static_cast<int64_t>(permutation.size()) - 1)
      return rewriter.notifyMatchFailure(op, "the lane is transposed");
    for (Value statistic : op->getResults().drop_front())
      if (!statistic.use_empty())
        return rewriter.notifyMatchFailure(op, "the statistics are used");
    auto moved = Norm::create(rewriter, op.getLoc(), transpose.getInput(),
                              op.getEpsAttr());
    Value result = TransposeOp::create(rewriter, op.getLoc(), moved.getResult(),
                                       permutation);
    rewriter.replaceAllUsesWith(op.getResult(), result);
    rewriter.eraseOp(op);
    return success();
  }
};

struct NormalizeViews : dit::impl::NormalizeViewsBase<NormalizeViews> {
  using NormalizeViewsBase::NormalizeViewsBase;
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    patterns
        .add<NormalizeChain, SinkViewThroughElementwise, SliceOfConcat,
             SinkTransposeThroughConcat, SinkTransposeThroughNorm<RmsNormOp>,
             SinkTransposeThroughNorm<LayerNormOp>>(context);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
