//===- LaneMath.cpp - Elementary functions without a library --------------===//
//
// Every function reduces its argument to a short interval, exactly or with the
// reduction constant in two or three parts and fused multiply-adds, and
// evaluates a minimax polynomial there. Rounding to an integer is done by
// adding 1.5 · 2^23 (2^52): the integer is then in the low bits. Polynomials
// are those of Cephes (fp32) and fdlibm (fp64), erf N. Juffa's.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/LaneMath.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

using namespace mlir;
using namespace dit::codegen;

namespace {
/// What differs between fp32 and fp64 in their representation.
struct FloatFormat {
  explicit FloatFormat(LaneBuilder &lanes, Value x)
      : isDouble(getElementTypeOrSelf(x).isF64()),
        integer(lanes.builder.getIntegerType(isDouble ? 64 : 32)),
        mantissaBits(isDouble ? 52 : 23), bias(isDouble ? 1023 : 127),
        roundingConstant(isDouble ? 0x1.8p52 : 0x1.8p23),
        roundingBits(isDouble ? 0x4338000000000000 : 0x4B400000),
        signBit(isDouble ? 0x8000000000000000 : 0x80000000) {}
  bool isDouble;
  Type integer;
  int mantissaBits, bias;
  double roundingConstant;
  uint64_t roundingBits, signBit;
};

/// ⌊x · factor⌉ as a float and as an integer, for small results.
struct Rounded {
  Value value, integer;
};
} // namespace

static Rounded roundProduct(LaneBuilder &lanes, Value x, double factor) {
  FloatFormat format(lanes, x);
  Value shifted = lanes.fma(x, lanes.constant(x.getType(), factor),
                            format.roundingConstant);
  Value value = lanes.add(shifted, -format.roundingConstant);
  Value raw = lanes.cast<arith::BitcastOp>(shifted, format.integer);
  Value integer = lanes.make<arith::SubIOp>(
      raw, lanes.bits(raw.getType(), format.roundingBits));
  return {value, integer};
}

/// 2^n for an integer n in the exponent's range.
static Value powerOfTwo(LaneBuilder &lanes, Value n, Value like) {
  FloatFormat format(lanes, like);
  Value exponent =
      lanes.make<arith::AddIOp>(n, lanes.bits(n.getType(), format.bias));
  Value raw = lanes.make<arith::ShLIOp>(
      exponent, lanes.bits(n.getType(), format.mantissaBits));
  return lanes.cast<arith::BitcastOp>(raw, getElementTypeOrSelf(like));
}

/// x · 2^n in two steps, so that denormal and infinite results come out.
static Value scale(LaneBuilder &lanes, Value x, Value n) {
  Value half = lanes.make<arith::ShRSIOp>(n, lanes.bits(n.getType(), 1));
  Value rest = lanes.make<arith::SubIOp>(n, half);
  Value once = lanes.mul(x, powerOfTwo(lanes, half, x));
  return lanes.mul(once, powerOfTwo(lanes, rest, x));
}

/// min and max with a constant that let NaN through.
static Value atMost(LaneBuilder &lanes, Value x, double limit) {
  Value bound = lanes.constant(x.getType(), limit);
  return lanes.select(lanes.compare(arith::CmpFPredicate::OGT, x, bound), bound,
                      x);
}
static Value atLeast(LaneBuilder &lanes, Value x, double limit) {
  Value bound = lanes.constant(x.getType(), limit);
  return lanes.select(lanes.compare(arith::CmpFPredicate::OLT, x, bound), bound,
                      x);
}

/// 2^(x·log₂e) by the GPU's instruction: the product's rounding error, which
/// grows with x, is found exactly and applied as a factor.
static Value emitExpByPowerOfTwo(LaneBuilder &lanes, Value x) {
  x = atLeast(lanes, atMost(lanes, x, 89.0), -110.0);
  Value product = lanes.mul(x, 1.44269502162933349609375);
  Value rest = lanes.fma(x, 1.44269502162933349609375,
                         lanes.make<arith::NegFOp>(product));
  rest = lanes.fma(x, 1.925963033500011079e-8, rest);
  Value power =
      LLVM::CallIntrinsicOp::create(
          lanes.builder, lanes.loc, x.getType(),
          lanes.builder.getStringAttr("llvm.exp2"), ValueRange{product},
          LLVM::FastmathFlagsAttr::get(lanes.builder.getContext(),
                                       LLVM::FastmathFlags::afn))
          .getResult(0);
  return lanes.mul(power,
                   lanes.fma(rest, lanes.constant(x.getType(), M_LN2), 1.0));
}

