//===- Differences.cpp - Gradients by central differences -----------------===//
#include "test/passes/program/differentiate/Differences.h"

#include "gtest/gtest.h"

#include <cmath>
#include <numeric>

using namespace dit;

Numbers RandomNumbers::draw(int64_t count, double low, double high) {
  Numbers numbers(count);
  for (double &number : numbers)
    number = low + (high - low) * (engine() / 4294967296.0);
  return numbers;
}

std::vector<size_t> RandomNumbers::choose(size_t count, size_t size) {
  std::vector<size_t> indices(size);
  std::iota(indices.begin(), indices.end(), 0);
  for (size_t i = 0; i < std::min(count, size); ++i)
    std::swap(indices[i], indices[i + engine() % (size - i)]);
  indices.resize(std::min(count, size));
  return indices;
}

void dit::expectDifferences(Numbers &values, llvm::function_ref<double()> loss,
                            llvm::ArrayRef<size_t> entries,
                            const Numbers &gradient) {
  ASSERT_EQ(gradient.size(), values.size());
  constexpr double step = 1e-3;
  std::vector<double> slopes;
  double largest = 0;
  for (size_t entry : entries) {
    double value = values[entry];
    auto at = [&](double offset) {
      values[entry] = value + offset;
      return loss();
    };
    slopes.push_back(
        (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) /
        (12 * step));
    values[entry] = value;
    largest = std::max(largest, std::fabs(slopes.back()));
  }
  for (auto [entry, slope] : llvm::zip(entries, slopes))
    EXPECT_NEAR(gradient[entry], slope,
                1e-6 * std::max(std::fabs(slope), 1e-3 * largest))
        << "entry " << entry;
}
