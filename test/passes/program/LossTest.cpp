//===- LossTest.cpp - The loss against its textbook formula ---------------===//
//
// The formula as Nichol & Dhariwal and reference code have it, with x_t, x̂0 and
// both means, in double; the IR is built in fp64 and evaluated in double.
//
//===----------------------------------------------------------------------===//
#include "passes/program/Loss.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"
#include "passes/program/Differentiate.h"
#include "test/passes/program/DiffusionConstants.h"
#include "test/passes/program/differentiate/Differences.h"
#include "llvm/ADT/Sequence.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dit;

namespace {

constexpr int64_t batch = 6, channels = 2, size = 3;
constexpr int64_t pixels = channels * size * size;
constexpr int64_t timesteps[batch] = {0, 0, 1, 17, 500, 999};

double cdf(double x) {
  return 0.5 *
         (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

double clampedLog(double p) { return std::log(std::max(p, 1e-12)); }

/// −log p(x0) of the discretised Gaussian.
double surprise(double x0, double mean, double logVariance) {
  double inverse = std::exp(-logVariance / 2);
  double above = cdf((x0 - mean + 1.0 / 255) * inverse);
  double below = cdf((x0 - mean - 1.0 / 255) * inverse);
  if (x0 < -0.999)
    return -clampedLog(above);
  if (x0 > 0.999)
    return -clampedLog(1 - below);
  return -clampedLog(above - below);
}

/// The variational term of one pixel in bits.
double variational(const DiffusionConstants &constants, int64_t t, double x0,
                   double noise, double said, double v) {
  double abar = constants.abar[t];
  double noisy = std::sqrt(abar) * x0 + std::sqrt(1 - abar) * noise;
  double guess = std::sqrt(1 / abar) * noisy - std::sqrt(1 / abar - 1) * said;
  double mean1 = constants.c1(t) * x0 + constants.c2(t) * noisy;
  double mean2 = constants.c1(t) * guess + constants.c2(t) * noisy;
  double f = (v + 1) / 2;
  double lv1 = constants.logPosteriorVariance(t);
  double lv2 = f * std::log(constants.beta[t]) + (1 - f) * lv1;
  double kl = 0.5 * (-1 + lv2 - lv1 + std::exp(lv1 - lv2) +
                     std::pow(mean1 - mean2, 2) * std::exp(-lv2));
  return (t ? kl : surprise(x0, mean2, lv2)) / std::log(2.0);
}

/// A function that returns mse, vb, total, the gradient by the output, and x_t.
class LossTest : public testing::Test {
protected:
  LossTest() {
    DialectRegistry registry;
    registerDifferentiableModels(registry);
    context.appendDialectRegistry(registry);
    context.loadDialect<DitDialect, arith::ArithDialect, func::FuncDialect,
                        math::MathDialect, tensor::TensorDialect>();
    module = ModuleOp::create(UnknownLoc::get(&context));
    RandomNumbers random(3);
    x0 = random.draw(batch * pixels, -1, 1);
    noise = random.draw(batch * pixels, -2, 2);
    // The ends of the range, where the likelihood has tails.
    for (int64_t i = 0; i < batch * pixels; i += 4)
      x0[i] = i % 8 ? 1 : -1;
    t.assign(std::begin(timesteps), std::end(timesteps));
  }

  /// A function of a model's output, x0, noise, t and the table; the builder
  /// stands in it.
  func::FuncOp begin(OpBuilder &builder, StringRef name,
                     int64_t outputChannels) {
    Type f64 = builder.getF64Type();
    auto pictureOf = [&](int64_t count) {
      return RankedTensorType::get({batch, count, size, size}, f64);
    };
    builder.setInsertionPointToEnd(module->getBody());
    auto function = func::FuncOp::create(
        builder, builder.getUnknownLoc(), name,
        builder.getFunctionType(
            {pictureOf(outputChannels), pictureOf(channels),
             pictureOf(channels),
             RankedTensorType::get({batch}, builder.getI64Type()),
             RankedTensorType::get(
                 {DiffusionConstants::steps, diffusionColumns}, f64)},
            {}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    return function;
  }

  func::FuncOp build(int64_t outputChannels) {
    OpBuilder builder(&context);
    Location loc = builder.getUnknownLoc();
    func::FuncOp function = begin(builder, "loss", outputChannels);
    ValueRange in = function.getArguments();
    Value rows = createDiffusionRows(builder, loc, in[4], in[3]);
    Losses losses =
        createLoss(builder, loc, {in[0], in[2], in[1], in[3], rows, Value()});
    EXPECT_EQ(losses.vb != Value(), outputChannels == 2 * channels);
    auto gradients = differentiate(builder, losses.total, in[0]);
    EXPECT_TRUE(succeeded(gradients));
    SmallVector<Value> results{
        losses.mse, losses.total, (*gradients)[0],
        createNoisyPicture(builder, loc, rows, in[1], in[2])};
    if (losses.vb)
      results.push_back(losses.vb);
    func::ReturnOp::create(builder, loc, results);
    function.setType(
        builder.getFunctionType(in.getTypes(), ValueRange(results).getTypes()));
    EXPECT_TRUE(succeeded(verify(*module)));
    return function;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  DiffusionConstants constants;
  Numbers x0, noise, t;
};

TEST_F(LossTest, LearnedSigmaIsTheTextbooks) {
  RandomNumbers random(4);
  Numbers output = random.draw(batch * 2 * pixels, -1.5, 1.5);
  auto said = [&](int64_t n, int64_t i) -> double & {
    return output[(2 * n) * pixels + i];
  };
  auto v = [&](int64_t n, int64_t i) -> double & {
    return output[(2 * n + 1) * pixels + i];
  };
  // Near the noise, but for some pixels of sample 0: their probability is 0,
  // which the logarithm clamps.
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t i = 0; i < pixels; ++i)
      said(n, i) = noise[n * pixels + i] +
                   (n == 0 && i % 5 == 0 ? 30 : 0.1 * said(n, i));

  std::vector<Numbers> results =
      evaluate(build(2 * channels), {output, x0, noise, t, constants.table()});
  ASSERT_EQ(results.size(), 5u);
  const Numbers &gradient = results[2];
  auto isClamped = [&](int64_t i) { return gradient[pixels + i] == 0; };
  EXPECT_TRUE(llvm::any_of(llvm::seq(pixels), isClamped));
  EXPECT_FALSE(llvm::all_of(llvm::seq(pixels), isClamped));

  auto vbOf = [&](int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < pixels; ++i)
      sum += variational(constants, timesteps[n], x0[n * pixels + i],
                         noise[n * pixels + i], said(n, i), v(n, i));
    return sum / pixels;
  };
  double total = 0;
  for (int64_t n = 0; n < batch; ++n) {
    double mse = 0;
    for (int64_t i = 0; i < pixels; ++i) {
      double difference = noise[n * pixels + i] - said(n, i);
      mse += difference * difference / pixels;
      // Only the mean square moves ê.
      EXPECT_NEAR(gradient[(2 * n) * pixels + i],
                  -2 * difference / (pixels * batch), 1e-14);
    }
    EXPECT_NEAR(results[0][n], mse, 1e-12 * mse);
    double vb = vbOf(n);
    EXPECT_NEAR(results[4][n], vb, 1e-8 * std::fabs(vb)) << "sample " << n;
    total += (mse + vb) / batch;
  }
  EXPECT_NEAR(results[1][0], total, 1e-8 * total);

  auto loss = [&] {
    double sum = 0;
    for (int64_t n = 0; n < batch; ++n)
      sum += vbOf(n) / batch;
    return sum;
  };
  // At large t both variances are nearly one: differences of whole losses see
  // nothing there, so all samples share a scale.
  std::vector<size_t> entries;
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t i = 0; i < pixels; ++i)
      entries.push_back((2 * n + 1) * pixels + i);
  expectDifferences(output, loss, entries, gradient);
}

TEST_F(LossTest, NoisyPictures) {
  Numbers output(batch * channels * size * size);
  Numbers noisy =
      evaluate(build(channels), {output, x0, noise, t, constants.table()})[3];
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t i = n * pixels; i < (n + 1) * pixels; ++i)
      EXPECT_NEAR(noisy[i],
                  std::sqrt(constants.abar[timesteps[n]]) * x0[i] +
                      std::sqrt(1 - constants.abar[timesteps[n]]) * noise[i],
                  1e-14);
}

TEST_F(LossTest, WithoutLearnedSigmaIsTheMeanSquare) {
  Numbers output = RandomNumbers(5).draw(batch * pixels, -1, 1);
  std::vector<Numbers> results =
      evaluate(build(channels), {output, x0, noise, t, constants.table()});
  ASSERT_EQ(results.size(), 4u);
  double total = 0;
  for (int64_t i = 0; i < batch * pixels; ++i)
    total += std::pow(noise[i] - output[i], 2) / (batch * pixels);
  EXPECT_NEAR(results[1][0], total, 1e-12);
  EXPECT_NEAR(results[2][7], 2 * (output[7] - noise[7]) / (batch * pixels),
              1e-14);
}

/// Hang et al.'s weights, and that they are of the mean square's gradient
/// alone.
TEST_F(LossTest, MinSnr) {
  constexpr double gamma = 5;
  for (bool saysVelocity : {false, true}) {
    OpBuilder builder(&context);
    Location loc = builder.getUnknownLoc();
    func::FuncOp function =
        begin(builder, saysVelocity ? "v" : "eps", 2 * channels);
    ValueRange in = function.getArguments();
    LossInputs inputs{in[0],
                      in[2],
                      in[1],
                      in[3],
                      createDiffusionRows(builder, loc, in[4], in[3]),
                      Value()};
    inputs.weight =
        createSnrWeights(builder, loc, inputs.rows, gamma, saysVelocity);
    Losses losses = createLoss(builder, loc, inputs);
    auto gradients = differentiate(builder, losses.total, in[0]);
    ASSERT_TRUE(succeeded(gradients));
    SmallVector<Value> results{inputs.weight, losses.mse, losses.vb,
                               losses.total, (*gradients)[0]};
    func::ReturnOp::create(builder, loc, results);
    function.setType(
        builder.getFunctionType(in.getTypes(), ValueRange(results).getTypes()));
    ASSERT_TRUE(succeeded(verify(*module)));

    Numbers output = RandomNumbers(8).draw(2 * batch * pixels, -1, 1);
    std::vector<Numbers> got =
        evaluate(function, {output, x0, noise, t, constants.table()});
    double total = 0;
    for (int64_t n = 0; n < batch; ++n) {
      double abar = constants.abar[timesteps[n]], snr = abar / (1 - abar);
      double weight = std::min(snr, gamma) / (saysVelocity ? snr + 1 : snr);
      EXPECT_NEAR(got[0][n], weight, 1e-12 * weight);
      double mse = 0;
      for (int64_t i = 0; i < pixels; ++i) {
        double excess = output[2 * n * pixels + i] - noise[n * pixels + i];
        mse += excess * excess / pixels;
        EXPECT_NEAR(got[4][2 * n * pixels + i],
                    weight * 2 * excess / (pixels * batch), 1e-14);
      }
      EXPECT_NEAR(got[1][n], mse, 1e-12 * mse); // not weighted
      total += (weight * mse + got[2][n]) / batch;
    }
    EXPECT_NEAR(got[3][0], total, 1e-12 * total);
  }
}

/// Times [batch], pictures and an output to x_t, mse, total and the gradient.
TEST_F(LossTest, Flow) {
  OpBuilder builder(&context);
  Location loc = builder.getUnknownLoc();
  Type f64 = builder.getF64Type();
  auto picture = RankedTensorType::get({batch, channels, size, size}, f64);
  auto perSample = RankedTensorType::get({batch}, f64);
  builder.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(
      builder, loc, "flow",
      builder.getFunctionType({picture, picture, picture, perSample}, {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  ValueRange in = function.getArguments();
  LossInputs inputs;
  inputs.output = in[0];
  inputs.target = createFlowVelocity(builder, loc, in[1], in[2]);
  Losses losses = createLoss(builder, loc, inputs);
  auto gradients = differentiate(builder, losses.total, in[0]);
  ASSERT_TRUE(succeeded(gradients));
  SmallVector<Value> results{
      createFlowPicture(builder, loc, in[3], in[1], in[2]), losses.mse,
      losses.total, (*gradients)[0]};
  func::ReturnOp::create(builder, loc, results);
  function.setType(
      builder.getFunctionType(in.getTypes(), ValueRange(results).getTypes()));
  ASSERT_TRUE(succeeded(verify(*module)));

  Numbers output = RandomNumbers(6).draw(batch * pixels, -2, 2);
  Numbers times = RandomNumbers(7).draw(batch, 0, 1);
  std::vector<Numbers> got = evaluate(function, {output, x0, noise, times});
  double total = 0;
  for (int64_t n = 0; n < batch; ++n) {
    double mse = 0;
    for (int64_t i = n * pixels; i < (n + 1) * pixels; ++i) {
      EXPECT_NEAR(got[0][i], (1 - times[n]) * x0[i] + times[n] * noise[i],
                  1e-14);
      double excess = output[i] - (noise[i] - x0[i]);
      mse += excess * excess / pixels;
      EXPECT_NEAR(got[3][i], 2 * excess / (pixels * batch), 1e-14);
    }
    EXPECT_NEAR(got[1][n], mse, 1e-12 * mse);
    total += mse / batch;
  }
  EXPECT_NEAR(got[2][0], total, 1e-12 * total);
}

} // namespace
