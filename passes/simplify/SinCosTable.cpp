//===- SinCosTable.cpp - Position tables by their values ------------------===//
#include "passes/simplify/SinCosTable.h"

#include <cmath>
#include <vector>

using namespace dit;

namespace {
/// How positions become numbers.
struct Layout {
  int64_t parts;    ///< 1: the token's number; 2: its coordinates
  int64_t columns;  ///< of the grid, where there are two parts
  bool columnFirst; ///< the part of the column comes first
  bool cosineFirst; ///< [cos | sin] rather than [sin | cos]

  double position(int64_t token, int64_t part) const {
    if (parts == 1)
      return static_cast<double>(token);
    return static_cast<double>((part == 0) == columnFirst ? token % columns
                                                          : token / columns);
  }
};

/// A table and how exact it must be.
struct Table {
  llvm::ArrayRef<float> values;
  int64_t tokens, width;
  double tolerance;

  bool has(const Layout &layout) const {
    int64_t half = width / layout.parts / 2;
    std::vector<double> frequencies(half);
    for (int64_t i = 0; i != half; ++i)
      frequencies[i] = std::pow(10000.0, -static_cast<double>(i) / half);
    for (int64_t token = 0; token != tokens; ++token)
      for (int64_t column = 0; column != width; ++column) {
        int64_t part = column / (2 * half), rest = column % (2 * half);
        double angle = frequencies[rest % half] * layout.position(token, part);
        double wanted = (rest < half) == layout.cosineFirst ? std::cos(angle)
                                                            : std::sin(angle);
        if (!(std::abs(values[token * width + column] - wanted) <= tolerance))
          return false;
      }
    return true;
  }
};
} // namespace

bool dit::isSinCosTable(llvm::ArrayRef<float> values, int64_t tokens,
                        int64_t width, double tolerance) {
  // One token, at position 0, would be any row of zeros and ones.
  if (tokens < 2 || width < 4 || width % 2 != 0 ||
      static_cast<int64_t>(values.size()) != tokens * width)
    return false;
  Table table{values, tokens, width, tolerance};
  for (bool cosineFirst : {false, true}) {
    if (table.has({1, 1, true, cosineFirst}))
      return true;
    for (int64_t columns = 1; width % 4 == 0 && columns <= tokens; ++columns)
      for (bool columnFirst : {true, false})
        if (tokens % columns == 0 &&
            table.has({2, columns, columnFirst, cosineFirst}))
          return true;
  }
  return false;
}
