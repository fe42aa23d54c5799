//===- OpsUnary.cpp - Functions of each element ---------------------------===//
//
// What ONNX defines by a formula is written as that formula.
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

template <typename Op>
static Outputs unaryFloat(NodeBuilder &n) {
  if (llvm::Error error = n.wantFloat(n.input(0)))
    return error;
  return Values{n.make<Op>(n.input(0))};
}

/// A formula of one floating-point input.
template <Value (*formula)(NodeBuilder &, Value)>
static Outputs floatFormula(NodeBuilder &n) {
  if (llvm::Error error = n.wantFloat(n.input(0)))
    return error;
  return Values{formula(n, n.input(0))};
}

static Value multiply(NodeBuilder &n, Value lhs, Value rhs) {
  return n.make<arith::MulFOp>(lhs, rhs);
}
static Value scaled(NodeBuilder &n, Value value, double factor) {
  return factor == 1 ? value : multiply(n, value, n.splat(value, factor));
}
static Value plus(NodeBuilder &n, Value value, double term) {
  return n.make<arith::AddFOp>(value, n.splat(value, term));
}
static Value compare(NodeBuilder &n, arith::CmpFPredicate predicate, Value lhs,
                     Value rhs) {
  return n.make<arith::CmpFOp>(predicate, lhs, rhs);
}
static Value positive(NodeBuilder &n, Value x) {
  return compare(n, arith::CmpFPredicate::OGT, x, n.splat(x, 0));
}
static Value select(NodeBuilder &n, Value condition, Value yes, Value no) {
  return n.make<arith::SelectOp>(condition, yes, no);
}

static Value reciprocal(NodeBuilder &n, Value x) {
  return n.make<arith::DivFOp>(n.splat(x, 1), x);
}
static Value silu(NodeBuilder &n, Value x, double alpha) {
  return multiply(n, x, n.make<SigmoidOp>(scaled(n, x, alpha)));
}
static Value swish(NodeBuilder &n, Value x) {
  return silu(n, x, n.number("alpha", 1));
}
static Value quickGelu(NodeBuilder &n, Value x) {
  return silu(n, x, n.number("alpha", 1.702));
}
static Value isNan(NodeBuilder &n, Value x) {
  return compare(n, arith::CmpFPredicate::UNO, x, x);
}
static Value leakyRelu(NodeBuilder &n, Value x) {
  return select(n, positive(n, x), x, scaled(n, x, n.number("alpha", 0.01)));
}
static Value elu(NodeBuilder &n, Value x) {
  Value low =
      scaled(n, plus(n, n.make<math::ExpOp>(x), -1), n.number("alpha", 1));
  return select(n, positive(n, x), x, low);
}
static Value selu(NodeBuilder &n, Value x) {
  Value low = scaled(n, plus(n, n.make<math::ExpOp>(x), -1),
                     n.number("alpha", 1.67326319217681884765625));
  return scaled(n, select(n, positive(n, x), x, low),
                n.number("gamma", 1.05070102214813232421875));
}
static Value clamped(NodeBuilder &n, Value x, double low, double high) {
  return n.make<arith::MinimumFOp>(
      n.make<arith::MaximumFOp>(x, n.splat(x, low)), n.splat(x, high));
}
static Value hardSigmoid(NodeBuilder &n, Value x) {
  return clamped(
      n, plus(n, scaled(n, x, n.number("alpha", 0.2)), n.number("beta", 0.5)),
      0, 1);
}
static Value hardSwish(NodeBuilder &n, Value x) {
  return multiply(n, x, clamped(n, plus(n, scaled(n, x, 1.0 / 6), 0.5), 0, 1));
}
/// log(1 + exp(x)) as max(x, 0) + log(1 + exp(−|x|)), which cannot overflow.
static Value softplus(NodeBuilder &n, Value x) {
  Value small =
      n.make<math::ExpOp>(n.make<arith::NegFOp>(n.make<math::AbsFOp>(x)));
  Value high = n.make<arith::MaximumFOp>(x, n.splat(x, 0));
  return n.make<arith::AddFOp>(high, n.make<math::LogOp>(plus(n, small, 1)));
}
static Value mish(NodeBuilder &n, Value x) {
  return multiply(n, x, n.make<math::TanhOp>(softplus(n, x)));
}
static Value softsign(NodeBuilder &n, Value x) {
  return n.make<arith::DivFOp>(x, plus(n, n.make<math::AbsFOp>(x), 1));
}
static Value tangent(NodeBuilder &n, Value x) {
  return n.make<arith::DivFOp>(n.make<math::SinOp>(x), n.make<math::CosOp>(x));
}
static Value thresholdedRelu(NodeBuilder &n, Value x) {
  Value above = compare(n, arith::CmpFPredicate::OGT, x,
                        n.splat(x, n.number("alpha", 1)));
  return select(n, above, x, n.splat(x, 0));
}

