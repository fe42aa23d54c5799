//===- DiffusionTable.cpp - A diffusion's constants for training ----------===//

#include "runtime/training/DiffusionTable.h"

#include "runtime/diffusion/Schedule.h"
#include "runtime/plan/Failure.h"

#include "llvm/ADT/Twine.h"

#include <cmath>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

llvm::Expected<std::vector<float>>
dit::runtime::makeDiffusionTable(const std::string &schedule,
                                 int64_t timesteps) {
  std::vector<double> betas = linearBetas();
  if (schedule != "ddpm-linear" ||
      timesteps != static_cast<int64_t>(betas.size()))
    return failure(Exit::Unsupported,
                   "the plan trains with the schedule '" +
                       plan::escaped(schedule) + "' of " +
                       llvm::Twine(timesteps) +
                       " timesteps; ddpm-linear of 1000 is what there is");
  std::vector<float> table(timesteps * diffusionColumns);
  double product = 1;
  for (int64_t t = 0; t != timesteps; ++t) {
    double before = product, beta = betas[t];
    product *= 1 - beta;
    float *row = &table[t * diffusionColumns];
    auto set = [&](DiffusionColumn column, double value) {
      row[static_cast<int>(column)] = static_cast<float>(value);
    };
    set(DiffusionColumn::SqrtAbar, std::sqrt(product));
    set(DiffusionColumn::SqrtRest, std::sqrt(1 - product));
    set(DiffusionColumn::MeanScale,
        beta * std::sqrt(before) / (1 - product) * std::sqrt(1 / product - 1));
    set(DiffusionColumn::LogBeta, std::log(beta));
    // The posterior of t = 0 has no variance; it takes that of t = 1.
    if (t)
      set(DiffusionColumn::LogPosteriorVariance,
          std::log(beta * (1 - before) / (1 - product)));
  }
  constexpr int column =
      static_cast<int>(DiffusionColumn::LogPosteriorVariance);
  table[column] = table[diffusionColumns + column];
  return table;
}
