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
class UpdateStep {
public:
  UpdateStep(StepBuilder &steps, const TrainState &state,
             const UpdateGlobals &globals, bool scalesLoss)
      : steps(steps), builder(steps.getBuilder()), loc(steps.getLoc()),
        state(state), globals(globals), scalesLoss(scalesLoss),
        rows{state.elements / flatRow, flatRow} {}

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
  Value hyper(Hyper which) {
    return createSlice(builder, loc, steps.read(globals.hyper), 0,
                       static_cast<int64_t>(which), 1);
  }
  /// A flat as rows, which kernels share out.
  Value readRows(GlobalOp flat) {
    return createReshape(builder, loc, steps.read(flat), rows);
  }
  void writeRows(Value value, GlobalOp flat) {
    steps.write(createReshape(builder, loc, value, {state.elements}), flat);
  }
  /// A number [1] for every element of the flats.
  Value spread(Value number) {
    return createNumpyBroadcast(builder, loc, number, rows);
  }
  Value measureGradients(Value scale);
  Value chooseFactor(Value scale, Value norm);
  Value biasCorrection(Value beta, Value count);
  void updateFlats(Value factor, Value isFinite, Value count);
  void updateLossScale(Value isFinite);
  Value count(GlobalOp global, Value condition);

  StepBuilder &steps;
  OpBuilder &builder;
  Location loc;
  const TrainState &state;
  const UpdateGlobals &globals;
  bool scalesLoss;
  SmallVector<int64_t> rows;
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

void UpdateStep::updateFlats(Value factor, Value isFinite, Value count) {
  Value beta1 = hyper(Hyper::Beta1), beta2 = hyper(Hyper::Beta2),
        rate = hyper(Hyper::LearningRate);
  // lr m̂ / (√v̂ + ε) with all that is one number gathered in two.
  Value rootCorrection = sqrt(biasCorrection(beta2, count));
  Value stepSize = div(rate, biasCorrection(beta1, count));
  Value kept = rest(mul(rate, hyper(Hyper::WeightDecay)));
  Value averaged = rest(hyper(Hyper::EmaDecay));

  Value p = readRows(state.masters), m = readRows(state.moment1),
        v = readRows(state.moment2), e = readRows(state.ema);
  Value g = mul(spread(factor), readRows(state.gradients));
  Value newM = add(mul(spread(beta1), m), mul(spread(rest(beta1)), g));
  Value newV = add(mul(spread(beta2), v), mul(spread(rest(beta2)), mul(g, g)));
  Value root = add(div(sqrt(newV), spread(rootCorrection)),
                   spread(hyper(Hyper::Epsilon)));
  Value newP =
      sub(mul(p, spread(kept)), mul(spread(stepSize), div(newM, root)));
  Value newE = add(e, mul(spread(averaged), sub(newP, e)));

  Value apply = spread(isFinite);
  Value result = select(apply, newP, p);
  writeRows(result, state.masters);
  writeRows(select(apply, newM, m), state.moment1);
  writeRows(select(apply, newV, v), state.moment2);
  writeRows(select(apply, newE, e), state.ema);
  if (GlobalOp low = state.weights)
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

void UpdateStep::build() {
  steps.beginStep("update", "update");
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
  updateFlats(chooseFactor(scale, norm), isFinite, done);
  steps.write(done, globals.applied);
  Value skipped = steps.read(globals.skipped);
  Value more = arith::AddIOp::create(builder, loc, skipped, splat(skipped, 1));
  steps.write(select(isFinite, skipped, more), globals.skipped);
  if (scalesLoss)
    updateLossScale(isFinite);
}

void dit::buildUpdateStep(StepBuilder &steps, const TrainState &state,
                          const UpdateGlobals &globals, bool scalesLoss) {
  UpdateStep(steps, state, globals, scalesLoss).build();
}
