//===- TimeSamplingTest.cpp - Times and timesteps from given numbers ------===//
#include "passes/program/TimeSampling.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "test/passes/program/differentiate/Evaluator.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace mlir;
using namespace dit;

namespace {

/// Times and timesteps of a schedule of 1000, from `numbers` as what is drawn.
std::vector<Numbers> sampleTimes(const TimeSampling &sampling,
                                 Distribution expected,
                                 const Numbers &numbers) {
  MLIRContext context;
  context.loadDialect<DitDialect, arith::ArithDialect, func::FuncDialect>();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  OpBuilder builder(&context);
  Location loc = builder.getUnknownLoc();
  builder.setInsertionPointToEnd(module->getBody());
  auto type = RankedTensorType::get({static_cast<int64_t>(numbers.size())},
                                    builder.getF64Type());
  auto function = func::FuncOp::create(builder, loc, "times",
                                       builder.getFunctionType({type}, {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  Value drawn = function.getArgument(0);
  Value times =
      createTimes(builder, loc, sampling, [&](Distribution distribution) {
        EXPECT_EQ(distribution, expected);
        return drawn;
      });
  SmallVector<Value> results{times, createTimesteps(builder, loc, times, 1000)};
  func::ReturnOp::create(builder, loc, results);
  function.setType(
      builder.getFunctionType(type, ValueRange(results).getTypes()));
  return evaluate(function, {numbers});
}

TEST(TimeSamplingTest, Uniform) {
  Numbers drawn{0, 0.0009999, 0.001, 0.4999, 0.5, 0.99999};
  std::vector<Numbers> got = sampleTimes({}, Distribution::Uniform, drawn);
  EXPECT_EQ(got[0], drawn);
  EXPECT_EQ(got[1], (Numbers{0, 0, 1, 499, 500, 999}));
  EXPECT_EQ(describeTimes({}), "uniform");
}

TEST(TimeSamplingTest, LogitNormal) {
  Numbers drawn{-40, -3, -0.5, 0, 0.2, 1.7, 60};
  TimeSampling sampling{true, -0.25, 1.5};
  std::vector<Numbers> got = sampleTimes(sampling, Distribution::Normal, drawn);
  for (size_t i = 0; i != drawn.size(); ++i) {
    double time = 1 / (1 + std::exp(-(-0.25 + 1.5 * drawn[i])));
    EXPECT_NEAR(got[0][i], time, 1e-14);
    // A sigmoid may be 1, a timestep not 1000.
    EXPECT_EQ(got[1][i], std::min(std::floor(1000 * time), 999.0));
  }
  EXPECT_EQ(describeTimes(sampling), "logit-normal:-0.25,1.5");
}

} // namespace
