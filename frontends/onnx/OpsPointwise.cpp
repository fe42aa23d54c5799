//===- OpsPointwise.cpp - Ops on each element -----------------------------===//
//
// Inputs are broadcast to one shape by numpy's rule, then arith and math do
// the rest. What ONNX defines by a formula is written as that formula.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/NodeBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace dit::onnx {

static bool isFloating(Value value) {
  return isa<FloatType>(getTensorType(value).getElementType());
}
static bool isBoolean(Value value) {
  return getTensorType(value).getElementType().isInteger(1);
}

/// The first `count` inputs, of one type, broadcast to their common shape.
static llvm::Expected<SmallVector<Value>> operands(NodeBuilder &n,
                                                   unsigned count) {
  SmallVector<Value> values;
  for (unsigned index = 0; index < count; ++index)
    values.push_back(n.input(index));
  for (Value value : values)
    if (getTensorType(value).getElementType() !=
        getTensorType(values[0]).getElementType())
      return n.malformed("its inputs have different element types");
  if (llvm::Error error = n.broadcast(values))
    return error;
  return values;
}

//===----------------------------------------------------------------------===//
// Two and more inputs
//===----------------------------------------------------------------------===//

static Value select(NodeBuilder &n, Value condition, Value yes, Value no) {
  return n.make<arith::SelectOp>(condition, yes, no);
}

/// One op for floating point, one for integers, folded over all inputs.
template <typename FloatOp, typename IntegerOp>
static Outputs arithmetic(NodeBuilder &n) {
  llvm::Expected<SmallVector<Value>> values = operands(n, n.numInputs());
  if (!values)
    return values.takeError();
  Value result = values->front();
  for (Value value : llvm::drop_begin(*values))
    result = isFloating(value) ? n.make<FloatOp>(result, value)
                               : n.make<IntegerOp>(result, value);
  return Values{result};
}

static Outputs mean(NodeBuilder &n) {
  Outputs sum = arithmetic<arith::AddFOp, arith::AddIOp>(n);
  if (!sum)
    return sum;
  if (llvm::Error error = n.wantFloat(sum->front()))
    return error;
  return Values{n.make<arith::DivFOp>(sum->front(),
                                      n.splat(sum->front(), n.numInputs()))};
}

/// Integers truncate towards zero.
static Outputs divide(NodeBuilder &n) {
  return arithmetic<arith::DivFOp, arith::DivSIOp>(n);
}

static Outputs modulo(NodeBuilder &n) {
  llvm::Expected<SmallVector<Value>> values = operands(n, 2);
  if (!values)
    return values.takeError();
  Value x = (*values)[0], y = (*values)[1];
  if (isFloating(x)) {
    if (!n.integer("fmod", 0))
      return n.malformed("it is defined on floating point only with fmod = 1");
    return Values{n.make<arith::RemFOp>(x, y)};
  }
  Value remainder = n.make<arith::RemSIOp>(x, y);
  if (n.integer("fmod", 0))
    return Values{remainder};
  // The sign of the divisor, as in Python.
  Value zero = n.splat(x, 0);
  Value differs = n.make<arith::CmpIOp>(
      arith::CmpIPredicate::slt, n.make<arith::XOrIOp>(remainder, y), zero);
  Value nonzero =
      n.make<arith::CmpIOp>(arith::CmpIPredicate::ne, remainder, zero);
  Value corrected = n.make<arith::AddIOp>(remainder, y);
  return Values{
      select(n, n.make<arith::AndIOp>(differs, nonzero), corrected, remainder)};
}

/// Small powers by multiplication, as every runtime does it.
static Outputs power(NodeBuilder &n) {
  Value base = n.input(0), exponent = n.input(1);
  Type type = getTensorType(base).getElementType();
  std::optional<double> constant = getSplat(exponent);
  SmallVector<Value> values{base, n.cast(exponent, type)};
  if (llvm::Error error = n.broadcast(values))
    return error;
  Value x = values[0];
  auto times = [&](Value lhs, Value rhs) {
    return isFloating(x) ? n.make<arith::MulFOp>(lhs, rhs)
                         : n.make<arith::MulIOp>(lhs, rhs);
  };
  if (constant == 1)
    return Values{x};
  if (constant == 2)
    return Values{times(x, x)};
  if (constant == 3)
    return Values{times(times(x, x), x)};
  if (!isFloating(x))
    return n.unsupported("integer powers other than 1, 2 and 3");
  if (constant == 0.5)
    return Values{n.make<math::SqrtOp>(x)};
  if (constant == -1)
    return Values{n.make<arith::DivFOp>(n.splat(x, 1), x)};
  return Values{n.make<math::PowFOp>(x, values[1])};
}

template <arith::CmpFPredicate floating, arith::CmpIPredicate integral>
static Outputs comparison(NodeBuilder &n) {
  llvm::Expected<SmallVector<Value>> values = operands(n, 2);
  if (!values)
    return values.takeError();
  Value x = (*values)[0], y = (*values)[1];
  return Values{isFloating(x) ? n.make<arith::CmpFOp>(floating, x, y)
                              : n.make<arith::CmpIOp>(integral, x, y)};
}

template <typename Op>
static Outputs logical(NodeBuilder &n) {
  llvm::Expected<SmallVector<Value>> values = operands(n, 2);
  if (!values)
    return values.takeError();
  if (!isBoolean(values->front()))
    return n.malformed("it is defined on booleans only");
  return Values{n.make<Op>((*values)[0], (*values)[1])};
}

