//===- EmitRandom.cpp - Philox numbers, lane by lane ----------------------===//
//
// Each lane runs the ten rounds for its own counter and takes its word: four
// neighbours share a counter, so the rounds are done four times over, which
// costs less than moving words between lanes is worth.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/KernelEmitter.h"
#include "compiler/codegen/LaneMath.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

/// The upper and the lower word of constant · x.
static std::pair<Value, Value> multiply(LaneBuilder &lanes, Value x,
                                        uint32_t constant) {
  auto product = arith::MulUIExtendedOp::create(
      lanes.builder, lanes.loc, x, lanes.bits(x.getType(), constant));
  return {product.getHigh(), product.getLow()};
}

static Value takeWord(LaneBuilder &lanes, Value number, unsigned shift) {
  if (shift)
    number =
        lanes.make<arith::ShRUIOp>(number, lanes.bits(number.getType(), shift));
  return lanes.cast<arith::TruncIOp>(number, lanes.builder.getI32Type());
}

/// (word >> 8, plus `offset`) · 2^-24.
static Value makeUniform(LaneBuilder &lanes, Value word, double offset) {
  Value top = lanes.make<arith::ShRUIOp>(word, lanes.bits(word.getType(), 8));
  Value number = lanes.cast<arith::SIToFPOp>(top, lanes.builder.getF32Type());
  if (offset != 0)
    number = lanes.add(number, offset);
  return lanes.mul(number, 0x1p-24);
}

Value KernelEmitter::emitRandom(RandomOp op, const Index &index) {
  auto type = cast<RankedTensorType>(op.getType());
  Type word = builder.getI32Type(), wide = builder.getI64Type();
  auto number = [&](Value tensor, const Index &at) {
    return lanes.resizeInteger(emitElement(tensor, at), wide);
  };
  auto only = [&](Value tensor) {
    auto rank = cast<RankedTensorType>(tensor.getType()).getRank();
    return number(tensor, Index(static_cast<size_t>(rank)));
  };
  Value seed = only(op.getSeed()), step = only(op.getStep());
  Value picture = number(op.getPictures(), {index[0]});

  IndexExpr element = table.linearize(Index(ArrayRef(index).drop_front()),
                                      type.getShape().drop_front());
  auto asWord = [&](const IndexExpr &expr) {
    Value value = table.isVector(expr) ? emitVector(expr) : emitScalar(expr);
    return lanes.resizeInteger(value, word);
  };
  Value place = asWord(table.mod(element, 4));
  Value counter[4] = {asWord(table.floorDiv(element, 4)),
                      takeWord(lanes, picture, 0), takeWord(lanes, step, 0),
                      takeWord(lanes, picture, 32)};
  counter[2] = lanes.make<arith::AddIOp>(counter[2], lanes.integer(word, 1));
  counter[3] = lanes.make<arith::OrIOp>(
      lanes.make<arith::ShLIOp>(counter[3],
                                lanes.bits(counter[3].getType(), 16)),
      lanes.integer(word, op.getStream() & 0xffff));
  Value key[2] = {takeWord(lanes, seed, 0), takeWord(lanes, seed, 32)};
  lanes.unify(counter);
  for (int round = 0; round < 10; ++round) {
    auto [highA, lowA] = multiply(lanes, counter[0], 0xD2511F53);
    auto [highB, lowB] = multiply(lanes, counter[2], 0xCD9E8D57);
    Value first = lanes.make<arith::XOrIOp>(
        lanes.make<arith::XOrIOp>(highB, counter[1]), key[0]);
    Value third = lanes.make<arith::XOrIOp>(
        lanes.make<arith::XOrIOp>(highA, counter[3]), key[1]);
    counter[0] = first, counter[1] = lowB;
    counter[2] = third, counter[3] = lowA;
    key[0] = lanes.make<arith::AddIOp>(
        key[0], lanes.bits(key[0].getType(), 0x9E3779B9));
    key[1] = lanes.make<arith::AddIOp>(
        key[1], lanes.bits(key[1].getType(), 0xBB67AE85));
  }

  auto hasBit = [&](int64_t bit) {
    Value set =
        lanes.make<arith::AndIOp>(place, lanes.integer(place.getType(), bit));
    return lanes.compare(arith::CmpIPredicate::ne, set,
                         lanes.integer(place.getType(), 0));
  };
  Value isSecondPair = hasBit(2), isOdd = hasBit(1);
  Value even = lanes.select(isSecondPair, counter[2], counter[0]);
  Value odd = lanes.select(isSecondPair, counter[3], counter[1]);
  if (op.getDistribution() == Distribution::Uniform)
    return makeUniform(lanes, lanes.select(isOdd, odd, even), 0);
  Value radius = lanes.make<math::SqrtOp>(
      lanes.mul(emitLog(lanes, makeUniform(lanes, even, 1)), -2.0));
  Value angle = lanes.mul(makeUniform(lanes, odd, 0), 6.283185307179586);
  return lanes.mul(radius, lanes.select(isOdd, emitSin(lanes, angle),
                                        emitCos(lanes, angle)));
}
