//===- LearningRateTest.cpp - Rates and constants by their formulas -------===//

#include "runtime/training/LearningRate.h"

#include "runtime/plan/Failure.h"
#include "runtime/training/DiffusionTable.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;

TEST(LearningRateTest, Constant) {
  LearningRate rate{LearningRate::Shape::Constant, 2e-4, 0, 0, 0};
  EXPECT_EQ(rate.at(0), 2e-4);
  EXPECT_EQ(rate.at(1000000), 2e-4);
}

TEST(LearningRateTest, WarmUpReachesThePeakAtItsLastStep) {
  LearningRate rate{LearningRate::Shape::Constant, 1, 0, 4, 0};
  EXPECT_EQ(rate.at(0), 0.25);
  EXPECT_EQ(rate.at(2), 0.75);
  EXPECT_EQ(rate.at(3), 1);
  EXPECT_EQ(rate.at(4), 1);
}

TEST(LearningRateTest, CosineEndsAtTheLastStep) {
  LearningRate rate{LearningRate::Shape::Cosine, 1, 0.1, 2, 11};
  EXPECT_EQ(rate.at(0), 0.5);
  EXPECT_EQ(rate.at(2), 1);
  // Half of the eight steps from 2 to 10: the mean of both ends.
  EXPECT_NEAR(rate.at(6), 0.55, 1e-15);
  EXPECT_NEAR(rate.at(4), 0.1 + 0.9 * (1 + std::sqrt(0.5)) / 2, 1e-15);
  EXPECT_NEAR(rate.at(10), 0.1, 1e-15);
  EXPECT_NEAR(rate.at(5000), 0.1, 1e-15);
  LearningRate shortest{LearningRate::Shape::Cosine, 1, 0, 1, 1};
  EXPECT_EQ(shortest.at(0), 1);
}

// The formulas of the paper, in long double, row by row.
TEST(DiffusionTableTest, FollowsTheFormulas) {
  std::vector<float> table =
      llvm::cantFail(makeDiffusionTable("ddpm-linear", 1000));
  ASSERT_EQ(table.size(), 5000u);
  std::vector<long double> abar(1000), beta(1000), posterior(1000);
  long double product = 1;
  for (int t = 0; t != 1000; ++t) {
    beta[t] = 1e-4L + t * (0.02L - 1e-4L) / 999;
    long double before = product;
    product *= 1 - beta[t];
    abar[t] = product;
    posterior[t] = beta[t] * (1 - before) / (1 - product);
  }
  posterior[0] = posterior[1];
  // The published end of the linear schedule.
  EXPECT_NEAR(static_cast<double>(abar[999]), 4.0358e-5, 1e-9);
  for (int t = 0; t != 1000; ++t) {
    long double before = t ? abar[t - 1] : 1;
    const float *row = &table[5 * t];
    auto near = [](long double expected) {
      return std::abs(static_cast<double>(expected)) * 1e-6;
    };
    EXPECT_NEAR(row[0], std::sqrt(abar[t]), near(1));
    EXPECT_NEAR(row[1], std::sqrt(1 - abar[t]), near(std::sqrt(1 - abar[t])));
    // m_posterior - m_model = c1 (x0 - x0_model), and x0 = sqrt(1 / abar) x_t -
    // sqrt(1 / abar - 1) eps.
    long double k = beta[t] * std::sqrt(before) / (1 - abar[t]) *
                    std::sqrt(1 / abar[t] - 1);
    EXPECT_NEAR(row[2], k, near(k));
    EXPECT_NEAR(row[3], std::log(posterior[t]), near(std::log(posterior[t])));
    EXPECT_NEAR(row[4], std::log(beta[t]), near(std::log(beta[t])));
  }
}

TEST(DiffusionTableTest, RefusesOthers) {
  for (auto [schedule, steps] :
       {std::pair("flow", 1000), std::pair("ddpm-linear", 500)}) {
    auto table = makeDiffusionTable(schedule, steps);
    ASSERT_FALSE(static_cast<bool>(table));
    EXPECT_EQ(plan::describe(table.takeError()).first, plan::Exit::Unsupported);
  }
}
