//===- SinCosTableTest.cpp - Position tables by their values --------------===//
#include "passes/simplify/SinCosTable.h"

#include "gtest/gtest.h"

#include <cmath>
#include <vector>

using namespace dit;

namespace {

/// [sin | cos] of `position` over `width` columns.
void append(std::vector<float> &row, int64_t width, double position,
            bool cosineFirst = false) {
  for (bool cosine : {cosineFirst, !cosineFirst})
    for (int64_t i = 0; i < width / 2; ++i) {
      double angle = position * std::pow(10000.0, -2.0 * i / width);
      row.push_back(cosine ? std::cos(angle) : std::sin(angle));
    }
}

/// DiT's table of a grid: w in the first half of the width, h in the second.
std::vector<float> makeGrid(int64_t rows, int64_t columns, int64_t width,
                            bool rowFirst = false) {
  std::vector<float> table;
  for (int64_t h = 0; h < rows; ++h)
    for (int64_t w = 0; w < columns; ++w) {
      append(table, width / 2, rowFirst ? h : w);
      append(table, width / 2, rowFirst ? w : h);
    }
  return table;
}

TEST(SinCosTable, KnowsGridsAndSequences) {
  EXPECT_TRUE(isSinCosTable(makeGrid(4, 4, 24), 16, 24, 1e-6));
  EXPECT_TRUE(isSinCosTable(makeGrid(2, 5, 8), 10, 8, 1e-6));
  EXPECT_TRUE(isSinCosTable(makeGrid(3, 4, 16, true), 12, 16, 1e-6));
  for (bool cosineFirst : {false, true}) {
    std::vector<float> sequence;
    for (int64_t token = 0; token < 7; ++token)
      append(sequence, 10, token, cosineFirst);
    EXPECT_TRUE(isSinCosTable(sequence, 7, 10, 1e-6));
  }
}

TEST(SinCosTable, RefusesWhatDiffers) {
  std::vector<float> table = makeGrid(4, 4, 24);
  EXPECT_FALSE(isSinCosTable(table, 8, 48, 1e-3)) << "other shape";
  for (size_t at : {size_t(0), table.size() / 2, table.size() - 1}) {
    std::vector<float> changed = table;
    changed[at] += 2e-3f;
    EXPECT_FALSE(isSinCosTable(changed, 16, 24, 1e-3)) << at;
    EXPECT_TRUE(isSinCosTable(changed, 16, 24, 1e-2)) << at;
    changed[at] = NAN;
    EXPECT_FALSE(isSinCosTable(changed, 16, 24, 1e-2)) << at;
  }
  EXPECT_FALSE(isSinCosTable({0, 0, 1, 1}, 1, 4, 1e-3)) << "one token";
  EXPECT_FALSE(isSinCosTable(std::vector<float>(64), 4, 16, 1e-3)) << "zeros";
}

} // namespace
