//===- TimeSampling.h - The t that a sample is trained at -------*- C++ -*-===//
//
// A time u in [0, 1] is drawn for each sample. A flow is at t = u; a diffusion
// of N steps at the timestep floor(N u).
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_PROGRAM_TIMESAMPLING_H
#define PASSES_PROGRAM_TIMESAMPLING_H

#include "dialects/dit/DitDialect.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <string>

namespace dit {

/// The distribution of u.
struct TimeSampling {
  /// u = sigmoid(mean + deviation · z), z normal: Stable Diffusion 3's (Esser
  /// et al., 2024). Else u is uniform.
  bool isLogitNormal = false;
  double mean = 0, deviation = 1;
};

/// "uniform", or "logit-normal:0,1".
std::string describeTimes(const TimeSampling &sampling);

/// u, from the numbers that `draw` gives of one distribution.
mlir::Value createTimes(mlir::OpBuilder &builder, mlir::Location loc,
                        const TimeSampling &sampling,
                        llvm::function_ref<mlir::Value(Distribution)> draw);

/// The timesteps, i64, of a diffusion of `count` steps at times u.
mlir::Value createTimesteps(mlir::OpBuilder &builder, mlir::Location loc,
                            mlir::Value times, int64_t count);

} // namespace dit

#endif // PASSES_PROGRAM_TIMESAMPLING_H
