//===- Loss.cpp - What training makes small -------------------------------===//
#include "passes/program/Loss.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <numbers>

using namespace mlir;
using namespace dit;

/// Pixels are 2/255 apart; x0 beyond ±edge is the first or last of them.
static constexpr double halfPixel = 1.0 / 255, edge = 0.999;
/// Probabilities are not taken for smaller.
static constexpr double leastProbability = 1e-12;

namespace {
/// Writes the loss of pictures of one type.
class LossBuilder {
public:
  LossBuilder(OpBuilder &builder, Location loc, RankedTensorType picture)
      : builder(builder), loc(loc), picture(picture) {}

  Value add(Value a, Value b) {
    return arith::AddFOp::create(builder, loc, a, b);
  }
  Value sub(Value a, Value b) {
    return arith::SubFOp::create(builder, loc, a, b);
  }
  Value mul(Value a, Value b) {
    return arith::MulFOp::create(builder, loc, a, b);
  }
  Value exp(Value a) { return math::ExpOp::create(builder, loc, a); }
  Value plus(Value a, double b) { return add(a, splat(a, b)); }
  Value times(Value a, double b) { return mul(a, splat(a, b)); }
  Value splat(Value like, double value) {
    return createSplat(builder, loc, getTensorType(like), value);
  }
  Value select(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(builder, loc, condition, yes, no);
  }
  Value compare(arith::CmpFPredicate predicate, Value a, double b) {
    return arith::CmpFOp::create(builder, loc, predicate, a, splat(a, b));
  }
  /// A sample's number for all of its pixels.
  Value spread(Value value) {
    return createBroadcast(builder, loc, value, picture.getShape(), {0});
  }
  Value column(Value rows, DiffusionColumn column);
  /// The mean over a sample's pixels, in units of `unit`: [B].
  Value meanOf(Value value, double unit);
  /// The channels [first, first + C) of the model's output.
  Value channels(Value output, int64_t first);
  Value variational(const LossInputs &inputs, Value said, Value v);

private:
  Value divergence(Value offset, Value excess, Value logVariance);
  Value surprise(Value offset, Value x0, Value logVariance);
  Value tanhOfCdf(Value x);

  OpBuilder &builder;
  Location loc;
  RankedTensorType picture;
};
} // namespace

Value LossBuilder::column(Value rows, DiffusionColumn column) {
  Value slice =
      createSlice(builder, loc, rows, 1, static_cast<int64_t>(column), 1);
  return spread(createReshape(builder, loc, slice, {picture.getDimSize(0)}));
}

Value LossBuilder::meanOf(Value value, double unit) {
  Value sum = ReduceOp::create(builder, loc, ReduceKind::Sum, value, {1, 2, 3});
  int64_t pixels = picture.getNumElements() / picture.getDimSize(0);
  return times(sum, 1 / (unit * static_cast<double>(pixels)));
}

Value LossBuilder::channels(Value output, int64_t first) {
  Value slice =
      createSlice(builder, loc, output, 1, first, picture.getDimSize(1));
  return createCast(builder, loc, slice, picture.getElementType());
}

/// KL(posterior ‖ model) in nats. `offset` is the difference of the means,
/// `excess` of the log variances.
Value LossBuilder::divergence(Value offset, Value excess, Value logVariance) {
  Value negative = arith::NegFOp::create(builder, loc, excess);
  Value spreads = plus(add(excess, exp(negative)), -1);
  Value precision = exp(arith::NegFOp::create(builder, loc, logVariance));
  return times(add(spreads, mul(mul(offset, offset), precision)), 0.5);
}

/// tanh u where the approximate Gaussian distribution function is ½(1 + tanh
/// u).
Value LossBuilder::tanhOfCdf(Value x) {
  Value cube = mul(mul(x, x), x);
  Value u = times(add(x, times(cube, 0.044715)),
                  std::numbers::sqrt2 * std::numbers::inv_sqrtpi);
  return math::TanhOp::create(builder, loc, u);
}

/// −log of the probability that the model's Gaussian gives to the pixel values
/// x0, whose mean is `offset` below them, in nats. The first and the last value
/// have all of their tail.
Value LossBuilder::surprise(Value offset, Value x0, Value logVariance) {
  Value inverse = exp(times(logVariance, -0.5));
  Value above = tanhOfCdf(mul(plus(offset, halfPixel), inverse));
  Value below = tanhOfCdf(mul(plus(offset, -halfPixel), inverse));
  Value one = splat(above, 1);
  Value isFirst = compare(arith::CmpFPredicate::OLT, x0, -edge);
  Value isLast = compare(arith::CmpFPredicate::OGT, x0, edge);
  Value twice = select(isFirst, add(one, above),
                       select(isLast, sub(one, below), sub(above, below)));
  Value probability = arith::MaximumFOp::create(builder, loc, times(twice, 0.5),
                                                splat(twice, leastProbability));
  return arith::NegFOp::create(builder, loc,
                               math::LogOp::create(builder, loc, probability));
}