Value dit::codegen::emitExp(LaneBuilder &lanes, Value x) {
  FloatFormat format(lanes, x);
  if (lanes.target.hasApproximations && !format.isDouble)
    return emitExpByPowerOfTwo(lanes, x);
  x = atLeast(lanes, atMost(lanes, x, format.isDouble ? 710.0 : 89.0),
              format.isDouble ? -746.0 : -104.0);
  Rounded n = roundProduct(lanes, x, 1.4426950408889634);
  Value minusN = lanes.make<arith::NegFOp>(n.value);
  if (format.isDouble) {
    Value r = lanes.fma(minusN, 6.93147180369123816490e-01, x);
    r = lanes.fma(minusN, 1.90821492927058770002e-10, r);
    Value square = lanes.mul(r, r);
    Value p = lanes.polynomial(
        square, {4.13813679705723846039e-08, -1.65339022054652515390e-06,
                 6.61375632143793436117e-05, -2.77777777770155933842e-03,
                 1.66666666666666019037e-01});
    Value c = lanes.sub(r, lanes.mul(square, p));
    Value two = lanes.constant(x.getType(), 2.0);
    Value tail = lanes.div(lanes.mul(r, c), lanes.sub(two, c));
    return scale(lanes, lanes.add(lanes.add(tail, r), 1.0), n.integer);
  }
  Value r = lanes.fma(minusN, 0.693359375, x);
  r = lanes.fma(minusN, -2.12194440e-4, r);
  Value p =
      lanes.polynomial(r, {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                           4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1});
  Value sum = lanes.fma(lanes.mul(r, r), p, r);
  return scale(lanes, lanes.add(sum, 1.0), n.integer);
}

Value dit::codegen::emitLog(LaneBuilder &lanes, Value x) {
  FloatFormat format(lanes, x);
  Type element = getElementTypeOrSelf(x);
  // Denormals are scaled up first.
  double smallest = format.isDouble ? 0x1p-1022 : 0x1p-126;
  double lift = format.isDouble ? 0x1p54 : 0x1p25;
  Value isTiny = lanes.compare(arith::CmpFPredicate::OLT, x,
                               lanes.constant(x.getType(), smallest));
  Value lifted = lanes.select(isTiny, lanes.mul(x, lift), x);
  Value raw = lanes.cast<arith::BitcastOp>(lifted, format.integer);
  // x = 2^e · m, m in [√½, √2).
  uint64_t rootHalf = format.isDouble ? 0x3fe6a09e667f3bcd : 0x3f3504f3;
  Value offset =
      lanes.make<arith::SubIOp>(raw, lanes.bits(raw.getType(), rootHalf));
  Value exponent = lanes.make<arith::ShRSIOp>(
      offset, lanes.bits(raw.getType(), format.mantissaBits));
  Value shift = lanes.make<arith::ShLIOp>(
      exponent, lanes.bits(raw.getType(), format.mantissaBits));
  Value m = lanes.cast<arith::BitcastOp>(lanes.make<arith::SubIOp>(raw, shift),
                                         element);
  Value e = lanes.cast<arith::SIToFPOp>(exponent, element);
  Value zero = lanes.constant(x.getType(), 0.0);
  e = lanes.sub(e, lanes.select(isTiny,
                                lanes.constant(x.getType(),
                                               format.isDouble ? 54.0 : 25.0),
                                zero));
  Value f = lanes.add(m, -1.0);
  Value square = lanes.mul(f, f);
  Value result;
  if (format.isDouble) {
    Value s = lanes.div(f, lanes.add(f, 2.0));
    Value z = lanes.mul(s, s);
    Value p =
        lanes.polynomial(z, {1.479819860511658591e-01, 1.531383769920937332e-01,
                             1.818357216161805012e-01, 2.222219843214978396e-01,
                             2.857142874366239149e-01, 3.999999999940941908e-01,
                             6.666666666666735130e-01});
    Value r = lanes.mul(z, p);
    Value half = lanes.mul(square, 0.5);
    // e·ln2 - ((½f² - (s(½f² + r) + e·ln2_low)) - f)
    Value low = lanes.fma(s, lanes.add(half, r),
                          lanes.mul(e, 1.90821492927058770002e-10));
    Value rest = lanes.sub(lanes.sub(half, low), f);
    result = lanes.sub(lanes.mul(e, 6.93147180369123816490e-01), rest);
  } else {
    Value p = lanes.polynomial(
        f, {7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1,
            -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
            2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1});
    Value y = lanes.mul(lanes.mul(square, f), p);
    y = lanes.fma(e, -2.12194440e-4, y);
    y = lanes.fma(square, -0.5, y);
    result = lanes.fma(e, 0.693359375, lanes.add(f, y));
  }
  double infinity = INFINITY;
  Value isInfinite = lanes.compare(arith::CmpFPredicate::OEQ, x,
                                   lanes.constant(x.getType(), infinity));
  result = lanes.select(isInfinite, x, result);
  Value isZero = lanes.compare(arith::CmpFPredicate::OEQ, x, zero);
  result = lanes.select(isZero, lanes.constant(x.getType(), -infinity), result);
  Value isInvalid = lanes.compare(arith::CmpFPredicate::ULT, x, zero);
  return lanes.select(isInvalid, lanes.constant(x.getType(), NAN), result);
}