static Outputs isInf(NodeBuilder &n) {
  Value x = n.input(0);
  if (llvm::Error error = n.wantFloat(x))
    return error;
  double infinity = std::numeric_limits<double>::infinity();
  if (!n.integer("detect_negative", 1) && !n.integer("detect_positive", 1))
    return n.unsupported("it detects nothing");
  if (!n.integer("detect_negative", 1))
    return Values{
        compare(n, arith::CmpFPredicate::OEQ, x, n.splat(x, infinity))};
  if (!n.integer("detect_positive", 1))
    return Values{
        compare(n, arith::CmpFPredicate::OEQ, x, n.splat(x, -infinity))};
  return Values{compare(n, arith::CmpFPredicate::OEQ, n.make<math::AbsFOp>(x),
                        n.splat(x, infinity))};
}

static Outputs relu(NodeBuilder &n) {
  Value x = n.input(0), zero = n.splat(x, 0);
  return Values{isFloating(x) ? n.make<arith::MaximumFOp>(x, zero)
                              : n.make<arith::MaxSIOp>(x, zero)};
}

static Outputs negate(NodeBuilder &n) {
  Value x = n.input(0);
  return Values{isFloating(x) ? n.make<arith::NegFOp>(x)
                              : n.make<arith::SubIOp>(n.splat(x, 0), x)};
}

static Outputs absolute(NodeBuilder &n) {
  Value x = n.input(0);
  return Values{isFloating(x) ? n.make<math::AbsFOp>(x)
                              : n.make<math::AbsIOp>(x)};
}

static Outputs sign(NodeBuilder &n) {
  Value x = n.input(0), zero = n.splat(x, 0), one = n.splat(x, 1),
        minus = n.splat(x, -1);
  Value up = isFloating(x)
                 ? positive(n, x)
                 : n.make<arith::CmpIOp>(arith::CmpIPredicate::sgt, x, zero);
  Value down = isFloating(x)
                   ? compare(n, arith::CmpFPredicate::OLT, x, zero)
                   : n.make<arith::CmpIOp>(arith::CmpIPredicate::slt, x, zero);
  return Values{select(n, up, one, select(n, down, minus, zero))};
}

static Outputs logicalNot(NodeBuilder &n) {
  Value x = n.input(0);
  if (!isBoolean(x))
    return n.malformed("it is defined on booleans only");
  return Values{n.make<arith::XOrIOp>(x, n.splat(x, 1))};
}

static Outputs gelu(NodeBuilder &n) {
  if (llvm::Error error = n.wantFloat(n.input(0)))
    return error;
  llvm::StringRef approximate = n.text("approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    return n.unsupported("approximate is " + quote(approximate) +
                         ", not none or tanh");
  return Values{n.make<GeluOp>(n.input(0), approximate == "tanh"
                                               ? Approximate::Tanh
                                               : Approximate::None)};
}

ArrayRef<OpRow> unaryOps() {
  static const OpRow rows[] = {
      {"Abs", 1, 1, absolute},
      {"Atan", 1, 1, unaryFloat<math::AtanOp>},
      {"Ceil", 1, 1, unaryFloat<math::CeilOp>},
      {"Cos", 1, 1, unaryFloat<math::CosOp>},
      {"Elu", 1, 1, floatFormula<elu>},
      {"Erf", 1, 1, unaryFloat<math::ErfOp>},
      {"Exp", 1, 1, unaryFloat<math::ExpOp>},
      {"Floor", 1, 1, unaryFloat<math::FloorOp>},
      {"Gelu", 1, 1, gelu},
      {"HardSigmoid", 1, 1, floatFormula<hardSigmoid>},
      {"HardSwish", 1, 1, floatFormula<hardSwish>},
      {"IsInf", 1, 1, isInf},
      {"IsNaN", 1, 1, floatFormula<isNan>},
      {"LeakyRelu", 1, 1, floatFormula<leakyRelu>},
      {"Log", 1, 1, unaryFloat<math::LogOp>},
      {"Mish", 1, 1, floatFormula<mish>},
      {"Neg", 1, 1, negate},
      {"Not", 1, 1, logicalNot},
      {"Reciprocal", 1, 1, floatFormula<reciprocal>},
      {"Relu", 1, 1, relu},
      {"Round", 1, 1, unaryFloat<math::RoundEvenOp>},
      {"Selu", 1, 1, floatFormula<selu>},
      {"Sigmoid", 1, 1, unaryFloat<SigmoidOp>},
      {"Sign", 1, 1, sign},
      {"Sin", 1, 1, unaryFloat<math::SinOp>},
      {"Softplus", 1, 1, floatFormula<softplus>},
      {"Softsign", 1, 1, floatFormula<softsign>},
      {"Sqrt", 1, 1, unaryFloat<math::SqrtOp>},
      {"Swish", 1, 1, floatFormula<swish>},
      {"Tan", 1, 1, floatFormula<tangent>},
      {"Tanh", 1, 1, unaryFloat<math::TanhOp>},
      {"ThresholdedRelu", 1, 1, floatFormula<thresholdedRelu>},
      {"QuickGelu", 1, 1, floatFormula<quickGelu>, "com.microsoft"},
  };
  return rows;
}

} // namespace dit::onnx
