//===- EvaluateConstants.cpp - Ops of constants, computed -----------------===//

#include "frontends/onnx/EvaluateConstants.h"
#include "dialects/dit/DitDialect.h"
#include "frontends/onnx/NodeBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace dit::onnx {

namespace {

/// A number of either kind; which one, the element type tells.
union Number {
  double real;
  int64_t integer;
};

/// A constant's elements, or the one that all are.
struct Literal {
  RankedTensorType type;
  bool splat = false;
  SmallVector<Number> values;

  Number at(int64_t index) const { return values[splat ? 0 : index]; }
};

} // namespace

static Number makeReal(double real) { return {.real = real}; }
static Number makeInteger(int64_t integer) {
  Number number;
  number.integer = integer;
  return number;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

static Literal read(DenseElementsAttr attribute) {
  Literal literal{
      cast<RankedTensorType>(attribute.getType()), attribute.isSplat(), {}};
  if (isa<FloatType>(literal.type.getElementType())) {
    auto convert = [&](llvm::APFloat value) {
      bool inexact;
      value.convert(llvm::APFloat::IEEEdouble(),
                    llvm::APFloat::rmNearestTiesToEven, &inexact);
      literal.values.push_back(makeReal(value.convertToDouble()));
    };
    if (literal.splat)
      convert(attribute.getSplatValue<llvm::APFloat>());
    else
      llvm::for_each(attribute.getValues<llvm::APFloat>(), convert);
    return literal;
  }
  auto convert = [&](const llvm::APInt &value) {
    literal.values.push_back(makeInteger(value.getBitWidth() == 1
                                             ? value.getZExtValue()
                                             : value.getSExtValue()));
  };
  if (literal.splat)
    convert(attribute.getSplatValue<llvm::APInt>());
  else
    llvm::for_each(attribute.getValues<llvm::APInt>(), convert);
  return literal;
}

static DenseElementsAttr write(const Literal &literal) {
  Type element = literal.type.getElementType();
  if (auto floating = dyn_cast<FloatType>(element)) {
    SmallVector<llvm::APFloat> values;
    for (Number number : literal.values) {
      llvm::APFloat value(number.real);
      bool inexact;
      value.convert(floating.getFloatSemantics(),
                    llvm::APFloat::rmNearestTiesToEven, &inexact);
      values.push_back(value);
    }
    return DenseElementsAttr::get(literal.type, values);
  }
  SmallVector<llvm::APInt> values;
  for (Number number : literal.values)
    values.push_back(llvm::APInt(element.getIntOrFloatBitWidth(),
                                 number.integer, /*isSigned=*/true,
                                 /*implicitTrunc=*/true));
  return DenseElementsAttr::get(literal.type, values);
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

static std::optional<double> evaluateReal(Operation *op, ArrayRef<Number> x) {
  double a = x[0].real, b = x.size() > 1 ? x[1].real : 0;
  auto maximum = [&] {
    return std::isnan(a) || std::isnan(b) ? a + b : std::max(a, b);
  };
  auto minimum = [&] {
    return std::isnan(a) || std::isnan(b) ? a + b : std::min(a, b);
  };
  return llvm::TypeSwitch<Operation *, std::optional<double>>(op)
      .Case<arith::AddFOp>([&](auto) { return a + b; })
      .Case<arith::SubFOp>([&](auto) { return a - b; })
      .Case<arith::MulFOp>([&](auto) { return a * b; })
      .Case<arith::DivFOp>([&](auto) { return a / b; })
      .Case<arith::RemFOp>([&](auto) { return std::fmod(a, b); })
      .Case<arith::MaximumFOp>([&](auto) { return maximum(); })
      .Case<arith::MinimumFOp>([&](auto) { return minimum(); })
      .Case<math::PowFOp>([&](auto) { return std::pow(a, b); })
      .Case<arith::NegFOp>([&](auto) { return -a; })
      .Case<math::AbsFOp>([&](auto) { return std::fabs(a); })
      .Case<math::SqrtOp>([&](auto) { return std::sqrt(a); })
      .Case<math::ExpOp>([&](auto) { return std::exp(a); })
      .Case<math::LogOp>([&](auto) { return std::log(a); })
      .Case<math::SinOp>([&](auto) { return std::sin(a); })
      .Case<math::CosOp>([&](auto) { return std::cos(a); })
      .Case<math::TanhOp>([&](auto) { return std::tanh(a); })
      .Case<math::AtanOp>([&](auto) { return std::atan(a); })
      .Case<math::ErfOp>([&](auto) { return std::erf(a); })
      .Case<math::FloorOp>([&](auto) { return std::floor(a); })
      .Case<math::CeilOp>([&](auto) { return std::ceil(a); })
      .Case<math::RoundEvenOp>([&](auto) { return std::nearbyint(a); })
      .Case<SigmoidOp>([&](auto) { return 1 / (1 + std::exp(-a)); })
      .Default(std::nullopt);
}

static std::optional<int64_t> evaluateInteger(Operation *op,
                                              ArrayRef<Number> x) {
  int64_t a = x[0].integer, b = x.size() > 1 ? x[1].integer : 0;
  // Wrap around, as the generated code does.
  auto wrap = [](uint64_t value) { return static_cast<int64_t>(value); };
  bool divides = b != 0 && !(b == -1 && a == INT64_MIN);
  return llvm::TypeSwitch<Operation *, std::optional<int64_t>>(op)
      .Case<arith::AddIOp>(
          [&](auto) { return wrap(uint64_t(a) + uint64_t(b)); })
      .Case<arith::SubIOp>(
          [&](auto) { return wrap(uint64_t(a) - uint64_t(b)); })
      .Case<arith::MulIOp>(
          [&](auto) { return wrap(uint64_t(a) * uint64_t(b)); })
      .Case<arith::DivSIOp>([&](auto) {
        return divides ? std::optional<int64_t>(a / b) : std::nullopt;
      })
      .Case<arith::RemSIOp>([&](auto) {
        return divides ? std::optional<int64_t>(a % b) : std::nullopt;
      })
      .Case<arith::MaxSIOp>([&](auto) { return std::max(a, b); })
      .Case<arith::MinSIOp>([&](auto) { return std::min(a, b); })
      .Case<arith::AndIOp>([&](auto) { return a & b; })
      .Case<arith::OrIOp>([&](auto) { return a | b; })
      .Case<arith::XOrIOp>([&](auto) { return a ^ b; })
      .Case<math::AbsIOp>([&](auto) { return a < 0 ? wrap(-uint64_t(a)) : a; })
      .Default(std::nullopt);
}

static bool compareReals(arith::CmpFPredicate predicate, double a, double b) {
  switch (predicate) {
  case arith::CmpFPredicate::OEQ:
    return a == b;
  case arith::CmpFPredicate::OGT:
    return a > b;
  case arith::CmpFPredicate::OGE:
    return a >= b;
  case arith::CmpFPredicate::OLT:
    return a < b;
  case arith::CmpFPredicate::OLE:
    return a <= b;
  case arith::CmpFPredicate::UNE:
    return a != b;
  case arith::CmpFPredicate::UNO:
    return std::isnan(a) || std::isnan(b);
  default:
    llvm_unreachable("no row makes another comparison");
  }
}

/// One element of an elementwise op's result.
static std::optional<Number> evaluateElement(Operation *op,
                                             ArrayRef<Number> x) {
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    return makeInteger(
        compareReals(compare.getPredicate(), x[0].real, x[1].real));
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    return makeInteger(arith::applyCmpPredicate(
        compare.getPredicate(), llvm::APInt(64, x[0].integer, true),
        llvm::APInt(64, x[1].integer, true)));
  if (isa<arith::SelectOp>(op))
    return x[0].integer ? x[1] : x[2];
  if (isa<arith::ExtFOp, arith::TruncFOp>(op))
    return x[0];
  if (isa<arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp>(op))
    return x[0];
  if (isa<arith::SIToFPOp, arith::UIToFPOp>(op))
    return makeReal(static_cast<double>(x[0].integer));
  if (isa<arith::FPToSIOp>(op)) {
    // What does not fit is undefined in C and in ONNX.
    if (!(std::fabs(x[0].real) < 9.2e18))
      return std::nullopt;
    return makeInteger(static_cast<int64_t>(x[0].real));
  }
  if (isa<FloatType>(getElementTypeOrSelf(op->getResult(0).getType()))) {
    std::optional<double> value = evaluateReal(op, x);
    return value ? std::optional<Number>(makeReal(*value)) : std::nullopt;
  }
  std::optional<int64_t> value = evaluateInteger(op, x);
  return value ? std::optional<Number>(makeInteger(*value)) : std::nullopt;
}

static bool isElementwise(Operation *op) {
  return isa<arith::ArithDialect, math::MathDialect>(op->getDialect()) ||
         isa<SigmoidOp>(op);
}

static std::optional<Literal> evaluateElementwise(Operation *op,
                                                  ArrayRef<Literal> operands,
                                                  RankedTensorType type) {
  Literal result{
      type,
      llvm::all_of(operands,
                   [](const Literal &operand) { return operand.splat; }),
      {}};
  int64_t count = result.splat ? 1 : type.getNumElements();
  for (int64_t index = 0; index < count; ++index) {
    SmallVector<Number, 3> x;
    for (const Literal &operand : operands)
      x.push_back(operand.at(index));
    std::optional<Number> value = evaluateElement(op, x);
    if (!value)
      return std::nullopt;
    result.values.push_back(*value);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

static Shape stridesOf(ArrayRef<int64_t> shape) {
  Shape strides(shape.size(), 1);
  for (int64_t dim = static_cast<int64_t>(shape.size()) - 2; dim >= 0; --dim)
    strides[dim] = strides[dim + 1] * shape[dim + 1];
  return strides;
}

/// The result's elements, each from the place offset + Σ index · stride of the
/// operand.
static Literal pick(const Literal &operand, RankedTensorType type,
                    ArrayRef<int64_t> strides, int64_t offset = 0) {
  Literal result{type, operand.splat, {}};
  if (operand.splat) {
    result.values = operand.values;
    return result;
  }
  Shape index(type.getRank(), 0);
  for (int64_t count = type.getNumElements(); count > 0; --count) {
    int64_t place = offset;
    for (auto [i, stride] : llvm::zip(index, strides))
      place += i * stride;
    result.values.push_back(operand.values[place]);
    for (int64_t dim = type.getRank() - 1;
         dim >= 0 && ++index[dim] == type.getDimSize(dim); --dim)
      index[dim] = 0;
  }
  return result;
}

static Literal evaluateConcat(tensor::ConcatOp op, ArrayRef<Literal> operands) {
  RankedTensorType type = op.getResultType();
  int64_t dim = op.getDim(), outer = 1;
  for (int64_t size : type.getShape().take_front(dim))
    outer *= size;
  Literal result{type, false, {}};
  for (int64_t index = 0; index < outer; ++index)
    for (const Literal &operand : operands) {
      int64_t run = operand.type.getNumElements() / outer;
      for (int64_t element = 0; element < run; ++element)
        result.values.push_back(operand.at(index * run + element));
    }
  return result;
}

static Literal evaluateGather(GatherOp op, ArrayRef<Literal> operands) {
  const Literal &table = operands[0], &indices = operands[1];
  int64_t rows = table.type.getDimSize(0),
          width = table.type.getNumElements() / rows;
  Literal result{cast<RankedTensorType>(op.getType()), false, {}};
  for (int64_t index = 0; index < indices.type.getNumElements(); ++index) {
    int64_t row = indices.at(index).integer;
    row = std::clamp<int64_t>(row < 0 ? row + rows : row, 0, rows - 1);
    for (int64_t element = 0; element < width; ++element)
      result.values.push_back(table.at(row * width + element));
  }
  return result;
}

/// Integer sums, products and extremes, and those of floating point.
static Number combine(ReduceKind kind, bool real, Number a, Number b) {
  switch (kind) {
  case ReduceKind::Sum:
    return real ? makeReal(a.real + b.real)
                : makeInteger(uint64_t(a.integer) + uint64_t(b.integer));
  case ReduceKind::Prod:
    return real ? makeReal(a.real * b.real)
                : makeInteger(uint64_t(a.integer) * uint64_t(b.integer));
  case ReduceKind::Max:
    return real ? makeReal(std::max(a.real, b.real))
                : makeInteger(std::max(a.integer, b.integer));
  case ReduceKind::Min:
    return real ? makeReal(std::min(a.real, b.real))
                : makeInteger(std::min(a.integer, b.integer));
  }
  llvm_unreachable("covered above");
}

static Literal evaluateReduce(ReduceOp op, const Literal &operand) {
  // With the reduced dimensions last, every result is of one run of elements.
  Shape shape, strides, all = stridesOf(operand.type.getShape());
  int64_t run = 1;
  for (int64_t dim = 0; dim < operand.type.getRank(); ++dim)
    if (!llvm::is_contained(op.getDims(), dim)) {
      shape.push_back(operand.type.getDimSize(dim));
      strides.push_back(all[dim]);
    }
  for (int64_t dim : op.getDims()) {
    shape.push_back(operand.type.getDimSize(dim));
    strides.push_back(all[dim]);
    run *= operand.type.getDimSize(dim);
  }
  Literal sorted = pick(operand, operand.type.clone(shape), strides);
  Literal result{cast<RankedTensorType>(op.getType()), false, {}};
  bool real = isa<FloatType>(operand.type.getElementType());
  for (int64_t start = 0; start < result.type.getNumElements(); ++start) {
    Number value = sorted.at(start * run);
    for (int64_t index = 1; index < run; ++index)
      value =
          combine(op.getKind(), real, value, sorted.at(start * run + index));
    result.values.push_back(value);
  }
  return result;
}

static std::optional<Literal> evaluateStructure(Operation *op,
                                                ArrayRef<Literal> operands,
                                                RankedTensorType type) {
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
    return Literal{type, operands[0].splat, operands[0].values};
  if (auto concat = dyn_cast<tensor::ConcatOp>(op))
    return evaluateConcat(concat, operands);
  if (auto gather = dyn_cast<GatherOp>(op))
    return evaluateGather(gather, operands);
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return evaluateReduce(reduce, operands[0]);
  Shape from =
      operands.empty() ? Shape() : stridesOf(operands[0].type.getShape());
  if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
    Shape strides(type.getRank(), 0);
    for (auto [dim, stride] : llvm::zip(broadcast.getDims(), from))
      strides[dim] = stride;
    return pick(operands[0], type, strides);
  }
  if (auto transpose = dyn_cast<TransposeOp>(op)) {
    Shape strides;
    for (int64_t dim : transpose.getPermutation())
      strides.push_back(from[dim]);
    return pick(operands[0], type, strides);
  }
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    int64_t offset = 0;
    for (auto [start, step, stride] :
         llvm::zip(slice.getStaticOffsets(), slice.getStaticStrides(), from)) {
      offset += start * stride;
      stride *= step;
    }
    return pick(operands[0], type, from, offset);
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

/// The constant that `value` is, through ops that were left in place for size.
static std::optional<Literal> literalOf(Value value) {
  if (DenseElementsAttr constant = getConstant(value)) {
    if (!constant.isSplat() && constant.getNumElements() > mostFolded)
      return std::nullopt;
    return read(constant);
  }
  Operation *op = value.getDefiningOp();
  if (!isa_and_nonnull<BroadcastOp>(op))
    return std::nullopt;
  DenseElementsAttr computed = evaluate(op);
  return computed ? std::optional<Literal>(read(computed)) : std::nullopt;
}

DenseElementsAttr evaluate(Operation *op) {
  if (op->getNumResults() != 1 || op->getNumOperands() == 0)
    return {};
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!type)
    return {};
  if (!type.getNumElements())
    return DenseElementsAttr::get(type, ArrayRef<Attribute>());
  SmallVector<Literal> operands;
  for (Value operand : op->getOperands()) {
    std::optional<Literal> literal = literalOf(operand);
    if (!literal)
      return {};
    operands.push_back(std::move(*literal));
  }
  // One number for all elements is cheap at any size.
  bool splat = llvm::all_of(
      operands, [](const Literal &operand) { return operand.splat; });
  bool keepsSplat = isElementwise(op) ||
                    isa<BroadcastOp, TransposeOp, tensor::ExpandShapeOp,
                        tensor::CollapseShapeOp, tensor::ExtractSliceOp>(op);
  int64_t largest = type.getNumElements();
  for (const Literal &operand : operands)
    largest = std::max(largest, operand.type.getNumElements());
  if (largest > mostFolded && !(splat && keepsSplat))
    return {};
  std::optional<Literal> result = isElementwise(op)
                                      ? evaluateElementwise(op, operands, type)
                                      : evaluateStructure(op, operands, type);
  return result ? write(*result) : DenseElementsAttr();
}

/// True for a broadcast that would only repeat a table of floats.
static bool onlyEnlarges(Operation *op) {
  auto broadcast = dyn_cast<BroadcastOp>(op);
  if (!broadcast ||
      !isa<FloatType>(getTensorType(op->getResult(0)).getElementType()))
    return false;
  DenseElementsAttr constant = getConstant(broadcast.getInput());
  return constant && !constant.isSplat();
}

void evaluateConstants(Block &block, Operation *last,
                       MutableArrayRef<Value> values) {
  auto next = last ? std::next(last->getIterator()) : block.begin();
  while (next != block.end()) {
    Operation *op = &*next++;
    if (isa<arith::ConstantOp>(op) || onlyEnlarges(op))
      continue;
    DenseElementsAttr value = evaluate(op);
    if (!value)
      continue;
    OpBuilder builder(op);
    // A table in another shape keeps its name.
    bool view = isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op);
    Location loc = view ? op->getOperand(0).getLoc() : op->getLoc();
    Value result = op->getResult(0),
          constant = arith::ConstantOp::create(builder, loc, value);
    result.replaceAllUsesWith(constant);
    llvm::replace(values, result, constant);
    op->erase();
  }
}

void eraseUnused(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

} // namespace dit::onnx
