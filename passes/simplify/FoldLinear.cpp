//===- FoldLinear.cpp - Every Linear in one form --------------------------===//
//
// See FoldLinear in Passes.td.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/Passes.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/simplify/IndexView.h"
#include "passes/simplify/Match.h"

#include <map>

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_FOLDLINEAR
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

/// True for a product with a matrix that all rows share.
static bool isLinear(MatmulOp op) {
  return getTensorType(op.getRhs()).getRank() == 2 && !op.getTransposeLhs() &&
         !op.getResidual() && op.getActivation() == Activation::Identity;
}

namespace {

/// x · w → x · (transpose w)ᵀ; the transpose goes into the parameter.
struct TransposeSharedRhs : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    if (!isLinear(op) || op.getTransposeRhs())
      return rewriter.notifyMatchFailure(op, "is transposed already");
    Value weight = TransposeOp::create(rewriter, op.getLoc(), op.getRhs(),
                                       ArrayRef<int64_t>{1, 0});
    rewriter.replaceOpWithNewOp<MatmulOp>(op, op.getType(), op.getLhs(), weight,
                                          op.getBias());
    return success();
  }
};

/// The product of a sum's operand, behind at most one reshape that keeps the
/// last dimension.
static MatmulOp findProduct(Value value) {
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op) &&
      op->hasOneUse() && getTensorType(op->getOperand(0)).getRank() &&
      getTensorType(op->getOperand(0)).getShape().back() ==
          getTensorType(value).getShape().back())
    value = op->getOperand(0);
  auto product = value.getDefiningOp<MatmulOp>();
  return product && product->hasOneUse() ? product : MatmulOp();
}

/// matmul + broadcast bias, on either side → matmul with a bias.
struct FoldBias : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::AddFOp op,
                                PatternRewriter &rewriter) const override {
    for (unsigned side : {0u, 1u}) {
      MatmulOp product = findProduct(op->getOperand(side));
      auto bias = op->getOperand(1 - side).getDefiningOp<BroadcastOp>();
      if (!product || !bias || !isLinear(product) || product.getBias())
        continue;
      int64_t rank = getTensorType(op.getResult()).getRank();
      if (bias.getDims() != ArrayRef(rank - 1))
        continue;
      // The bias may be computed after the product.
      rewriter.setInsertionPoint(op);
      Value result = MatmulOp::create(
          rewriter, product.getLoc(), product.getType(), product.getLhs(),
          product.getRhs(), bias.getInput(), product.getTransposeRhs());
      rewriter.replaceOp(
          op, createReshape(rewriter, op.getLoc(), result,
                            getTensorType(op.getResult()).getShape()));
      return success();
    }
    return rewriter.notifyMatchFailure(op, "is not a product plus a bias");
  }
};

/// Slices of a product's columns that together are all of them, each plus a
/// bias of its own, are slices of a product with the biases joined: onnxsim
/// joins the weights of Q, K and V and leaves their biases.
struct JoinSlicedBiases : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    if (!isLinear(op) || op.getBias())
      return rewriter.notifyMatchFailure(op, "is no product without bias");
    RankedTensorType type = getTensorType(op.getResult());
    int64_t last = type.getRank() - 1;
    std::map<int64_t, std::pair<arith::AddFOp, Value>> parts; // by offset
    for (Operation *user : op->getUsers()) {
      auto slice = dyn_cast<tensor::ExtractSliceOp>(user);
      if (!slice || !slice->hasOneUse() ||
          slice.getType().getShape().drop_back() !=
              type.getShape().drop_back() ||
          slice.getStaticStrides()[last] != 1)
        return rewriter.notifyMatchFailure(op, "a user is no slice of columns");
      auto add = dyn_cast<arith::AddFOp>(*slice->getUsers().begin());
      Value other = !add                                ? Value()
                    : add.getLhs() == slice.getResult() ? add.getRhs()
                                                        : add.getLhs();
      auto bias = other ? other.getDefiningOp<BroadcastOp>() : BroadcastOp();
      if (!bias || bias.getDims() != ArrayRef(last) ||
          !bias.getInput().getDefiningOp<ReadOp>())
        return rewriter.notifyMatchFailure(op, "a slice has no bias");
      parts[slice.getStaticOffsets()[last]] = {add, bias.getInput()};
    }
    int64_t columns = 0;
    SmallVector<Value> biases;
    for (auto &[offset, part] : parts) {
      if (offset != columns)
        return rewriter.notifyMatchFailure(op, "columns are used otherwise");
      columns += getTensorType(part.second).getNumElements();
      biases.push_back(part.second);
    }
    if (parts.size() < 2 || columns != type.getShape().back())
      return rewriter.notifyMatchFailure(op, "columns are left out");

    // Reads can stand anywhere: the joined bias before the product.
    rewriter.setInsertionPoint(op);
    for (Value &bias : biases)
      bias = rewriter.clone(*bias.getDefiningOp())->getResult(0);
    Value joined =
        tensor::ConcatOp::create(rewriter, op.getLoc(), /*dim=*/0, biases);
    Value result = MatmulOp::create(rewriter, op.getLoc(), type, op.getLhs(),
                                    op.getRhs(), joined, op.getTransposeRhs());
    for (auto &[offset, part] : parts) {
      rewriter.setInsertionPoint(part.first);
      rewriter.replaceOp(
          part.first,
          createSlice(rewriter, part.first.getLoc(), result, last, offset,
                      getTensorType(part.second).getNumElements()));
    }
    return success();
  }
};