Value LossBuilder::variational(const LossInputs &inputs, Value said, Value v) {
  Value fixed = StopGradientOp::create(builder, loc, said);
  Value offset = mul(column(inputs.rows, DiffusionColumn::MeanScale),
                     sub(fixed, inputs.target));
  Value least = column(inputs.rows, DiffusionColumn::LogPosteriorVariance);
  Value range = sub(column(inputs.rows, DiffusionColumn::LogBeta), least);
  Value excess = mul(times(plus(v, 1), 0.5), range);
  Value logVariance = add(least, excess);

  RankedTensorType timesteps = getTensorType(inputs.t);
  Value isFirst = spread(
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, inputs.t,
                            createSplat(builder, loc, timesteps, 0)));
  Value nats = select(isFirst, surprise(offset, inputs.x0, logVariance),
                      divergence(offset, excess, logVariance));
  return meanOf(nats, std::numbers::ln2);
}

Value dit::createDiffusionRows(OpBuilder &builder, Location loc, Value table,
                               Value t) {
  return GatherOp::create(builder, loc, table, t);
}

Value dit::createNoisyPicture(OpBuilder &builder, Location loc, Value rows,
                              Value x0, Value noise) {
  LossBuilder terms(builder, loc, getTensorType(x0));
  return terms.add(
      terms.mul(terms.column(rows, DiffusionColumn::SqrtAbar), x0),
      terms.mul(terms.column(rows, DiffusionColumn::SqrtRest), noise));
}

Value dit::createVelocity(OpBuilder &builder, Location loc, Value rows,
                          Value x0, Value noise) {
  LossBuilder terms(builder, loc, getTensorType(x0));
  return terms.sub(
      terms.mul(terms.column(rows, DiffusionColumn::SqrtAbar), noise),
      terms.mul(terms.column(rows, DiffusionColumn::SqrtRest), x0));
}

Value dit::createFlowPicture(OpBuilder &builder, Location loc, Value t,
                             Value x0, Value noise) {
  LossBuilder terms(builder, loc, getTensorType(x0));
  Value rest = terms.sub(terms.splat(t, 1), t);
  return terms.add(terms.mul(terms.spread(rest), x0),
                   terms.mul(terms.spread(t), noise));
}

Value dit::createFlowVelocity(OpBuilder &builder, Location loc, Value x0,
                              Value noise) {
  return arith::SubFOp::create(builder, loc, noise, x0);
}

/// Without a division where there is no signal, or no noise: with a = √ᾱ and
/// s = √(1 − ᾱ) these are min(a², γ s²), and min(1, γ s² / a²).
Value dit::createSnrWeights(OpBuilder &builder, Location loc, Value rows,
                            double gamma, bool saysVelocity) {
  auto square = [&](DiffusionColumn column) -> Value {
    Value slice =
        createSlice(builder, loc, rows, 1, static_cast<int64_t>(column), 1);
    Value value =
        createReshape(builder, loc, slice, {getTensorType(rows).getDimSize(0)});
    return arith::MulFOp::create(builder, loc, value, value);
  };
  Value signal = square(DiffusionColumn::SqrtAbar);
  Value noise = square(DiffusionColumn::SqrtRest);
  auto splat = [&](double value) {
    return createSplat(builder, loc, getTensorType(noise), value);
  };
  Value limit = arith::MulFOp::create(builder, loc, noise, splat(gamma));
  if (saysVelocity)
    return arith::MinimumFOp::create(builder, loc, signal, limit);
  return arith::MinimumFOp::create(
      builder, loc, splat(1),
      arith::DivFOp::create(builder, loc, limit, signal));
}

Losses dit::createLoss(OpBuilder &builder, Location loc,
                       const LossInputs &inputs) {
  RankedTensorType picture = getTensorType(inputs.target);
  int64_t channels = picture.getDimSize(1),
          given = getTensorType(inputs.output).getDimSize(1);
  assert((given == channels || given == 2 * channels) &&
         "the output must be like the target, or have twice its channels");
  LossBuilder terms(builder, loc, picture);
  Value said = terms.channels(inputs.output, 0);
  Value difference = terms.sub(inputs.target, said);

  Losses losses;
  losses.mse = terms.meanOf(terms.mul(difference, difference), 1);
  Value sum = inputs.weight ? terms.mul(inputs.weight, losses.mse) : losses.mse;
  if (given == 2 * channels) {
    losses.vb = terms.variational(inputs, said,
                                  terms.channels(inputs.output, channels));
    sum = terms.add(sum, losses.vb);
  }
  Value total = ReduceOp::create(builder, loc, ReduceKind::Sum, sum, {0});
  losses.total =
      terms.times(total, 1 / static_cast<double>(picture.getDimSize(0)));
  return losses;
}
