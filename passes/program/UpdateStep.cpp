//===- UpdateStep.cpp - AdamW, clipping and EMA ---------------------------===//
#include "passes/program/UpdateStep.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <limits>

using namespace mlir;
using namespace dit;

/// Added to the norm that clipping divides by, as PyTorch does.
static constexpr double clipMargin = 1e-6;
/// fp16's loss scale: clean steps until it doubles, and its bounds.
static constexpr double growthSteps = 1000, leastScale = 1,
                        largestScale = 4294967296.0;

namespace {
/// Entries of the global `numbers`, what `prepare_update` tells `update`.
enum class Number : int64_t {
  Factor, // g / G; NaN: everything stays as it is
  Beta1,
  RestOfBeta1, // 1 − β1
  Beta2,
  RestOfBeta2,
  Epsilon,
  StepSize,       // lr / (1 − β1^a)
  RootCorrection, // √(1 − β2^a)
  Kept,           // 1 − lr · wd
  Averaged,       // 1 − decay
};

class UpdateStep {
public:
  UpdateStep(StepBuilder &steps, const TrainState &state,
             const UpdateGlobals &globals, bool scalesLoss)
      : steps(steps), builder(steps.getBuilder()), loc(steps.getLoc()),
        state(state), globals(globals), scalesLoss(scalesLoss) {}

  void build();

private:
  Value add(Value a, Value b) {
    return arith::AddFOp::create(builder, loc, a, b);
  }
  Value sub(Value a, Value b) {
    return arith::SubFOp::create(builder, loc, a, b);
  }
  Value mul(Value a, Value b) {
    return arith::MulFOp::create(builder, loc, a, b);
  }
  Value div(Value a, Value b) {
    return arith::DivFOp::create(builder, loc, a, b);
  }
  Value sqrt(Value a) { return math::SqrtOp::create(builder, loc, a); }
  Value splat(Value like, double value) {
    return createSplat(builder, loc, getTensorType(like), value);
  }
  /// 1 − a.
  Value rest(Value a) { return sub(splat(a, 1), a); }
  Value select(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(builder, loc, condition, yes, no);
  }
  Value compare(arith::CmpFPredicate predicate, Value a, Value b) {
    return arith::CmpFOp::create(builder, loc, predicate, a, b);
  }
  Value entry(Value numbers, int64_t index) {
    return createSlice(builder, loc, numbers, 0, index, 1);
  }
  Value hyper(Hyper which) {
    return entry(steps.read(globals.hyper), static_cast<int64_t>(which));
  }
  /// A flat, or a range of one, as rows, which kernels share out.
  Value readRows(GlobalOp flat) {
    int64_t elements = flat.getTensorType().getNumElements();
    return createReshape(builder, loc, steps.read(flat),
                         {elements / flatRow, flatRow});
  }
  void writeRows(Value value, GlobalOp flat) {
    steps.write(
        createReshape(builder, loc, value, flat.getTensorType().getShape()),
        flat);
  }
  Value measureGradients(Value scale);
  Value chooseFactor(Value scale, Value norm);
  Value biasCorrection(Value beta, Value count);
  Value gatherNumbers(Value factor, Value isFinite, Value count);
  void buildPreparation();
  void updateRange(const FlatRange &range);
  void updateLossScale(Value isFinite);
  Value count(GlobalOp global, Value condition);

  StepBuilder &steps;
  OpBuilder &builder;
  Location loc;
  const TrainState &state;
  const UpdateGlobals &globals;
  bool scalesLoss;
};
} // namespace

/// ‖scale · G‖, [1]. In two sums, row by row and over the rows: their order is
/// the same on any machine.
Value UpdateStep::measureGradients(Value scale) {
  Value sum = readRows(state.gradients);
  Value parts =
      ReduceOp::create(builder, loc, ReduceKind::Sum, mul(sum, sum), {1});
  Value squares = ReduceOp::create(builder, loc, ReduceKind::Sum, parts, {0});
  return mul(scale, sqrt(createReshape(builder, loc, squares, {1})));
}

/// What G is multiplied by: `scale`, less where the norm is clipped.
Value UpdateStep::chooseFactor(Value scale, Value norm) {
  Value clip = hyper(Hyper::Clip);
  Value isOn = compare(arith::CmpFPredicate::OGT, clip, splat(clip, 0));
  Value ratio = div(clip, add(norm, splat(norm, clipMargin)));
  Value isLarge = compare(arith::CmpFPredicate::OLT, ratio, splat(ratio, 1));
  Value one = splat(ratio, 1);
  return mul(scale, select(isOn, select(isLarge, ratio, one), one));
}

/// 1 − beta^count. In fp64: at first beta2^count is nearly 1.
Value UpdateStep::biasCorrection(Value beta, Value count) {
  Type f64 = builder.getF64Type();
  Value base = createCast(builder, loc, beta, f64);
  Value exponent = createCast(builder, loc, count, f64);
  Value power = math::ExpOp::create(
      builder, loc,
      mul(exponent, math::LogOp::create(builder, loc, base).getResult()));
  return createCast(builder, loc, rest(power), builder.getF32Type());
}

