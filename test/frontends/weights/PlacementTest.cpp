//===- PlacementTest.cpp - Where a file's elements lie --------------------===//
#include "test/frontends/weights/PlacedElements.h"

#include "gtest/gtest.h"

#include <numeric>

using namespace dit;

/// 0, 1, 2, …: element i of a file is i.
static std::vector<float> count(size_t size) {
  std::vector<float> values(size);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

/// The transpose of a row-major matrix.
static std::vector<float> transposed(llvm::ArrayRef<float> matrix,
                                     size_t rows) {
  size_t columns = matrix.size() / rows;
  std::vector<float> result;
  for (size_t column = 0; column < columns; ++column)
    for (size_t row = 0; row < rows; ++row)
      result.push_back(matrix[row * columns + column]);
  return result;
}

// [head][q, k, v][d] of 2 heads of 2: q of head 0, k of head 0, …
static Placement qkv() {
  return {{3, 2, 2, 5}, {1, 0, 2, 3}, {2, 3, 2, 5}, {0, 0, 0, 0}};
}

TEST(Placement, HeadsGoTogether) {
  std::vector<float> global(60, -1);
  place(count(60), qkv(), global);
  for (size_t head = 0; head < 2; ++head)
    for (size_t part = 0; part < 3; ++part)
      for (size_t d = 0; d < 2; ++d)
        for (size_t k = 0; k < 5; ++k)
          EXPECT_EQ(global[((head * 3 + part) * 2 + d) * 5 + k],
                    static_cast<float>(((part * 2 + head) * 2 + d) * 5 + k));
}

TEST(Placement, TransposedFileLiesAlike) {
  std::vector<float> direct(60, -1), turned(60, -2);
  place(count(60), qkv(), direct);
  Placement placement = qkv();
  ASSERT_TRUE(placement.transpose(12));
  place(transposed(count(60), 12), placement, turned);
  EXPECT_EQ(direct, turned);
  // Twice is as before.
  ASSERT_TRUE(placement.transpose(5));
  EXPECT_EQ(placement.view, qkv().view);
  EXPECT_EQ(placement.permutation, qkv().permutation);
}

TEST(Placement, SplitsOnlyBetweenDimensions) {
  Placement placement = qkv();
  EXPECT_FALSE(placement.transpose(4));
}

TEST(Placement, PartsLieWhereTheWholeLies) {
  // As the builder has it, as a plain matrix, and as a transposed one.
  Placement plain{{12, 5}, {0, 1}, {12, 5}, {0, 0}};
  Placement turned{{12, 5}, {1, 0}, {5, 12}, {0, 0}};
  for (const Placement &whole : {qkv(), plain, turned}) {
    std::vector<float> direct(60, -1), parts(60, -2), all = count(60);
    place(all, whole, direct);
    for (int64_t part = 0; part < 3; ++part) {
      Placement third = whole;
      ASSERT_TRUE(third.takePart(part, 3));
      place(llvm::ArrayRef(all).slice(part * 20, 20), third, parts);
    }
    EXPECT_EQ(direct, parts);
  }
}

TEST(Placement, APartOfAPartIsRefused) {
  Placement placement{{4, 5}, {0, 1}, {12, 5}, {4, 0}};
  EXPECT_FALSE(placement.takePart(0, 2));
  EXPECT_FALSE(placement.takePart(0, 3));
}
