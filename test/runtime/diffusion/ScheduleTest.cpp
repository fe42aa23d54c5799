//===- ScheduleTest.cpp - Samplers against their formulas -----------------===//

#include "runtime/diffusion/Schedule.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

TEST(ScheduleTest, SpreadTimestepsArePublishedOnes) {
  std::vector<int64_t> spaced = llvm::cantFail(spreadTimesteps(250, 1000));
  EXPECT_EQ(std::vector<int64_t>(spaced.begin(), spaced.begin() + 4),
            (std::vector<int64_t>{0, 4, 8, 12}));
  EXPECT_EQ(spaced[248], 995);
  EXPECT_EQ(spaced[249], 999);
  spaced = llvm::cantFail(spreadTimesteps(50, 1000));
  EXPECT_EQ(std::vector<int64_t>(spaced.begin(), spaced.begin() + 5),
            (std::vector<int64_t>{0, 20, 41, 61, 82}));
  EXPECT_EQ(spaced[48], 979);
  // PyTorch's run of 25 steps recorded these.
  EXPECT_EQ(llvm::cantFail(spreadTimesteps(25, 1000)),
            (std::vector<int64_t>{0,   42,  83,  125, 166, 208, 250, 291, 333,
                                  375, 416, 458, 500, 541, 583, 624, 666, 708,
                                  749, 791, 832, 874, 916, 957, 999}));
  EXPECT_EQ(llvm::cantFail(spreadTimesteps(1, 1000)),
            (std::vector<int64_t>{0}));
  EXPECT_EQ(llvm::cantFail(spreadTimesteps(1000, 1000))[567], 567);
}

TEST(ScheduleTest, StridedTimesteps) {
  std::vector<int64_t> kept = llvm::cantFail(stridedTimesteps(50, 1000));
  for (int64_t i = 0; i != 50; ++i)
    EXPECT_EQ(kept[i], 20 * i);
  // len(range(0, 1000, 34)) == 30.
  EXPECT_EQ(llvm::cantFail(stridedTimesteps(30, 1000)).back(), 29 * 34);
  EXPECT_EQ(llvm::cantFail(stridedTimesteps(1, 1000)).size(), 1u);
}

TEST(ScheduleTest, StepsOutOfRangeOrWithoutAStride) {
  for (int64_t steps : {0, -1, 1001}) {
    EXPECT_EQ(plan::describe(spreadTimesteps(steps, 1000).takeError()).first,
              Exit::Usage);
    EXPECT_EQ(plan::describe(stridedTimesteps(steps, 1000).takeError()).first,
              Exit::Usage);
  }
  auto [code, text] = plan::describe(stridedTimesteps(60, 1000).takeError());
  EXPECT_EQ(code, Exit::Contradiction);
  EXPECT_NE(text.find("gives 59"), std::string::npos) << text;
  EXPECT_NE(text.find("gives 63"), std::string::npos) << text;
}

/// abar_t in long double, from the definition.
static long double alphaBar(int64_t t) {
  long double product = 1;
  for (int64_t i = 0; i <= t; ++i)
    product *= 1 - (1e-4L + i * (0.02L - 1e-4L) / 999);
  return product;
}

TEST(ScheduleTest, DdimIsItsFormula) {
  for (double eta : {0.0, 0.7}) {
    SamplerOptions options{Sampler::Ddim, 50, eta, true};
    SamplerTable table = llvm::cantFail(makeSamplerTable(options));
    ASSERT_EQ(table.timesteps.size(), 50u);
    EXPECT_EQ(table.timesteps.front(), 980);
    EXPECT_EQ(table.timesteps.back(), 0);
    for (size_t row = 0; row != 50; ++row) {
      int64_t t = table.timesteps[row];
      long double ab = alphaBar(t), prev = t ? alphaBar(t - 20) : 1;
      long double sigma =
          eta * std::sqrt((1 - prev) / (1 - ab)) * std::sqrt(1 - ab / prev);
      // Applied to x and eps that are unit vectors.
      auto step = [&](long double x, long double eps) {
        long double x0 = std::sqrt(1 / ab) * x - std::sqrt(1 / ab - 1) * eps;
        return x0 * std::sqrt(prev) + std::sqrt(1 - prev - sigma * sigma) * eps;
      };
      const SamplerTable::Row &c = table.coefficients[row];
      EXPECT_NEAR(c[SamplerTable::A], step(1, 0), 1e-10);
      EXPECT_NEAR(c[SamplerTable::B], step(0, 1), 1e-10);
      EXPECT_NEAR(c[SamplerTable::C], t ? sigma : 0, 1e-10);
      EXPECT_EQ(c[SamplerTable::D], 0);
      EXPECT_EQ(c[6], 0);
      EXPECT_EQ(c[7], 0);
    }
  }
}

