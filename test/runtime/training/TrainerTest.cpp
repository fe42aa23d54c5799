//===- TrainerTest.cpp - Steps of a small train plan ----------------------===//

#include "runtime/plan/Failure.h"
#include "test/runtime/devices/LateDevice.h"
#include "test/runtime/training/TrainerRun.h"

#include <bit>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using namespace dit::test;
using dit::plan::Exit;

namespace {

/// The same training in double, written down from the formulas.
struct Reference {
  std::vector<double> p = std::vector<double>(parameterCount), m = p, v = p,
                      ema = p, abar;

  Reference() {
    double product = 1;
    for (int t = 0; t != 1000; ++t)
      abar.push_back(product *= 1 - (1e-4 + t * (0.02 - 1e-4) / 999));
  }
  /// Returns the loss and leaves the gradient's norm.
  double step(int64_t step, int64_t globalBatch, const TrainerOptions &o,
              double &norm) {
    std::vector<double> g(parameterCount);
    double loss = 0;
    for (int64_t n = step * globalBatch; n != (step + 1) * globalBatch; ++n) {
      double a = abar[NumberedBatches::timeOf(n)];
      for (int64_t i = 0; i != size; ++i) {
        double z = NumberedBatches::noiseOf(n, i);
        double x = std::sqrt(a) * (NumberedBatches::pixel(n, i) + n % 4 / 8.0) +
                   std::sqrt(1 - a) * z;
        double error = p[i] * x + p[size + i] - z;
        loss += error * error / size / globalBatch;
        g[i] += 2 * error * x / size / globalBatch;
        g[size + i] += 2 * error / size / globalBatch;
      }
    }
    norm = 0;
    for (double value : g)
      norm += value * value;
    norm = std::sqrt(norm);
    double scale = o.clip > 0 && norm > o.clip ? o.clip / norm : 1;
    for (int64_t i = 0; i != parameterCount; ++i) {
      double gradient = g[i] * scale;
      p[i] *= 1 - o.rate.at(step) * o.weightDecay;
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * gradient;
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * gradient * gradient;
      p[i] -= o.rate.at(step) * m[i] / (1 - std::pow(o.beta1, step + 1)) /
              (std::sqrt(v[i] / (1 - std::pow(o.beta2, step + 1))) + o.epsilon);
      ema[i] = o.emaDecay * ema[i] + (1 - o.emaDecay) * p[i];
    }
    return loss;
  }
};

} // namespace

TEST(TrainerTest, FollowsTheFormulas) {
  for (int64_t globalBatch : {2, 6})
    for (double clip : {0.0, 0.05}) {
      TrainerOptions options = optionsOf(globalBatch);
      options.clip = clip;
      Loaded loaded(options);
      Reference reference;
      NumberedBatches source(true);
      for (int64_t step = 0; step != 20; ++step) {
        StepResult result = llvm::cantFail(loaded.trainer.step(step, source));
        double norm, loss = reference.step(step, globalBatch, options, norm);
        EXPECT_NEAR(result.mse, loss, 1e-5 * loss);
        EXPECT_EQ(result.vb, 0);
        EXPECT_NEAR(result.gradientNorm, norm, 1e-5 * norm);
        EXPECT_FALSE(result.skipped);
        EXPECT_FALSE(result.lossScale);
      }
      std::vector<float> masters = loaded.values("masters");
      std::vector<float> ema = loaded.values("ema");
      for (int64_t i = 0; i != parameterCount; ++i) {
        EXPECT_NEAR(masters[i], reference.p[i], 2e-5);
        EXPECT_NEAR(ema[i], reference.ema[i], 2e-5);
      }
    }
}

// The same samples in one micro-batch or three: the same numbers are drawn.
TEST(TrainerTest, DrawsDependOnSamplesAlone) {
  Loaded one(optionsOf(2)), again(optionsOf(2));
  NumberedBatches source(false, 8), same(false, 8), others(false, 10);
  StepResult a = llvm::cantFail(one.trainer.step(3, source));
  StepResult b = llvm::cantFail(again.trainer.step(3, same));
  EXPECT_EQ(a.mse, b.mse);
  StepResult c = llvm::cantFail(again.trainer.step(3, others));
  EXPECT_NE(a.mse, c.mse);
}

