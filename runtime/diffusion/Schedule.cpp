//===- Schedule.cpp - Noise schedules and samplers as tables --------------===//
//
// DDPM: Ho et al. 2020, with the learned variance of Nichol and Dhariwal 2021;
// DDIM: Song et al. 2021; respacing as in Nichol and Dhariwal: the kept steps'
// betas are rebuilt from the original cumulative products.
//
//===----------------------------------------------------------------------===//

#include "runtime/diffusion/Schedule.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

#include <cmath>

using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static constexpr int64_t totalSteps = 1000;

std::vector<double> dit::runtime::linearBetas() {
  std::vector<double> betas(totalSteps);
  double first = 1e-4, last = 0.02;
  for (int64_t t = 0; t != totalSteps; ++t)
    betas[t] = first + t * ((last - first) / (totalSteps - 1));
  betas.back() = last;
  return betas;
}

llvm::Expected<std::vector<int64_t>>
dit::runtime::spreadTimesteps(int64_t steps, int64_t total) {
  if (steps < 1 || steps > total)
    return failure(Exit::Usage, "--steps " + llvm::Twine(steps) +
                                    ": must be from 1 to " +
                                    llvm::Twine(total));
  double stride =
      steps > 1 ? static_cast<double>(total - 1) / (steps - 1) : 1.0;
  std::vector<int64_t> kept;
  // The position is accumulated, not multiplied, and rounded half to even, so
  // that every published spacing is met exactly.
  double position = 0;
  for (int64_t i = 0; i != steps; ++i) {
    kept.push_back(std::llrint(position));
    position += stride;
  }
  return kept;
}

static int64_t countWithStride(int64_t stride, int64_t total) {
  return (total + stride - 1) / stride;
}

llvm::Expected<std::vector<int64_t>>
dit::runtime::stridedTimesteps(int64_t steps, int64_t total) {
  if (steps < 1 || steps > total)
    return failure(Exit::Usage, "--steps " + llvm::Twine(steps) +
                                    ": must be from 1 to " +
                                    llvm::Twine(total));
  int64_t stride = 1;
  while (countWithStride(stride, total) > steps)
    ++stride;
  if (int64_t below = countWithStride(stride, total); below != steps)
    return failure(Exit::Contradiction,
                   "--steps " + llvm::Twine(steps) +
                       ": ddim takes every i-th of " + llvm::Twine(total) +
                       " timesteps; every " + llvm::Twine(stride) + ". gives " +
                       llvm::Twine(below) + ", every " +
                       llvm::Twine(stride - 1) + ". gives " +
                       llvm::Twine(countWithStride(stride - 1, total)) +
                       ": take one of these, or --sampler ddpm");
  std::vector<int64_t> kept;
  for (int64_t t = 0; t < total; t += stride)
    kept.push_back(t);
  return kept;
}

/// The row of one step of the respaced process; `product` is abar of this
/// step, `before` of the one below it (1 below the first), `first` its t = 0.
static SamplerTable::Row makeRow(const SamplerOptions &options, double product,
                                 double before, double minLog, bool first) {
  double beta = 1 - product / before;
  double noise = first ? 0 : 1;
  SamplerTable::Row row = {};
  row[SamplerTable::MinLog] = minLog;
  row[SamplerTable::MaxLog] = std::log(beta);
  // x0 = scale x - shift eps
  double scale = std::sqrt(1 / product);
  double shift = std::sqrt(1 / product - 1);
  if (options.sampler == Sampler::Ddpm) {
    double c1 = beta * std::sqrt(before) / (1 - product);
    double c2 = (1 - before) * std::sqrt(1 - beta) / (1 - product);
    row[SamplerTable::A] = c1 * scale + c2;
    row[SamplerTable::B] = -c1 * shift;
    // Without a learned variance the posterior's is taken.
    if (options.learnedSigma)
      row[SamplerTable::D] = noise;
    else
      row[SamplerTable::C] = noise * std::exp(0.5 * minLog);
    return row;
  }
  double sigma = options.eta * std::sqrt((1 - before) / (1 - product)) *
                 std::sqrt(1 - product / before);
  row[SamplerTable::A] = std::sqrt(before) * scale;
  row[SamplerTable::B] = std::sqrt(std::max(1 - before - sigma * sigma, 0.0)) -
                         std::sqrt(before) * shift;
  row[SamplerTable::C] = noise * sigma;
  return row;
}