Value dit::codegen::emitTanh(LaneBuilder &lanes, Value x) {
  FloatFormat format(lanes, x);
  Value size = lanes.make<math::AbsFOp>(x);
  Value two = lanes.constant(x.getType(), 2.0);
  Value one = lanes.constant(x.getType(), 1.0);
  Value power = emitExp(lanes, lanes.add(size, size));
  Value large = lanes.sub(one, lanes.divideFast(two, lanes.add(power, one)));
  if (format.isDouble)
    return lanes.make<math::CopySignOp>(large, x);
  Value square = lanes.mul(x, x);
  Value p = lanes.polynomial(square, {-5.70498872745e-3, 2.06390887954e-2,
                                      -5.37397155531e-2, 1.33314422036e-1,
                                      -3.33332819422e-1});
  Value small = lanes.fma(lanes.mul(x, square), p, x);
  Value isSmall = lanes.compare(arith::CmpFPredicate::OLT, size,
                                lanes.constant(x.getType(), 0.625));
  return lanes.make<math::CopySignOp>(lanes.select(isSmall, small, large), x);
}

Value dit::codegen::emitErf(LaneBuilder &lanes, Value x) {
  Value size = lanes.make<math::AbsFOp>(x);
  Value square = lanes.mul(x, x);
  // Above 475/512: 1 - e^p(|x|).
  Value p = lanes.fma(lanes.constant(x.getType(), -1.72853470e-5), size,
                      3.83197126e-4);
  Value q = lanes.fma(lanes.constant(x.getType(), -3.88396438e-3), size,
                      2.42546219e-2);
  p = lanes.fma(p, square, q);
  p = lanes.fma(p, size, -1.06777877e-1);
  p = lanes.fma(p, size, -6.34846687e-1);
  p = lanes.fma(p, size, -1.28717512e-1);
  p = lanes.fma(p, size, lanes.make<arith::NegFOp>(size));
  // e^p is below half an ulp of 1 from |x| = 4 on, where p grows wild.
  p = lanes.select(lanes.compare(arith::CmpFPredicate::OGT, size,
                                 lanes.constant(x.getType(), 4.0)),
                   lanes.constant(x.getType(), -20.0), p);
  Value large = lanes.sub(lanes.constant(x.getType(), 1.0), emitExp(lanes, p));
  large = lanes.make<math::CopySignOp>(large, x);
  Value r =
      lanes.polynomial(square, {-5.96761703e-4, 4.99119423e-3, -2.67681349e-2,
                                1.12819925e-1, -3.76125336e-1, 1.28379166e-1});
  Value small = lanes.fma(r, x, x);
  Value isLarge = lanes.compare(arith::CmpFPredicate::OGT, size,
                                lanes.constant(x.getType(), 0.927734375));
  return lanes.select(isLarge, large, small);
}