TEST(TrainerTest, LossesByTime) {
  Loaded loaded(optionsOf(20));
  NumberedBatches source(true);
  StepResult result = llvm::cantFail(loaded.trainer.step(0, source));
  double sum = 0;
  int64_t count = 0;
  for (int64_t part = 0; part != LossByTime::parts; ++part) {
    int64_t expected = 0;
    for (int64_t n = 0; n != 20; ++n)
      expected += NumberedBatches::timeOf(n) / 100 == part;
    EXPECT_EQ(result.byTime.count[part], expected);
    count += result.byTime.count[part];
    sum += result.byTime.sum[part];
  }
  EXPECT_EQ(count, 20);
  EXPECT_NEAR(sum / 20, result.mse, 1e-12);
}

TEST(TrainerTest, LeavesTheStateAtALossThatIsNotFinite) {
  Loaded loaded(optionsOf(6));
  NumberedBatches source(true);
  llvm::cantFail(loaded.trainer.step(0, source));
  std::vector<float> masters = loaded.values("masters");
  source.broken = 9;
  StepResult result = llvm::cantFail(loaded.trainer.step(1, source));
  EXPECT_TRUE(result.isBad());
  EXPECT_TRUE(result.skipped);
  EXPECT_EQ(result.badSamples, (std::vector<int64_t>{9}));
  EXPECT_EQ(loaded.values("masters"), masters);
  result = llvm::cantFail(loaded.trainer.step(2, source));
  EXPECT_FALSE(result.isBad());
  EXPECT_FALSE(result.skipped);
  EXPECT_NE(loaded.values("masters"), masters);
}

namespace {

void expectSame(const StepResult &a, const StepResult &b) {
  // NaN is the same as NaN here.
  EXPECT_EQ(std::bit_cast<uint64_t>(a.mse), std::bit_cast<uint64_t>(b.mse));
  EXPECT_EQ(std::bit_cast<uint64_t>(a.gradientNorm),
            std::bit_cast<uint64_t>(b.gradientNorm));
  EXPECT_EQ(a.byTime.count, b.byTime.count);
  EXPECT_EQ(a.skipped, b.skipped);
  EXPECT_EQ(a.badSamples, b.badSamples);
}

} // namespace

// However far the host is ahead, a step has the inputs that were written for it
// and gives its own results, in one micro-batch or in three.
TEST(TrainerTest, ResultsAreThoseOfTheirStep) {
  for (int64_t globalBatch : {2, 6}) {
    Loaded plain(optionsOf(globalBatch));
    Loaded late(optionsOf(globalBatch), std::make_unique<test::LateDevice>());
    auto &device = static_cast<test::LateDevice &>(*late.device);
    NumberedBatches source(true), same(true);
    source.broken = same.broken = 3 * globalBatch + 1;
    constexpr int64_t steps = 5;
    uint64_t before = device.commands;
    for (int64_t step = 0; step != steps; ++step) {
      llvm::cantFail(late.trainer.start(step, same));
      // The host has waited for no more than the queue's length demands.
      EXPECT_EQ(device.commandsDone + Executor::mostUnderWay,
                std::max(before + Executor::mostUnderWay, device.commands));
    }
    EXPECT_EQ(late.trainer.underWay(), steps);
    for (int64_t step = 0; step != steps; ++step) {
      StepResult expected = llvm::cantFail(plain.trainer.step(step, source));
      StepResult result = llvm::cantFail(late.trainer.finish());
      expectSame(result, expected);
      EXPECT_EQ(result.skipped, step == 3);
      if (step == 3)
        EXPECT_EQ(result.badSamples,
                  (std::vector<int64_t>{3 * globalBatch + 1}));
    }
    for (const char *flat : {"masters", "ema", "moment1", "moment2"})
      EXPECT_EQ(late.values(flat), plain.values(flat)) << flat;
  }
}

// A state that is put back is not what steps under way make of it, and they
// give no results.
TEST(TrainerTest, AStateEndsStepsUnderWay) {
  Loaded plain(optionsOf(2));
  Loaded late(optionsOf(2), std::make_unique<test::LateDevice>());
  EXPECT_EQ(plain.trainer.stepsAhead(), 0);
  EXPECT_EQ(late.trainer.stepsAhead(), 1);
  NumberedBatches source(true), same(true);
  llvm::cantFail(plain.trainer.step(0, source));
  llvm::cantFail(late.trainer.step(0, same));
  auto state = llvm::cantFail(late.trainer.copyState());
  same.broken = 2;
  llvm::cantFail(late.trainer.start(1, same));
  llvm::cantFail(late.trainer.start(2, same));
  llvm::cantFail(late.trainer.restore(*state));
  EXPECT_EQ(late.trainer.underWay(), 0);
  for (int64_t step = 1; step != 4; ++step) {
    llvm::cantFail(source.seek(20 + 2 * step));
    llvm::cantFail(same.seek(20 + 2 * step));
    StepResult expected = llvm::cantFail(plain.trainer.step(step, source));
    expectSame(llvm::cantFail(late.trainer.step(step, same)), expected);
  }
  for (const char *flat : {"masters", "ema", "moment1", "moment2"})
    EXPECT_EQ(late.values(flat), plain.values(flat)) << flat;
}

