//===- LearningRate.h - The learning rate of each step --------------------===//
#ifndef DIT_RUNTIME_TRAINING_LEARNINGRATE_H
#define DIT_RUNTIME_TRAINING_LEARNINGRATE_H

#include <cstdint>

namespace dit::runtime {

/// A rise over the first steps, then constant or half a cosine down:
///
///   step < warmUp    peak (step + 1) / warmUp
///   constant         peak
///   cosine           last + (peak - last) (1 + cos(pi s)) / 2,
///                    s = (step - warmUp) / (steps - 1 - warmUp)
///
/// so that step warmUp - 1 is the first with the peak, and step steps - 1 has
/// `last`.
struct LearningRate {
  enum class Shape { Constant, Cosine };

  Shape shape = Shape::Constant;
  double peak = 1e-4;
  double last = 0;
  int64_t warmUp = 0;
  int64_t steps = 0; // in all; used by cosine

  /// The rate of a step, counted from 0; after the end as at the end.
  double at(int64_t step) const;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TRAINING_LEARNINGRATE_H
