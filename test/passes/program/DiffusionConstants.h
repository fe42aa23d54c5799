//===- DiffusionConstants.h - DDPM's constants, from their definition -----===//
#ifndef TEST_PASSES_PROGRAM_DIFFUSIONCONSTANTS_H
#define TEST_PASSES_PROGRAM_DIFFUSIONCONSTANTS_H

#include <cmath>
#include <cstdint>
#include <vector>

namespace dit {

/// The linear schedule of 1000 steps, in double.
struct DiffusionConstants {
  static constexpr int64_t steps = 1000;
  std::vector<double> beta, abar;

  DiffusionConstants() {
    for (int64_t t = 0; t < steps; ++t) {
      beta.push_back(1e-4 + (0.02 - 1e-4) * t / (steps - 1));
      abar.push_back((t ? abar.back() : 1) * (1 - beta.back()));
    }
  }
  double previous(int64_t t) const { return t ? abar[t - 1] : 1; }
  double c1(int64_t t) const {
    return beta[t] * std::sqrt(previous(t)) / (1 - abar[t]);
  }
  double c2(int64_t t) const {
    return (1 - previous(t)) * std::sqrt(1 - beta[t]) / (1 - abar[t]);
  }
  double logPosteriorVariance(int64_t t) const {
    int64_t at = t ? t : 1;
    return std::log(beta[at] * (1 - previous(at)) / (1 - abar[at]));
  }

  /// The table that the loss gathers from, row-major.
  std::vector<double> table() const {
    std::vector<double> values;
    for (int64_t t = 0; t < steps; ++t)
      values.insert(values.end(), {std::sqrt(abar[t]), std::sqrt(1 - abar[t]),
                                   c1(t) * std::sqrt(1 / abar[t] - 1),
                                   logPosteriorVariance(t), std::log(beta[t])});
    return values;
  }
};

} // namespace dit

#endif // TEST_PASSES_PROGRAM_DIFFUSIONCONSTANTS_H