/// ((x · s) w) · t → (x w) · (s · t): ONNX Runtime moves GELU's ½ behind the
/// next product.
struct MergeScales : OpRewritePattern<arith::MulFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::MulFOp op,
                                PatternRewriter &rewriter) const override {
    for (unsigned side : {0u, 1u}) {
      auto after = getSplat(op->getOperand(1 - side));
      MatmulOp product = findProduct(op->getOperand(side));
      if (!after || !product || product.getBias() || !isLinear(product))
        continue;
      auto scaled = product.getLhs().getDefiningOp<arith::MulFOp>();
      auto before = scaled ? getSplat(scaled.getRhs()) : std::nullopt;
      if (!before)
        continue;
      Location loc = op.getLoc();
      RankedTensorType type = getTensorType(op.getResult());
      Value result = MatmulOp::create(rewriter, loc, product.getType(),
                                      scaled.getLhs(), product.getRhs(),
                                      Value(), product.getTransposeRhs());
      result = createReshape(rewriter, loc, result, type.getShape());
      if (*before * *after != 1)
        result = arith::MulFOp::create(
            rewriter, loc, result,
            createSplat(rewriter, loc, type, *before * *after));
      rewriter.replaceOp(op, result);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no scale on both sides");
  }
};

/// The collapse_shape that flattened the rows of `value`, behind elementwise
/// ops of one operand that is no constant.
static tensor::CollapseShapeOp findFlattening(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
      return collapse;
    if (!op->hasTrait<OpTrait::Elementwise>())
      return {};
    auto *operand = llvm::find_if(op->getOpOperands(), [](OpOperand &operand) {
      return !getSplat(operand.get());
    });
    if (operand == op->getOpOperands().end())
      return {};
    value = operand->get();
  }
  return {};
}

/// Rows as [B, T, K]: what was flattened to [B·T, K] for the product is not,
/// and more than one dimension of tokens becomes one.
struct MakeRowsThreeDimensional : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    if (!isLinear(op))
      return rewriter.notifyMatchFailure(op, "is no linear layer");
    RankedTensorType lhs = getTensorType(op.getLhs());
    SmallVector<int64_t> rows;
    if (lhs.getRank() > 3) {
      int64_t tokens = 1;
      for (int64_t size : lhs.getShape().drop_front().drop_back())
        tokens *= size;
      rows = {lhs.getDimSize(0), tokens};
    } else if (auto collapse = findFlattening(op.getLhs());
               collapse && lhs.getRank() == 2) {
      ReassociationIndices group = collapse.getReassociationIndices()[0];
      int64_t first = collapse.getSrcType().getDimSize(group[0]);
      if (group.size() < 2 || first == lhs.getDimSize(0))
        return rewriter.notifyMatchFailure(op, "has one dimension of rows");
      rows = {first, lhs.getDimSize(0) / first};
    } else {
      return rewriter.notifyMatchFailure(op, "has two dimensions of rows");
    }
    SmallVector<int64_t> in = rows, out = rows;
    in.push_back(lhs.getShape().back());
    out.push_back(op.getType().getShape().back());
    Value result =
        MatmulOp::create(rewriter, op.getLoc(), op.getType().clone(out),
                         createReshape(rewriter, op.getLoc(), op.getLhs(), in),
                         op.getRhs(), op.getBias(), op.getTransposeRhs());
    rewriter.replaceOp(op, createReshape(rewriter, op.getLoc(), result,
                                         op.getType().getShape()));
    return success();
  }
};

struct FoldLinear : dit::impl::FoldLinearBase<FoldLinear> {
  using FoldLinearBase::FoldLinearBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<TransposeSharedRhs, FoldBias, JoinSlicedBiases, MergeScales,
                 MakeRowsThreeDimensional>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    if (report)
      getOperation().walk([](MatmulOp op) {
        if (!isLinear(op))
          return;
        Value weight = skipCasts(op.getRhs());
        if (auto transpose = weight.getDefiningOp<TransposeOp>())
          weight = skipCasts(transpose.getInput());
        Operation *source = weight.getDefiningOp();
        if (!source || !(isa<ReadOp>(source) || isIndexViewOp(source)))
          op.emitRemark("no linear layer: its matrix is computed, not read");
      });
  }
};

} // namespace
