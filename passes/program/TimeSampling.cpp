//===- TimeSampling.cpp - The t that a sample is trained at ---------------===//
#include "passes/program/TimeSampling.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace dit;

std::string dit::describeTimes(const TimeSampling &sampling) {
  if (!sampling.isLogitNormal)
    return "uniform";
  std::string text;
  llvm::raw_string_ostream(text)
      << llvm::format("logit-normal:%g,%g", sampling.mean, sampling.deviation);
  return text;
}

Value dit::createTimes(OpBuilder &builder, Location loc,
                       const TimeSampling &sampling,
                       llvm::function_ref<Value(Distribution)> draw) {
  if (!sampling.isLogitNormal)
    return draw(Distribution::Uniform);
  Value normal = draw(Distribution::Normal);
  auto splat = [&](double value) {
    return createSplat(builder, loc, getTensorType(normal), value);
  };
  Value spread =
      arith::MulFOp::create(builder, loc, normal, splat(sampling.deviation));
  Value logit =
      arith::AddFOp::create(builder, loc, spread, splat(sampling.mean));
  return SigmoidOp::create(builder, loc, logit);
}

Value dit::createTimesteps(OpBuilder &builder, Location loc, Value times,
                           int64_t count) {
  auto steps = static_cast<double>(count);
  Value scaled = arith::MulFOp::create(
      builder, loc, times,
      createSplat(builder, loc, getTensorType(times), steps));
  Value timesteps = createCast(builder, loc, scaled, builder.getI64Type());
  // A number below 1 times N may round to N, and a sigmoid to 1.
  return arith::MinSIOp::create(
      builder, loc, timesteps,
      createSplat(builder, loc, getTensorType(timesteps), steps - 1));
}