/// sin(x + quarter · π/2).
static Value emitSine(LaneBuilder &lanes, Value x, int quarter) {
  FloatFormat format(lanes, x);
  Rounded n = roundProduct(lanes, x, 0.63661977236758134308);
  Value minusN = lanes.make<arith::NegFOp>(n.value);
  Value r = x, sine, cosine;
  if (format.isDouble) {
    for (double part :
         {1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33})
      r = lanes.fma(minusN, part, r);
    Value square = lanes.mul(r, r);
    Value p = lanes.polynomial(
        square, {1.58969099521155010221e-10, -2.50507602534068634195e-08,
                 2.75573137070700676789e-06, -1.98412698298579493134e-04,
                 8.33333333332248946124e-03, -1.66666666666666324348e-01});
    sine = lanes.fma(lanes.mul(r, square), p, r);
    Value q = lanes.polynomial(
        square, {-1.13596475577881948265e-11, 2.08757232129817482790e-09,
                 -2.75573143513906633035e-07, 2.48015872894767294178e-05,
                 -1.38888888888741095749e-03, 4.16666666666666019037e-02});
    q = lanes.fma(q, square, -0.5);
    cosine = lanes.fma(q, square, 1.0);
  } else {
    for (double part : {1.57079637050628662109375, -4.37113900018624283e-8,
                        -1.71512451000461e-15})
      r = lanes.fma(minusN, part, r);
    Value square = lanes.mul(r, r);
    Value p = lanes.polynomial(
        square, {-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1});
    sine = lanes.fma(lanes.mul(r, square), p, r);
    Value q =
        lanes.polynomial(square, {2.443315711809948e-5, -1.388731625493765e-3,
                                  4.166664568298827e-2, -0.5});
    cosine = lanes.fma(q, square, 1.0);
  }
  // Quadrants: sin, cos, -sin, -cos.
  Type integer = n.integer.getType();
  Value turn =
      lanes.make<arith::AddIOp>(n.integer, lanes.integer(integer, quarter));
  Value isCosine =
      lanes.compare(arith::CmpIPredicate::ne,
                    lanes.make<arith::AndIOp>(turn, lanes.bits(integer, 1)),
                    lanes.integer(integer, 0));
  Value size = lanes.select(isCosine, cosine, sine);
  Value sign = lanes.make<arith::ShLIOp>(
      lanes.make<arith::AndIOp>(turn, lanes.bits(integer, 2)),
      lanes.bits(integer, format.isDouble ? 62 : 30));
  Value raw = lanes.cast<arith::BitcastOp>(size, format.integer);
  return lanes.cast<arith::BitcastOp>(lanes.make<arith::XOrIOp>(raw, sign),
                                      getElementTypeOrSelf(x));
}

Value dit::codegen::emitSin(LaneBuilder &lanes, Value x) {
  return emitSine(lanes, x, 0);
}

Value dit::codegen::emitCos(LaneBuilder &lanes, Value x) {
  return emitSine(lanes, x, 1);
}

Value dit::codegen::emitRsqrt(LaneBuilder &lanes, Value x) {
  Value root = lanes.make<math::SqrtOp>(x);
  Value result = lanes.divideFast(lanes.constant(x.getType(), 1.0), root);
  // One instruction, to 2^-22.9, where both say that they may be.
  if (lanes.target.hasApproximations && !FloatFormat(lanes, x).isDouble) {
    auto flags = arith::FastMathFlags::afn | arith::FastMathFlags::arcp;
    root.getDefiningOp<math::SqrtOp>().setFastmath(flags);
    result.getDefiningOp<arith::DivFOp>().setFastmath(flags);
  }
  return result;
}

Value dit::codegen::emitSigmoid(LaneBuilder &lanes, Value x) {
  Value power = emitExp(lanes, lanes.make<arith::NegFOp>(x));
  return lanes.divideFast(lanes.constant(x.getType(), 1.0),
                          lanes.add(power, 1.0));
}

Value dit::codegen::emitGeluErf(LaneBuilder &lanes, Value x) {
  Value half = lanes.mul(x, 0.5);
  return lanes.fma(half, emitErf(lanes, lanes.mul(x, 0.70710678118654752440)),
                   half);
}