TEST(ScheduleTest, DdpmIsItsFormula) {
  for (bool learned : {true, false}) {
    SamplerOptions options{Sampler::Ddpm, 25, 0, learned};
    SamplerTable table = llvm::cantFail(makeSamplerTable(options));
    std::vector<int64_t> kept = llvm::cantFail(spreadTimesteps(25, 1000));
    std::vector<long double> logs(25);
    for (size_t i = 0; i != 25; ++i) {
      long double ab = alphaBar(kept[i]), prev = i ? alphaBar(kept[i - 1]) : 1;
      logs[i] = std::log((1 - ab / prev) * (1 - prev) / (1 - ab));
    }
    logs[0] = logs[1];
    for (size_t i = 0; i != 25; ++i) {
      long double ab = alphaBar(kept[i]), prev = i ? alphaBar(kept[i - 1]) : 1;
      long double beta = 1 - ab / prev;
      long double c1 = beta * std::sqrt(prev) / (1 - ab);
      long double c2 = (1 - prev) * std::sqrt(1 - beta) / (1 - ab);
      const SamplerTable::Row &c = table.coefficients[24 - i];
      EXPECT_EQ(table.timesteps[24 - i], kept[i]);
      EXPECT_NEAR(c[SamplerTable::A], c1 * std::sqrt(1 / ab) + c2, 1e-10);
      EXPECT_NEAR(c[SamplerTable::B], -c1 * std::sqrt(1 / ab - 1), 1e-10);
      EXPECT_NEAR(c[SamplerTable::MinLog], logs[i], 1e-9);
      EXPECT_NEAR(c[SamplerTable::MaxLog], std::log(beta), 1e-9);
      double noise = i ? 1 : 0;
      EXPECT_EQ(c[SamplerTable::D], learned ? noise : 0);
      EXPECT_NEAR(c[SamplerTable::C],
                  learned ? 0 : noise * std::exp(logs[i] / 2), 1e-10);
    }
  }
}

TEST(ScheduleTest, VelocityIsTheSameStepInOtherWords) {
  SamplerOptions noise{Sampler::Ddim, 50, 0, false};
  SamplerOptions velocity = noise;
  velocity.prediction = Prediction::Velocity;
  SamplerTable first = llvm::cantFail(makeSamplerTable(noise));
  SamplerTable second = llvm::cantFail(makeSamplerTable(velocity));
  for (size_t row = 0; row != 50; ++row) {
    double ab = alphaBar(first.timesteps[row]), x0 = 0.3, eps = -1.7;
    double x = std::sqrt(ab) * x0 + std::sqrt(1 - ab) * eps;
    double v = std::sqrt(ab) * eps - std::sqrt(1 - ab) * x0;
    const SamplerTable::Row &a = first.coefficients[row],
                            &b = second.coefficients[row];
    EXPECT_NEAR(a[0] * x + a[1] * eps, b[0] * x + b[1] * v, 1e-10);
  }
}

TEST(ScheduleTest, EulerFollowsAFlow) {
  SamplerOptions options{Sampler::Euler, 7, 0, true, Prediction::Flow};
  for (double shift : {1.0, 3.0}) {
    options.shift = shift;
    SamplerTable table = llvm::cantFail(makeSamplerTable(options));
    ASSERT_EQ(table.timesteps.size(), 7u);
    // x follows dx/dt = 2 t from t = 1: Euler's sum, term by term; and a flow
    // of constant velocity, eps - x0, ends at x0.
    double x = 5, expected = 5, straight = 0.25;
    for (int i = 0; i != 7; ++i) {
      double even = 1 - i / 7.0, next = 1 - (i + 1) / 7.0;
      double t = shift * even / (1 + (shift - 1) * even);
      double after = shift * next / (1 + (shift - 1) * next);
      EXPECT_NEAR(table.timesteps[i], 1000 * t, 1e-10);
      expected += (after - t) * 2 * t;
      const SamplerTable::Row &row = table.coefficients[i];
      x = row[0] * x + row[1] * 2 * table.timesteps[i] / 1000;
      straight = row[0] * straight + row[1] * (0.25 - -1.5);
      for (int column = 2; column != 8; ++column)
        EXPECT_EQ(row[column], 0);
    }
    EXPECT_NEAR(x, expected, 1e-12);
    EXPECT_NEAR(straight, -1.5, 1e-12);
  }
}

TEST(ScheduleTest, SamplersGoWithPredictions) {
  for (SamplerOptions options :
       {SamplerOptions{Sampler::Euler, 10},
        SamplerOptions{Sampler::Ddim, 10, 0, false, Prediction::Flow}})
    EXPECT_EQ(plan::describe(makeSamplerTable(options).takeError()).first,
              plan::Exit::Contradiction);
}

TEST(ScheduleTest, OneStepIsFinite) {
  for (Sampler sampler : {Sampler::Ddpm, Sampler::Ddim})
    for (const SamplerTable::Row &row :
         llvm::cantFail(makeSamplerTable({sampler, 1, 0, true})).coefficients)
      for (double value : row)
        EXPECT_TRUE(std::isfinite(value));
}
