//===- LearningRate.cpp - The learning rate of each step ------------------===//

#include "runtime/training/LearningRate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

using namespace dit::runtime;

double LearningRate::at(int64_t step) const {
  if (step < warmUp)
    return peak * static_cast<double>(step + 1) / static_cast<double>(warmUp);
  if (shape == Shape::Constant)
    return peak;
  int64_t span = std::max<int64_t>(steps - 1 - warmUp, 1);
  double share = std::min(
      static_cast<double>(step - warmUp) / static_cast<double>(span), 1.0);
  return last + (peak - last) * 0.5 * (1 + std::cos(std::numbers::pi * share));
}
