//===- RowIndex.cpp - Indices as digits of a kernel's coordinates ---------===//
#include "passes/fusion/RowIndex.h"

#include "llvm/ADT/STLExtras.h"

#include <tuple>

using namespace llvm;
using namespace dit;

bool Index::dependsOn(Coordinate coordinate) const {
  return llvm::any_of(digits, [&](const Digit &digit) {
    return digit.coordinate == coordinate;
  });
}

void dit::normalise(Index &index) {
  llvm::erase_if(index.digits, [](const Digit &d) { return d.size == 1; });
  llvm::sort(index.digits, [](const Digit &a, const Digit &b) {
    return std::tuple(a.coefficient, a.coordinate, a.stride, a.size) <
           std::tuple(b.coefficient, b.coordinate, b.stride, b.size);
  });
  if (!index.exact)
    return;
  SmallVector<Digit, 2> joined;
  for (const Digit &digit : index.digits) {
    if (!joined.empty()) {
      Digit &low = joined.back();
      if (low.coordinate == digit.coordinate &&
          digit.coefficient == low.coefficient * low.size &&
          digit.stride == low.stride * low.size) {
        low.size *= digit.size;
        continue;
      }
    }
    joined.push_back(digit);
  }
  index.digits = std::move(joined);
}

Index dit::makeInexact(const Index &from) {
  Index index;
  index.exact = false;
  for (Digit digit : from.digits) {
    // Only what it depends on matters, so equal functions compare equal.
    digit.coefficient = 1;
    if (!llvm::is_contained(index.digits, digit))
      index.digits.push_back(digit);
  }
  return index;
}

int64_t dit::getMaximum(const Index &index) {
  int64_t maximum = index.offset;
  for (const Digit &digit : index.digits)
    maximum += digit.coefficient * (digit.size - 1);
  return maximum;
}

Index dit::linearise(ArrayRef<Index> indices, ArrayRef<int64_t> sizes) {
  Index sum;
  int64_t stride = 1;
  for (auto [index, size] : llvm::reverse(llvm::zip_equal(indices, sizes))) {
    sum.exact &= index.exact;
    sum.offset += stride * index.offset;
    for (Digit digit : index.digits) {
      digit.coefficient *= stride;
      sum.digits.push_back(digit);
    }
    stride *= size;
  }
  if (!sum.exact)
    return makeInexact(sum);
  normalise(sum);
  return sum;
}

/// Splits `index` into quotient and remainder by `divisor`; both inexact where
/// a digit straddles it or a carry is possible.
static std::pair<Index, Index> divide(const Index &index, int64_t divisor) {
  Index quotient, remainder;
  auto inexact = [&] {
    return std::pair(makeInexact(index), makeInexact(index));
  };
  if (!index.exact)
    return inexact();
  quotient.offset = index.offset / divisor;
  remainder.offset = index.offset % divisor;
  for (const Digit &digit : index.digits) {
    if (digit.coefficient % divisor == 0) {
      quotient.digits.push_back(digit);
      quotient.digits.back().coefficient /= divisor;
    } else if (digit.coefficient * digit.size <= divisor) {
      remainder.digits.push_back(digit);
    } else {
      int64_t low = divisor / digit.coefficient;
      if (divisor % digit.coefficient || digit.size % low)
        return inexact();
      remainder.digits.push_back(
          {digit.coefficient, digit.coordinate, digit.stride, low});
      quotient.digits.push_back(
          {1, digit.coordinate, digit.stride * low, digit.size / low});
    }
  }
  if (getMaximum(remainder) >= divisor)
    return inexact();
  normalise(quotient);
  normalise(remainder);
  return {quotient, remainder};
}

SmallVector<Index, 0> dit::delinearise(Index index, ArrayRef<int64_t> sizes) {
  SmallVector<Index, 0> indices(sizes.size());
  for (int64_t dim = static_cast<int64_t>(sizes.size()) - 1; dim > 0; --dim)
    std::tie(index, indices[dim]) = divide(index, sizes[dim]);
  if (!sizes.empty())
    indices[0] = index;
  return indices;
}
