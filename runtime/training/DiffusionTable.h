//===- DiffusionTable.h - A diffusion's constants for training ------------===//
#ifndef DIT_RUNTIME_TRAINING_DIFFUSIONTABLE_H
#define DIT_RUNTIME_TRAINING_DIFFUSIONTABLE_H

#include "runtime/plan/plan.pb.h"

#include "llvm/Support/Error.h"

#include <vector>

namespace dit::runtime {

/// Columns of the table that a train plan's loss reads, one row a timestep;
/// passes/program/Loss.h has the formulas they stand in.
enum class DiffusionColumn {
  SqrtAbar,             // sqrt(abar)
  SqrtRest,             // sqrt(1 - abar)
  MeanScale,            // c1 sqrt(1 / abar - 1)
  LogPosteriorVariance, // log(beta (1 - abar_prev) / (1 - abar)); row 0: row
                        // 1's
  LogBeta               // log(beta)
};

constexpr int64_t diffusionColumns = 5;

/// The table [timesteps, 5] of DDPM's linear schedule, computed in double and
/// rounded once. Exit::Unsupported for other schedules and counts.
llvm::Expected<std::vector<float>>
makeDiffusionTable(const std::string &schedule, int64_t timesteps);

} // namespace dit::runtime

#endif // DIT_RUNTIME_TRAINING_DIFFUSIONTABLE_H
