//===- LaneBuilder.cpp - Arithmetic on scalars and vectors alike ----------===//
#include "compiler/codegen/LaneBuilder.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace dit::codegen;

static bool isNarrowFloat(Type element) {
  return element.isBF16() || element.isF16();
}

Type LaneBuilder::getComputeType(Type element) {
  return isNarrowFloat(element) ? Float32Type::get(element.getContext())
                                : element;
}

Type LaneBuilder::getStorageType(Type element) {
  if (element.isInteger(1))
    return IntegerType::get(element.getContext(), 8);
  if (isNarrowFloat(element))
    return IntegerType::get(element.getContext(), 16);
  return element;
}

Type LaneBuilder::getTypeLike(Type element, Type like) {
  if (auto vector = dyn_cast<VectorType>(like))
    return VectorType::get(vector.getShape(), element);
  return element;
}

static Value makeConstant(OpBuilder &builder, Location loc, Type type,
                          Attribute value) {
  if (auto vector = dyn_cast<VectorType>(type))
    value = DenseElementsAttr::get(vector, value);
  return arith::ConstantOp::create(builder, loc, type, cast<TypedAttr>(value));
}

Value LaneBuilder::constant(Type like, double value) {
  Type element = getElementTypeOrSelf(like);
  return makeConstant(builder, loc, like, builder.getFloatAttr(element, value));
}

Value LaneBuilder::integer(Type like, int64_t value) {
  Type element = getElementTypeOrSelf(like);
  return makeConstant(builder, loc, like,
                      builder.getIntegerAttr(element, value));
}

Value LaneBuilder::bits(Type like, uint64_t value) {
  unsigned width = getElementTypeOrSelf(like).getIntOrFloatBitWidth();
  auto element = builder.getIntegerType(width);
  return makeConstant(
      builder, loc, getTypeLike(element, like),
      builder.getIntegerAttr(element, APInt(width, value, false, true)));
}

Value LaneBuilder::widen(Value value, Type like) {
  auto vector = dyn_cast<VectorType>(like);
  if (!vector || isa<VectorType>(value.getType()))
    return value;
  return vector::BroadcastOp::create(
      builder, loc, VectorType::get(vector.getShape(), value.getType()), value);
}

void LaneBuilder::unify(MutableArrayRef<Value> values) {
  auto *place = llvm::find_if(
      values, [](Value value) { return isa<VectorType>(value.getType()); });
  if (place == values.end())
    return;
  Type like = place->getType();
  for (Value &value : values)
    value = widen(value, like);
}

Value LaneBuilder::fma(Value a, Value b, Value c) {
  Value all[] = {a, b, c};
  unify(all);
  return math::FmaOp::create(builder, loc, all[0], all[1], all[2]);
}

Value LaneBuilder::divideFast(Value lhs, Value rhs) {
  Value quotient = div(lhs, rhs);
  if (target.hasApproximations && getElementTypeOrSelf(quotient).isF32())
    quotient.getDefiningOp<arith::DivFOp>().setFastmath(
        arith::FastMathFlags::afn);
  return quotient;
}

Value LaneBuilder::polynomial(Value x, ArrayRef<double> coefficients) {
  Value sum = constant(x.getType(), coefficients.front());
  for (double coefficient : coefficients.drop_front())
    sum = fma(sum, x, coefficient);
  return sum;
}

Value LaneBuilder::compare(arith::CmpFPredicate predicate, Value lhs,
                           Value rhs) {
  Value both[] = {lhs, rhs};
  unify(both);
  return arith::CmpFOp::create(builder, loc, predicate, both[0], both[1]);
}

Value LaneBuilder::compare(arith::CmpIPredicate predicate, Value lhs,
                           Value rhs) {
  Value both[] = {lhs, rhs};
  unify(both);
  return arith::CmpIOp::create(builder, loc, predicate, both[0], both[1]);
}

Value LaneBuilder::select(Value condition, Value yes, Value no) {
  Value all[] = {condition, yes, no};
  unify(all);
  return arith::SelectOp::create(builder, loc, all[0], all[1], all[2]);
}

Value LaneBuilder::resizeInteger(Value value, Type element) {
  unsigned from = getElementTypeOrSelf(value).getIntOrFloatBitWidth();
  unsigned to = element.getIntOrFloatBitWidth();
  if (from == to)
    return value;
  return from < to ? cast<arith::ExtSIOp>(value, element)
                   : cast<arith::TruncIOp>(value, element);
}

/// The 16 bits of `value` rounded to bf16, ties to even, NaN kept.
Value LaneBuilder::toBf16Bits(Value value) {
  Type half = builder.getI16Type(), word = builder.getI32Type();
  if (target.hasBf16Conversion && isa<VectorType>(value.getType()))
    return cast<arith::BitcastOp>(
        cast<arith::TruncFOp>(value, builder.getBF16Type()), half);
  Value raw = cast<arith::BitcastOp>(value, word);
  Value sixteen = bits(raw.getType(), 16);
  Value upper = make<arith::ShRUIOp>(raw, sixteen);
  Value odd = make<arith::AndIOp>(upper, bits(raw.getType(), 1));
  Value bias = make<arith::AddIOp>(odd, bits(raw.getType(), 0x7fff));
  Value rounded = make<arith::ShRUIOp>(make<arith::AddIOp>(raw, bias), sixteen);
  Value quiet = make<arith::OrIOp>(upper, bits(raw.getType(), 0x40));
  Value isNan = compare(arith::CmpFPredicate::UNO, value, value);
  return cast<arith::TruncIOp>(select(isNan, quiet, rounded), half);
}

Value LaneBuilder::round(Value value, Type element) {
  if (!isNarrowFloat(element))
    return value;
  Value stored = toStorage(value, element);
  Value rounded = fromStorage(stored, element);
  narrow[{rounded, element}] = stored;
  return rounded;
}

Value LaneBuilder::toStorage(Value value, Type element) {
  if (Value known = narrow.lookup({value, element}))
    return known;
  if (element.isBF16())
    return toBf16Bits(value);
  if (element.isF16())
    return cast<arith::BitcastOp>(cast<arith::TruncFOp>(value, element),
                                  builder.getI16Type());
  if (element.isInteger(1))
    return cast<arith::ExtUIOp>(value, builder.getI8Type());
  return value;
}

Value LaneBuilder::fromStorage(Value stored, Type element) {
  Type word = builder.getI32Type(), single = builder.getF32Type();
  if (element.isBF16()) {
    Value wide = cast<arith::ExtUIOp>(stored, word);
    Value raw = make<arith::ShLIOp>(wide, bits(wide.getType(), 16));
    return cast<arith::BitcastOp>(raw, single);
  }
  if (element.isF16())
    return cast<arith::ExtFOp>(cast<arith::BitcastOp>(stored, element), single);
  if (element.isInteger(1))
    return compare(arith::CmpIPredicate::ne, stored,
                   integer(stored.getType(), 0));
  return stored;
}