Value dit::codegen::emitGeluTanh(LaneBuilder &lanes, Value x) {
  // -2u = x·(-2√(2/π))·(1 + 0.044715x²)
  Value square = lanes.mul(x, x);
  Value inner = lanes.fma(square, lanes.constant(x.getType(), 0.044715), 1.0);
  Value minusTwoU = lanes.mul(lanes.mul(x, -1.5957691216057308), inner);
  return lanes.divideFast(x, lanes.add(emitExp(lanes, minusTwoU), 1.0));
}

Value dit::codegen::emitGeluErfSlope(LaneBuilder &lanes, Value x) {
  Value half = lanes.constant(x.getType(), 0.5);
  Value below = lanes.fma(
      half, emitErf(lanes, lanes.mul(x, 0.70710678118654752440)), half);
  Value bell = lanes.mul(emitExp(lanes, lanes.mul(lanes.mul(x, x), -0.5)),
                         0.39894228040143267794);
  return lanes.fma(x, bell, below);
}

Value dit::codegen::emitGeluTanhSlope(LaneBuilder &lanes, Value x) {
  // Beyond it is 0 or 1, and e^-2u would not be finite.
  x = atMost(lanes, atLeast(lanes, x, -10), 10);
  Value square = lanes.mul(x, x);
  Value inner = lanes.fma(square, lanes.constant(x.getType(), 0.044715), 1.0);
  Value power =
      emitExp(lanes, lanes.mul(lanes.mul(x, -1.5957691216057308), inner));
  Value s =
      lanes.divideFast(lanes.constant(x.getType(), 1.0), lanes.add(power, 1.0));
  Value slope = lanes.mul(
      lanes.fma(square, lanes.constant(x.getType(), 3 * 0.044715), 1.0),
      1.5957691216057308);
  // 1 − s without cancellation.
  Value rest = lanes.mul(power, s);
  return lanes.fma(lanes.mul(x, slope), lanes.mul(s, rest), s);
}

Value dit::codegen::emitPower(LaneBuilder &lanes, Value x, double y) {
  double size = std::fabs(y);
  if (size == 0.5) {
    Value root = lanes.make<math::SqrtOp>(x);
    return y > 0 ? root : lanes.div(lanes.constant(x.getType(), 1.0), root);
  }
  if (size > 8 || size != std::floor(size))
    return emitPower(lanes, x, lanes.constant(x.getType(), y));
  Value product = lanes.constant(x.getType(), 1.0), factor = x;
  for (auto rest = static_cast<unsigned>(size); rest; rest >>= 1) {
    if (rest & 1)
      product = lanes.mul(product, factor);
    if (rest > 1)
      factor = lanes.mul(factor, factor);
  }
  return y >= 0 ? product
                : lanes.div(lanes.constant(x.getType(), 1.0), product);
}

Value dit::codegen::emitPower(LaneBuilder &lanes, Value x, Value y) {
  Type element = getElementTypeOrSelf(x), wide = lanes.builder.getF64Type();
  Value both[] = {x, y};
  lanes.unify(both);
  for (Value &value : both)
    if (!element.isF64())
      value = lanes.cast<arith::ExtFOp>(value, wide);
  auto [base, exponent] = both;
  Type type = base.getType();
  Value zero = lanes.constant(type, 0.0);
  Value size =
      emitExp(lanes, lanes.mul(exponent,
                               emitLog(lanes, lanes.make<math::AbsFOp>(base))));
  // A negative base: the sign of an odd power, NaN for a broken one.
  Value isWhole = lanes.compare(arith::CmpFPredicate::OEQ, exponent,
                                lanes.make<math::FloorOp>(exponent));
  Value half = lanes.mul(exponent, 0.5);
  Value isEven = lanes.compare(arith::CmpFPredicate::OEQ, half,
                               lanes.make<math::FloorOp>(half));
  Value signedSize =
      lanes.select(isEven, size, lanes.make<arith::NegFOp>(size));
  Value negative = lanes.select(isWhole, signedSize, lanes.constant(type, NAN));
  Value power = lanes.select(
      lanes.compare(arith::CmpFPredicate::OLT, base, zero), negative, size);
  power = lanes.select(lanes.compare(arith::CmpFPredicate::OEQ, exponent, zero),
                       lanes.constant(type, 1.0), power);
  return element.isF64() ? power : lanes.cast<arith::TruncFOp>(power, element);
}
