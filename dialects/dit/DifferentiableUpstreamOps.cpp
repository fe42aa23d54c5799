//===- DifferentiableUpstreamOps.cpp - Gradients of arith, math, tensor ---===//
//
// Upstream's ops cannot declare our interface, so models are attached to them
// where a context loads their dialect. In every rule g is the cotangent of the
// op's result y.
//
//===----------------------------------------------------------------------===//
#include "dialects/dit/Builders.h"
#include "dialects/dit/DifferentiableOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

#include <numbers>
#include <optional>

using namespace mlir;
using namespace dit;

namespace {
/// Writes elementwise terms at one location.
struct Terms {
  OpBuilder &builder;
  Location loc;

  Value add(Value a, Value b) { return make<arith::AddFOp>(a, b); }
  Value sub(Value a, Value b) { return make<arith::SubFOp>(a, b); }
  Value mul(Value a, Value b) { return make<arith::MulFOp>(a, b); }
  Value div(Value a, Value b) { return make<arith::DivFOp>(a, b); }
  Value neg(Value a) { return make<arith::NegFOp>(a); }
  Value splat(Value like, double value) {
    return createSplat(builder, loc, getTensorType(like), value);
  }
  Value scale(Value a, double factor) { return mul(a, splat(a, factor)); }
  Value compare(arith::CmpFPredicate predicate, Value a, Value b) {
    return arith::CmpFOp::create(builder, loc, predicate, a, b);
  }
  Value select(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(builder, loc, condition, yes, no);
  }
  template <typename OpT, typename... Operands>
  Value make(Operands... operands) {
    return OpT::create(builder, loc, operands...);
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// arith
//===----------------------------------------------------------------------===//

static LogicalResult vjp(arith::AddFOp op, Terms, Cotangents &cotangents) {
  Value g = cotangents.get(op);
  cotangents.add(op.getLhs(), g);
  cotangents.add(op.getRhs(), g);
  return success();
}

static LogicalResult vjp(arith::SubFOp op, Terms terms,
                         Cotangents &cotangents) {
  Value g = cotangents.get(op);
  cotangents.add(op.getLhs(), g);
  if (cotangents.needs(op.getRhs()))
    cotangents.add(op.getRhs(), terms.neg(g));
  return success();
}

static LogicalResult vjp(arith::MulFOp op, Terms terms,
                         Cotangents &cotangents) {
  Value g = cotangents.get(op);
  if (cotangents.needs(op.getLhs()))
    cotangents.add(op.getLhs(), terms.mul(g, op.getRhs()));
  if (cotangents.needs(op.getRhs()))
    cotangents.add(op.getRhs(), terms.mul(g, op.getLhs()));
  return success();
}

/// g / b for a, −y · (g / b) for b.
static LogicalResult vjp(arith::DivFOp op, Terms terms,
                         Cotangents &cotangents) {
  Value quotient = terms.div(cotangents.get(op), op.getRhs());
  cotangents.add(op.getLhs(), quotient);
  if (cotangents.needs(op.getRhs()))
    cotangents.add(op.getRhs(), terms.neg(terms.mul(quotient, op)));
  return success();
}

static LogicalResult vjp(arith::NegFOp op, Terms terms,
                         Cotangents &cotangents) {
  cotangents.add(op.getOperand(), terms.neg(cotangents.get(op)));
  return success();
}

/// g for the operand that was taken; half of it for each of two that are equal,
/// which keeps log(1 + exp(−|x|)) + max(x, 0) smooth at zero.
static LogicalResult chooseVjp(Operation *op, arith::CmpFPredicate takesLhs,
                               Terms terms, Cotangents &cotangents) {
  Value g = cotangents.get(op->getResult(0));
  Value lhs = op->getOperand(0), rhs = op->getOperand(1);
  Value zero = terms.splat(g, 0);
  Value isTie = terms.compare(arith::CmpFPredicate::OEQ, lhs, rhs);
  Value isLhs = terms.compare(takesLhs, lhs, rhs);
  Value half = terms.scale(g, 0.5);
  if (cotangents.needs(lhs))
    cotangents.add(lhs,
                   terms.select(isTie, half, terms.select(isLhs, g, zero)));
  if (cotangents.needs(rhs))
    cotangents.add(rhs,
                   terms.select(isTie, half, terms.select(isLhs, zero, g)));
  return success();
}

static LogicalResult vjp(arith::MaximumFOp op, Terms terms,
                         Cotangents &cotangents) {
  return chooseVjp(op, arith::CmpFPredicate::OGT, terms, cotangents);
}

static LogicalResult vjp(arith::MinimumFOp op, Terms terms,
                         Cotangents &cotangents) {
  return chooseVjp(op, arith::CmpFPredicate::OLT, terms, cotangents);
}

static LogicalResult vjp(arith::SelectOp op, Terms terms,
                         Cotangents &cotangents) {
  Value g = cotangents.get(op), zero = terms.splat(g, 0);
  if (cotangents.needs(op.getTrueValue()))
    cotangents.add(op.getTrueValue(), terms.select(op.getCondition(), g, zero));
  if (cotangents.needs(op.getFalseValue()))
    cotangents.add(op.getFalseValue(),
                   terms.select(op.getCondition(), zero, g));
  return success();
}

/// The cotangent is cast back, when it is read.
static LogicalResult vjp(arith::ExtFOp op, Terms, Cotangents &cotangents) {
  cotangents.add(op.getIn(), cotangents.get(op));
  return success();
}

static LogicalResult vjp(arith::TruncFOp op, Terms, Cotangents &cotangents) {
  cotangents.add(op.getIn(), cotangents.get(op));
  return success();
}

//===----------------------------------------------------------------------===//
// math
//===----------------------------------------------------------------------===//

static LogicalResult vjp(math::ExpOp op, Terms terms, Cotangents &cotangents) {
  cotangents.add(op.getOperand(), terms.mul(cotangents.get(op), op));
  return success();
}

static LogicalResult vjp(math::LogOp op, Terms terms, Cotangents &cotangents) {
  cotangents.add(op.getOperand(),
                 terms.div(cotangents.get(op), op.getOperand()));
  return success();
}

/// g / 2y.
static LogicalResult vjp(math::SqrtOp op, Terms terms, Cotangents &cotangents) {
  Value half = terms.scale(cotangents.get(op), 0.5);
  cotangents.add(op.getOperand(), terms.div(half, op));
  return success();
}

/// −g · y³ / 2.
static LogicalResult vjp(math::RsqrtOp op, Terms terms,
                         Cotangents &cotangents) {
  Value cube = terms.mul(terms.mul(op, op), op);
  cotangents.add(op.getOperand(),
                 terms.mul(terms.scale(cotangents.get(op), -0.5), cube));
  return success();
}

static LogicalResult vjp(math::SinOp op, Terms terms, Cotangents &cotangents) {
  Value slope = terms.make<math::CosOp>(op.getOperand());
  cotangents.add(op.getOperand(), terms.mul(cotangents.get(op), slope));
  return success();
}

static LogicalResult vjp(math::CosOp op, Terms terms, Cotangents &cotangents) {
  Value slope = terms.neg(terms.make<math::SinOp>(op.getOperand()));
  cotangents.add(op.getOperand(), terms.mul(cotangents.get(op), slope));
  return success();
}

/// g · (1 − y²).
static LogicalResult vjp(math::TanhOp op, Terms terms, Cotangents &cotangents) {
  Value slope = terms.sub(terms.splat(op, 1), terms.mul(op, op));
  cotangents.add(op.getOperand(), terms.mul(cotangents.get(op), slope));
  return success();
}

/// g · 2/√π · exp(−x²).
static LogicalResult vjp(math::ErfOp op, Terms terms, Cotangents &cotangents) {
  Value x = op.getOperand();
  Value bell = terms.make<math::ExpOp>(terms.neg(terms.mul(x, x)));
  Value g = terms.scale(cotangents.get(op), 2 * std::numbers::inv_sqrtpi);
  cotangents.add(x, terms.mul(g, bell));
  return success();
}

/// The one value of a constant; nothing for others.
static std::optional<double> getSplatValue(Value value) {
  SplatElementsAttr splat;
  if (!matchPattern(value, m_Constant(&splat)) ||
      !isa<FloatType>(splat.getElementType()))
    return std::nullopt;
  return splat.getSplatValue<APFloat>().convertToDouble();
}

/// g · p · xᵖ⁻¹ with a fixed exponent p. Squares need no power.
static LogicalResult vjp(math::PowFOp op, Terms terms, Cotangents &cotangents) {
  if (cotangents.needs(op.getRhs()))
    return op.emitOpError("is not differentiable by its exponent");
  Value g = cotangents.get(op), x = op.getLhs(), p = op.getRhs();
  std::optional<double> exponent = getSplatValue(p);
  if (exponent == 2) {
    cotangents.add(x, terms.mul(terms.scale(g, 2), x));
    return success();
  }
  Value less = exponent ? terms.splat(p, *exponent - 1)
                        : terms.sub(p, terms.splat(p, 1));
  Value power = terms.make<math::PowFOp>(x, less);
  cotangents.add(x, terms.mul(terms.mul(g, p), power));
  return success();
}

/// g with the sign of x, zero at zero.
static LogicalResult vjp(math::AbsFOp op, Terms terms, Cotangents &cotangents) {
  Value g = cotangents.get(op), x = op.getOperand();
  Value zero = terms.splat(x, 0);
  Value isPositive = terms.compare(arith::CmpFPredicate::OGT, x, zero);
  Value isNegative = terms.compare(arith::CmpFPredicate::OLT, x, zero);
  cotangents.add(x, terms.select(isPositive, g,
                                 terms.select(isNegative, terms.neg(g), zero)));
  return success();
}

//===----------------------------------------------------------------------===//
// tensor
//===----------------------------------------------------------------------===//

static LogicalResult reshapeVjp(Operation *op, Terms terms,
                                Cotangents &cotangents) {
  Value input = op->getOperand(0);
  cotangents.add(input, createReshape(terms.builder, terms.loc,
                                      cotangents.get(op->getResult(0)),
                                      getTensorType(input).getShape()));
  return success();
}

static LogicalResult vjp(tensor::ExpandShapeOp op, Terms terms,
                         Cotangents &cotangents) {
  return reshapeVjp(op, terms, cotangents);
}

static LogicalResult vjp(tensor::CollapseShapeOp op, Terms terms,
                         Cotangents &cotangents) {
  return reshapeVjp(op, terms, cotangents);
}

/// `value` with `before` and `after` zeros around dimension `dim`.
static Value pad(Terms terms, Value value, int64_t dim, int64_t before,
                 int64_t after) {
  RankedTensorType type = getTensorType(value);
  SmallVector<Value> parts;
  auto addZeros = [&](int64_t size) {
    SmallVector<int64_t> shape(type.getShape());
    shape[dim] = size;
    if (size)
      parts.push_back(
          createSplat(terms.builder, terms.loc, type.clone(shape), 0));
  };
  addZeros(before);
  parts.push_back(value);
  addZeros(after);
  if (parts.size() == 1)
    return value;
  return tensor::ConcatOp::create(terms.builder, terms.loc, dim, parts);
}

/// `value` with stride − 1 zeros after each index of dimension `dim`, so that
/// the last of `size` indices is the last that a slice of this stride took.
static Value spreadOut(Terms terms, Value value, int64_t dim, int64_t stride) {
  SmallVector<int64_t> shape(getTensorType(value).getShape());
  int64_t size = shape[dim];
  if (stride == 1 || size == 0)
    return value;
  SmallVector<int64_t> split = shape, merged = shape;
  split.insert(split.begin() + dim + 1, 1);
  merged[dim] = size * stride;
  value = createReshape(terms.builder, terms.loc, value, split);
  value = pad(terms, value, dim + 1, 0, stride - 1);
  value = createReshape(terms.builder, terms.loc, value, merged);
  return createSlice(terms.builder, terms.loc, value, dim, 0,
                     (size - 1) * stride + 1);
}

/// Zero outside the slice. All sliced dimensions but the first are padded
/// here; the first joins the other slices of the same tensor.
static LogicalResult vjp(tensor::ExtractSliceOp op, Terms terms,
                         Cotangents &cotangents) {
  if (llvm::any_of(op.getStaticOffsets(), ShapedType::isDynamic) ||
      llvm::any_of(op.getStaticSizes(), ShapedType::isDynamic) ||
      llvm::any_of(op.getStaticStrides(), ShapedType::isDynamic))
    return op.emitOpError("is not differentiable: its place is dynamic");
  ArrayRef<int64_t> whole = op.getSourceType().getShape();
  // Dimensions of size 1 that the slice drops come back first.
  Value g = createReshape(terms.builder, terms.loc, cotangents.get(op),
                          op.getStaticSizes());
  int64_t first = -1;
  for (int64_t dim = static_cast<int64_t>(whole.size()); dim-- > 0;) {
    if (op.getStaticSizes()[dim] == whole[dim])
      continue;
    g = spreadOut(terms, g, dim, op.getStaticStrides()[dim]);
    if (first >= 0) {
      int64_t before = op.getStaticOffsets()[first];
      g = pad(terms, g, first, before,
              whole[first] - before - getTensorType(g).getDimSize(first));
    }
    first = dim;
  }
  if (first < 0)
    cotangents.add(op.getSource(), g);
  else
    cotangents.addSlice(op.getSource(), g, first, op.getStaticOffsets()[first]);
  return success();
}

static LogicalResult vjp(tensor::ConcatOp op, Terms terms,
                         Cotangents &cotangents) {
  int64_t dim = op.getDim(), offset = 0;
  for (Value input : op.getInputs()) {
    int64_t size = getTensorType(input).getDimSize(dim);
    if (cotangents.needs(input))
      cotangents.add(input, createSlice(terms.builder, terms.loc,
                                        cotangents.get(op), dim, offset, size));
    offset += size;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

namespace {
/// Calls the rule that is written for OpT.
template <typename OpT>
struct Model : DifferentiableOpInterface::ExternalModel<Model<OpT>, OpT> {
  LogicalResult buildVjp(Operation *op, OpBuilder &builder,
                         Cotangents &cotangents) const {
    return vjp(cast<OpT>(op), Terms{builder, op->getLoc()}, cotangents);
  }
};
} // namespace

template <typename... Ops>
static void attach(MLIRContext *context) {
  (Ops::template attachInterface<Model<Ops>>(*context), ...);
}

void dit::registerDifferentiableModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, arith::ArithDialect *) {
    attach<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp,
           arith::NegFOp, arith::MaximumFOp, arith::MinimumFOp, arith::SelectOp,
           arith::ExtFOp, arith::TruncFOp>(context);
  });
  registry.addExtension(+[](MLIRContext *context, math::MathDialect *) {
    attach<math::ExpOp, math::LogOp, math::SqrtOp, math::RsqrtOp, math::SinOp,
           math::CosOp, math::TanhOp, math::ErfOp, math::PowFOp, math::AbsFOp>(
        context);
  });
  registry.addExtension(+[](MLIRContext *context, tensor::TensorDialect *) {
    attach<tensor::ExpandShapeOp, tensor::CollapseShapeOp,
           tensor::ExtractSliceOp, tensor::ConcatOp>(context);
  });
}
