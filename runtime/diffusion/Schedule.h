//===- Schedule.h - Noise schedules and samplers as tables ----------------===//
//
// Everything a sampler does differently from another is in a table of
// coefficients, so that one compiled step function serves all:
//
//   f      = (v + 1) / 2            v: what the model says about its variance
//   logvar = f max_log + (1 - f) min_log
//   x'     = A x + B p + (C + D exp(logvar / 2)) z
//
// p is what the model predicts: eps, or a velocity, from which eps is linear
// in x and p and so lies in A and B. A flow's velocity is dx/dt: Euler's step
// from t to t' is x + (t' - t) p.
//
// All arithmetic is double; the table is rounded to fp32 once.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DIFFUSION_SCHEDULE_H
#define DIT_RUNTIME_DIFFUSION_SCHEDULE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <array>
#include <cstdint>
#include <vector>

namespace dit::runtime {

/// How x at one step becomes x at the next.
enum class Sampler { Ddpm, Ddim, Euler };

/// ddpm, ddim or euler.
llvm::StringRef nameOf(Sampler sampler);

/// What the model says of x_t.
enum class Prediction {
  Noise,    // eps
  Velocity, // v = sqrt(abar) eps - sqrt(1 - abar) x_0
  Flow      // dx/dt = eps - x_0, of x_t = (1 - t) x_0 + t eps
};

/// What to sample with; the values of the command line and of the plan.
struct SamplerOptions {
  Sampler sampler = Sampler::Ddim;
  int64_t steps = 50;
  double eta = 0;            // DDIM: 0 deterministic, 1 as noisy as DDPM
  bool learnedSigma = false; // the model gives a variance v
  Prediction prediction = Prediction::Noise;
  // Euler: t is S t / (1 + (S - 1) t) of an even spread; Stable Diffusion 3's
  // is 3, for more steps where there is noise.
  double shift = 1;
};

/// The steps in the order they are executed: largest t first.
struct SamplerTable {
  enum Column { A, B, C, D, MinLog, MaxLog };
  using Row = std::array<double, 8>;

  std::vector<double> timesteps; // the original integer t; of a flow 1000 t
  std::vector<Row> coefficients;
};

/// beta_t of DDPM's linear schedule: 1e-4 .. 0.02 over 1000 steps.
std::vector<double> linearBetas();

/// "N": `steps` timesteps of [0, total), evenly spread with both ends, rounded
/// to even as Python does; ascending. Exit::Usage unless 1 <= steps <= total.
llvm::Expected<std::vector<int64_t>> spreadTimesteps(int64_t steps,
                                                     int64_t total);

/// "ddimN": 0, i, 2 i, ... with the smallest integer stride i that gives
/// `steps` of them. Exit::Contradiction names the nearest that exist.
llvm::Expected<std::vector<int64_t>> stridedTimesteps(int64_t steps,
                                                      int64_t total);

/// The table of a sampler over DDPM's linear schedule: DDPM spreads its
/// timesteps, DDIM strides them; or of Euler over a flow from t = 1 to 0.
/// Exit::Contradiction where sampler and prediction do not go together.
llvm::Expected<SamplerTable> makeSamplerTable(const SamplerOptions &options);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DIFFUSION_SCHEDULE_H