// fp16's overflow with a scale to lower is no fault of the model.
TEST(TrainerTest, OverflowUnderALossScaleIsNotBad) {
  StepResult result;
  result.skipped = true;
  EXPECT_TRUE(result.isBad());
  result.lossScale = 1024;
  EXPECT_FALSE(result.isBad());
  result.lossScale = 1;
  EXPECT_TRUE(result.isBad());
}

TEST(TrainerTest, RefusesBatchesThatDoNotDivide) {
  test::HandPlan hand = test::makeTrainPlan();
  plan::PlanView view{hand.metadata, hand.code, hand.weights, ""};
  std::unique_ptr<Device> device = createCpuDevice(1);
  auto executor = llvm::cantFail(Executor::create(view, *device));
  for (int64_t globalBatch : {0, 1, 5}) {
    auto trainer = Trainer::create(*executor, optionsOf(globalBatch));
    ASSERT_FALSE(static_cast<bool>(trainer));
    EXPECT_EQ(plan::describe(trainer.takeError()).first, Exit::Contradiction);
  }
}

TEST(TrainerTest, EvaluatesTheAverages) {
  Loaded loaded(optionsOf(2));
  NumberedBatches source(false);
  for (int64_t step = 0; step != 5; ++step)
    llvm::cantFail(loaded.trainer.step(step, source));
  std::vector<float> masters = loaded.values("masters");
  NumberedBatches test(true), again(true);
  // Of three samples the last has no partner.
  auto [mse, vb] =
      *llvm::cantFail(loaded.trainer.evaluate(test, 3, [] { return true; }));
  EXPECT_EQ(loaded.values("masters"), masters);
  EXPECT_FALSE(
      llvm::cantFail(loaded.trainer.evaluate(again, 3, [] { return false; })));
  EXPECT_EQ(loaded.values("masters"), masters);
  Reference reference;
  std::vector<float> ema = loaded.values("ema");
  std::copy(ema.begin(), ema.end(), reference.p.begin());
  double norm, expected = 0;
  for (int64_t n = 0; n != 3; ++n) {
    Reference one = reference;
    expected += one.step(n, 1, optionsOf(2), norm) / 3;
  }
  EXPECT_NEAR(mse, expected, 1e-5 * expected);
  EXPECT_EQ(vb, 0);
}

TEST(TrainerTest, WritesGradients) {
  Loaded loaded(optionsOf(4));
  NumberedBatches source(true);
  std::vector<float> weight(64), bias(64);
  llvm::cantFail(loaded.trainer.step(0, source, nullptr, [&] {
    TensorFile file = llvm::cantFail(loaded.trainer.gradients("g"));
    EXPECT_EQ(file.tensors.size(), 2u);
    EXPECT_EQ(file.tensors[0].name, "layer.weight");
    EXPECT_EQ(file.tensors[0].shape, (std::vector<int64_t>{16, 4}));
    for (auto [i, values] : {std::pair(0, &weight), {1, &bias}})
      llvm::cantFail(
          file.values(i, {reinterpret_cast<uint8_t *>(values->data()), 256}));
    return llvm::Error::success();
  }));
  // At zero weights the error is -z: dw = -2 z x / 64, mean over four.
  Reference reference;
  for (int64_t i = 0; i != size; ++i) {
    double expected = 0, expectedBias = 0;
    for (int64_t n = 0; n != 4; ++n) {
      double a = reference.abar[NumberedBatches::timeOf(n)];
      double z = NumberedBatches::noiseOf(n, i);
      double x = std::sqrt(a) * (NumberedBatches::pixel(n, i) + n % 4 / 8.0) +
                 std::sqrt(1 - a) * z;
      expected += -2 * z * x / size / 4;
      expectedBias += -2 * z / size / 4;
    }
    EXPECT_NEAR(weight[i], expected, 1e-7);
    EXPECT_NEAR(bias[i], expectedBias, 1e-7);
  }
}