static Outputs where(NodeBuilder &n) {
  SmallVector<Value> values{n.input(0), n.input(1), n.input(2)};
  if (!isBoolean(values[0]) || getTensorType(values[1]).getElementType() !=
                                   getTensorType(values[2]).getElementType())
    return n.malformed(
        "it needs a boolean condition and two values of one type");
  if (llvm::Error error = n.broadcast(values))
    return error;
  return Values{select(n, values[0], values[1], values[2])};
}

static Outputs clip(NodeBuilder &n) {
  Value x = n.input(0);
  for (unsigned index : {1u, 2u}) {
    if (!n.input(index))
      continue;
    if (getTensorType(n.input(index)).getElementType() !=
        getTensorType(x).getElementType())
      return n.malformed("its bounds have another element type");
    llvm::Expected<Value> bound =
        n.broadcast(n.input(index), getTensorType(x).getShape());
    if (!bound)
      return bound.takeError();
    if (isFloating(x))
      x = index == 1 ? n.make<arith::MaximumFOp>(x, *bound)
                     : n.make<arith::MinimumFOp>(x, *bound);
    else
      x = index == 1 ? n.make<arith::MaxSIOp>(x, *bound)
                     : n.make<arith::MinSIOp>(x, *bound);
  }
  return Values{x};
}

static Outputs prelu(NodeBuilder &n) {
  llvm::Expected<SmallVector<Value>> values = operands(n, 2);
  if (!values)
    return values.takeError();
  Value x = (*values)[0];
  if (llvm::Error error = n.wantFloat(x))
    return error;
  Value positive =
      n.make<arith::CmpFOp>(arith::CmpFPredicate::OGT, x, n.splat(x, 0));
  return Values{select(n, positive, x, n.make<arith::MulFOp>(x, (*values)[1]))};
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

static Outputs castTo(NodeBuilder &n) {
  auto type = static_cast<ElementType>(n.integer("to", 0));
  Type element = convertType(n.builder.getContext(), type);
  if (!element)
    return n.unsupported("it casts to " + nameOf(type));
  return Values{n.cast(n.input(0), element)};
}

static Outputs castLike(NodeBuilder &n) {
  return Values{n.cast(n.input(0), getTensorType(n.input(1)).getElementType())};
}

static Outputs identity(NodeBuilder &n) { return Values{n.input(0)}; }

/// As in inference: nothing is dropped.
static Outputs dropout(NodeBuilder &n) {
  if (getSplat(n.input(2)).value_or(0) != 0 &&
      getSplat(n.input(1)).value_or(0.5) != 0)
    return n.unsupported(
        "it is in training mode; export the model in eval mode");
  Type boolean = n.builder.getI1Type();
  RankedTensorType mask = getTensorType(n.input(0)).clone(boolean);
  return Values{n.input(0), n.node.outputs.size() > 1
                                ? createSplat(n.builder, n.loc, mask, 1)
                                : Value()};
}

/// com.microsoft's Gelu variants with an optional bias on the last dimension.
template <Approximate approximate>
static Outputs biasedGelu(NodeBuilder &n) {
  llvm::Expected<SmallVector<Value>> values = operands(n, n.input(1) ? 2 : 1);
  if (!values)
    return values.takeError();
  if (llvm::Error error = n.wantFloat(values->front()))
    return error;
  Value x = values->size() == 2
                ? n.make<arith::AddFOp>((*values)[0], (*values)[1])
                : values->front();
  return Values{n.make<GeluOp>(x, approximate)};
}

ArrayRef<OpRow> pointwiseOps() {
  using arith::CmpFPredicate;
  using arith::CmpIPredicate;
  static const OpRow rows[] = {
      {"Add", 2, 2, arithmetic<arith::AddFOp, arith::AddIOp>},
      {"And", 2, 2, logical<arith::AndIOp>},
      {"Cast", 1, 1, castTo},
      {"CastLike", 2, 2, castLike},
      {"Clip", 1, 3, clip},
      {"Div", 2, 2, divide},
      {"Dropout", 1, 3, dropout},
      {"Equal", 2, 2, comparison<CmpFPredicate::OEQ, CmpIPredicate::eq>},
      {"Greater", 2, 2, comparison<CmpFPredicate::OGT, CmpIPredicate::sgt>},
      {"Identity", 1, 1, identity},
      {"GreaterOrEqual", 2, 2,
       comparison<CmpFPredicate::OGE, CmpIPredicate::sge>},
      {"Less", 2, 2, comparison<CmpFPredicate::OLT, CmpIPredicate::slt>},
      {"LessOrEqual", 2, 2, comparison<CmpFPredicate::OLE, CmpIPredicate::sle>},
      {"Max", 1, anyNumber, arithmetic<arith::MaximumFOp, arith::MaxSIOp>},
      {"Mean", 1, anyNumber, mean},
      {"Min", 1, anyNumber, arithmetic<arith::MinimumFOp, arith::MinSIOp>},
      {"Mod", 2, 2, modulo},
      {"Mul", 2, 2, arithmetic<arith::MulFOp, arith::MulIOp>},
      {"Or", 2, 2, logical<arith::OrIOp>},
      {"PRelu", 2, 2, prelu},
      {"Pow", 2, 2, power},
      {"Sub", 2, 2, arithmetic<arith::SubFOp, arith::SubIOp>},
      {"Sum", 1, anyNumber, arithmetic<arith::AddFOp, arith::AddIOp>},
      {"Where", 3, 3, where},
      {"Xor", 2, 2, logical<arith::XOrIOp>},
      {"BiasGelu", 2, 2, biasedGelu<Approximate::None>, "com.microsoft"},
      {"FastGelu", 1, 2, biasedGelu<Approximate::Tanh>, "com.microsoft"},
      {"Gelu", 1, 1, biasedGelu<Approximate::None>, "com.microsoft"},
  };
  return rows;
}

} // namespace dit::onnx