/// What all elements have in common, in the order of `Number`.
Value UpdateStep::gatherNumbers(Value factor, Value isFinite, Value count) {
  Value beta1 = hyper(Hyper::Beta1), beta2 = hyper(Hyper::Beta2),
        rate = hyper(Hyper::LearningRate);
  Value numbers[updateNumberCount];
  auto set = [&](Number which, Value number) {
    numbers[static_cast<size_t>(which)] = number;
  };
  Value none = splat(factor, std::numeric_limits<double>::quiet_NaN());
  set(Number::Factor, select(isFinite, factor, none));
  set(Number::Beta1, beta1);
  set(Number::RestOfBeta1, rest(beta1));
  set(Number::Beta2, beta2);
  set(Number::RestOfBeta2, rest(beta2));
  set(Number::Epsilon, hyper(Hyper::Epsilon));
  // lr m̂ / (√v̂ + ε) with all that is one number gathered in two.
  set(Number::StepSize, div(rate, biasCorrection(beta1, count)));
  set(Number::RootCorrection, sqrt(biasCorrection(beta2, count)));
  set(Number::Kept, rest(mul(rate, hyper(Hyper::WeightDecay))));
  set(Number::Averaged, rest(hyper(Hyper::EmaDecay)));
  return tensor::ConcatOp::create(builder, loc, 0, numbers);
}

void UpdateStep::updateRange(const FlatRange &range) {
  Value p = readRows(range.masters), m = readRows(range.moment1),
        v = readRows(range.moment2), e = readRows(range.ema);
  auto each = [&](Number which) {
    return createNumpyBroadcast(
        builder, loc,
        entry(steps.read(globals.numbers), static_cast<int64_t>(which)),
        getTensorType(p).getShape());
  };
  Value g = mul(each(Number::Factor), readRows(range.gradients));
  Value newM =
      add(mul(each(Number::Beta1), m), mul(each(Number::RestOfBeta1), g));
  Value newV = add(mul(each(Number::Beta2), v),
                   mul(each(Number::RestOfBeta2), mul(g, g)));
  Value root =
      add(div(sqrt(newV), each(Number::RootCorrection)), each(Number::Epsilon));
  Value newP = sub(mul(p, each(Number::Kept)),
                   mul(each(Number::StepSize), div(newM, root)));
  Value newE = add(e, mul(each(Number::Averaged), sub(newP, e)));

  // A finite norm has finite gradients. Not by a number: every range has a
  // condition of its own, which no kernel hands to another.
  Value apply = compare(arith::CmpFPredicate::ORD, g, g);
  Value result = select(apply, newP, p);
  writeRows(result, range.masters);
  writeRows(select(apply, newM, m), range.moment1);
  writeRows(select(apply, newV, v), range.moment2);
  writeRows(select(apply, newE, e), range.ema);
  if (GlobalOp low = range.weights)
    writeRows(
        createCast(builder, loc, result, low.getTensorType().getElementType()),
        low);
}

/// The global of one integer, one more where `condition` holds.
Value UpdateStep::count(GlobalOp global, Value condition) {
  Value old = steps.read(global);
  Value more = arith::AddIOp::create(builder, loc, old, splat(old, 1));
  return select(condition, more, old);
}

void UpdateStep::updateLossScale(Value isFinite) {
  Value scale = steps.read(globals.lossScale);
  Value good = steps.read(globals.goodSteps);
  Value more = arith::AddIOp::create(builder, loc, good, splat(good, 1));
  Value isLong = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge,
                                       more, splat(good, growthSteps));
  Value larger = arith::MinimumFOp::create(
      builder, loc, mul(scale, splat(scale, 2)), splat(scale, largestScale));
  Value smaller = arith::MaximumFOp::create(
      builder, loc, mul(scale, splat(scale, 0.5)), splat(scale, leastScale));
  Value zero = splat(good, 0);
  steps.write(select(isFinite, select(isLong, larger, scale), smaller),
              globals.lossScale);
  steps.write(select(isFinite, select(isLong, zero, more), zero),
              globals.goodSteps);
}

void UpdateStep::buildPreparation() {
  steps.beginStep("prepare_update", "prepare_update");
  Value scale = hyper(Hyper::BatchPart);
  if (scalesLoss)
    scale = div(scale, steps.read(globals.lossScale));
  Value norm = measureGradients(scale);
  steps.write(norm, globals.gradientNorm);
  // Neither infinite nor NaN.
  Value isFinite =
      compare(arith::CmpFPredicate::OLT, norm,
              splat(norm, std::numeric_limits<double>::infinity()));
  Value done = count(globals.applied, isFinite);
  steps.write(gatherNumbers(chooseFactor(scale, norm), isFinite, done),
              globals.numbers);
  steps.write(done, globals.applied);
  Value skipped = steps.read(globals.skipped);
  Value more = arith::AddIOp::create(builder, loc, skipped, splat(skipped, 1));
  steps.write(select(isFinite, skipped, more), globals.skipped);
  if (scalesLoss)
    updateLossScale(isFinite);
}

void UpdateStep::build() {
  buildPreparation();
  steps.beginStep("update", "update");
  for (const FlatRange &range : makeRanges(steps, state))
    updateRange(range);
}

void dit::buildUpdateStep(StepBuilder &steps, const TrainState &state,
                          const UpdateGlobals &globals, bool scalesLoss) {
  UpdateStep(steps, state, globals, scalesLoss).build();
}
