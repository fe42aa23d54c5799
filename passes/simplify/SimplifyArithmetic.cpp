//===- SimplifyArithmetic.cpp - Take out what computes nothing ------------===//
//
// See SimplifyArithmetic in Passes.td.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/Passes.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/simplify/Match.h"

#include <cmath>

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_SIMPLIFYARITHMETIC
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {

/// x + 0, x − 0, x · 1, x / 1, 0 / x never: 0 may hide a NaN. Exact but for
/// the sign of a zero.
template <typename Op>
struct DropNeutral : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    constexpr bool isSum =
        std::is_same_v<Op, arith::AddFOp> || std::is_same_v<Op, arith::SubFOp>;
    constexpr bool commutes =
        std::is_same_v<Op, arith::AddFOp> || std::is_same_v<Op, arith::MulFOp>;
    constexpr double neutral = isSum ? 0 : 1;
    if (getSplat(op.getRhs()) == neutral) {
      rewriter.replaceOp(op, op.getLhs());
      return success();
    }
    if (commutes && getSplat(op.getLhs()) == neutral) {
      rewriter.replaceOp(op, op.getRhs());
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no operand is neutral");
  }
};

/// 0 · 0 and the like on splats of any origin are folded upstream; here what
/// math does to a splat.
struct FoldUnaryOfSplat : RewritePattern {
  explicit FoldUnaryOfSplat(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context) {}
  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<math::SqrtOp, math::RsqrtOp, math::ExpOp, math::LogOp>(op))
      return failure();
    auto input = getSplat(op->getOperand(0));
    if (!input)
      return failure();
    double result = isa<math::SqrtOp>(op)    ? std::sqrt(*input)
                    : isa<math::RsqrtOp>(op) ? 1 / std::sqrt(*input)
                    : isa<math::ExpOp>(op)   ? std::exp(*input)
                                             : std::log(*input);
    rewriter.replaceOp(op,
                       createSplat(rewriter, op->getLoc(),
                                   getTensorType(op->getResult(0)), result));
    return success();
  }
};

/// x² and x³ as products, which kernels compute in one or two instructions.
struct ExpandPower : OpRewritePattern<math::PowFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::PowFOp op,
                                PatternRewriter &rewriter) const override {
    auto exponent = getSplat(op.getRhs());
    if (!exponent)
      return rewriter.notifyMatchFailure(op, "the exponent is no constant");
    Value x = op.getLhs();
    if (*exponent == 1) {
      rewriter.replaceOp(op, x);
    } else if (*exponent == 2 || *exponent == 3) {
      Value square = arith::MulFOp::create(rewriter, op.getLoc(), x, x);
      if (*exponent == 3)
        square = arith::MulFOp::create(rewriter, op.getLoc(), square, x);
      rewriter.replaceOp(op, square);
    } else if (*exponent == 0.5) {
      rewriter.replaceOpWithNewOp<math::SqrtOp>(op, x);
    } else {
      return rewriter.notifyMatchFailure(op, "the exponent is not 1, 2, 3, ½");
    }
    return success();
  }
};

/// A read of a constant whose elements are all one number is that number:
/// LayerNormalization's ones, a mask of zeros.
struct ReadUniformGlobal : OpRewritePattern<ReadOp> {
  ReadUniformGlobal(MLIRContext *context, SymbolTable &symbols, bool training)
      : OpRewritePattern(context), symbols(symbols), training(training) {}
  LogicalResult matchAndRewrite(ReadOp op,
                                PatternRewriter &rewriter) const override {
    auto global = symbols.lookup<GlobalOp>(op.getGlobal());
    RankedTensorType type = getTensorType(op.getResult());
    if (!global || global.getPieces().empty() ||
        !isa<FloatType>(type.getElementType()))
      return failure();
    // A parameter may be uniform by chance, and learn: then only its shape
    // and role count. A matrix is a weight whatever it holds.
    bool isVector =
        type.getNumElements() == (type.getRank() ? type.getShape().back() : 1);
    if (global.getRole() != Role::Constant &&
        (training || global.getRole() != Role::Parameter || !isVector))
      return rewriter.notifyMatchFailure(op, "is no constant");
    std::optional<double> number;
    for (auto piece : global.getPieces().getAsRange<PieceAttr>()) {
      auto value = uniformValue(piece.getSource());
      if (!value || (number && *number != *value))
        return rewriter.notifyMatchFailure(op, "elements differ");
      number = value;
    }
    rewriter.replaceOp(op, createSplat(rewriter, op.getLoc(), type, *number));
    return success();
  }

private:
  static std::optional<double> uniformValue(Attribute source) {
    if (auto splat = dyn_cast<SplatElementsAttr>(source)) {
      if (isa<FloatType>(splat.getElementType()))
        return splat.getSplatValue<APFloat>().convertToDouble();
      return std::nullopt;
    }
    auto resource = dyn_cast<DenseResourceElementsAttr>(source);
    auto element =
        resource ? dyn_cast<FloatType>(resource.getElementType()) : FloatType();
    if (!element || !resource.getRawHandle().getBlob())
      return std::nullopt;
    ArrayRef<char> data = resource.getRawHandle().getBlob()->getData();
    size_t width = element.getWidth() / 8;
    if (data.size() < width || data.size() % width)
      return std::nullopt;
    if (std::memcmp(data.data(), data.data() + width, data.size() - width))
      return std::nullopt;
    uint64_t bits = 0;
    std::memcpy(&bits, data.data(), width);
    return APFloat(element.getFloatSemantics(), APInt(element.getWidth(), bits))
        .convertToDouble();
  }

  SymbolTable &symbols;
  bool training;
};

struct SimplifyArithmetic
    : dit::impl::SimplifyArithmeticBase<SimplifyArithmetic> {
  using SimplifyArithmeticBase::SimplifyArithmeticBase;
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    SymbolTable symbols(getOperation());
    RewritePatternSet patterns(context);
    patterns.add<DropNeutral<arith::AddFOp>, DropNeutral<arith::SubFOp>,
                 DropNeutral<arith::MulFOp>, DropNeutral<arith::DivFOp>,
                 FoldUnaryOfSplat, ExpandPower>(context);
    patterns.add<ReadUniformGlobal>(context, symbols, training);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