llvm::StringRef dit::runtime::nameOf(Sampler sampler) {
  switch (sampler) {
  case Sampler::Ddpm:
    return "ddpm";
  case Sampler::Ddim:
    return "ddim";
  case Sampler::Euler:
    return "euler";
  }
  llvm_unreachable("all samplers have names");
}

/// Euler's steps over a flow, from noise at t = 1 to data at 0.
static llvm::Expected<SamplerTable>
makeFlowTable(const SamplerOptions &options) {
  if (options.steps < 1 || options.steps > totalSteps)
    return failure(Exit::Usage, "--steps " + llvm::Twine(options.steps) +
                                    ": must be from 1 to " +
                                    llvm::Twine(totalSteps));
  auto timeOf = [&](int64_t step) {
    double even = 1 - static_cast<double>(step) / options.steps;
    return options.shift * even / (1 + (options.shift - 1) * even);
  };
  SamplerTable table;
  for (int64_t step = 0; step != options.steps; ++step) {
    table.timesteps.push_back(totalSteps * timeOf(step));
    SamplerTable::Row row = {};
    row[SamplerTable::A] = 1;
    row[SamplerTable::B] = timeOf(step + 1) - timeOf(step);
    table.coefficients.push_back(row);
  }
  return table;
}

llvm::Expected<SamplerTable>
dit::runtime::makeSamplerTable(const SamplerOptions &options) {
  bool isFlow = options.prediction == Prediction::Flow;
  if (isFlow != (options.sampler == Sampler::Euler))
    return failure(Exit::Contradiction,
                   "--sampler " + nameOf(options.sampler) +
                       (isFlow ? ": the model predicts a flow's velocity, "
                                 "which euler samples"
                               : ": the model predicts eps or v, which ddim "
                                 "and ddpm sample"));
  if (isFlow)
    return makeFlowTable(options);
  llvm::Expected<std::vector<int64_t>> kept =
      options.sampler == Sampler::Ddpm
          ? spreadTimesteps(options.steps, totalSteps)
          : stridedTimesteps(options.steps, totalSteps);
  if (!kept)
    return kept.takeError();

  // abar of the original process, then of the kept steps.
  std::vector<double> products;
  double product = 1;
  for (double beta : linearBetas())
    products.push_back(product *= 1 - beta);

  std::vector<SamplerTable::Row> rows;
  std::vector<double> postVariances;
  double before = 1;
  for (int64_t t : *kept) {
    double beta = 1 - products[t] / before;
    postVariances.push_back(beta * (1 - before) / (1 - products[t]));
    before = products[t];
  }
  // The posterior of t = 0 has no variance; its logarithm is the next one's.
  if (postVariances.size() > 1)
    postVariances[0] = postVariances[1];
  before = 1;
  for (auto [i, t] : llvm::enumerate(*kept)) {
    // A process of one step has no next one; no noise is added there anyway.
    double minLog = std::log(postVariances[i] > 0 ? postVariances[i] : 1e-20);
    rows.push_back(makeRow(options, products[t], before, minLog, i == 0));
    if (options.prediction == Prediction::Velocity) {
      // eps = sqrt(abar) v + sqrt(1 - abar) x
      double &b = rows.back()[SamplerTable::B];
      rows.back()[SamplerTable::A] += b * std::sqrt(1 - products[t]);
      b *= std::sqrt(products[t]);
    }
    before = products[t];
  }
  SamplerTable table;
  table.timesteps.assign(kept->rbegin(), kept->rend());
  table.coefficients.assign(rows.rbegin(), rows.rend());
  return table;
}
