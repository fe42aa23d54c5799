//===- OrderTest.cpp - Permutations of epochs, mirrored samples -----------===//

#include "runtime/training/Order.h"

#include <gtest/gtest.h>
#include <vector>

using namespace dit::runtime;

TEST(OrderTest, EverySampleOnce) {
  for (int64_t size : {1, 2, 3, 4, 5, 15, 16, 17, 1000, 60000}) {
    Order order(size, 7, 3);
    std::vector<bool> seen(size);
    for (int64_t i = 0; i != size; ++i) {
      int64_t at = order[i];
      ASSERT_GE(at, 0);
      ASSERT_LT(at, size);
      ASSERT_FALSE(seen[at]) << size << ": " << at << " twice";
      seen[at] = true;
    }
  }
}

TEST(OrderTest, AFunctionOfSeedAndEpoch) {
  constexpr int64_t size = 1000;
  Order order(size, 1, 2), same(size, 1, 2);
  // Of two permutations at random one place in `size` agrees: about 1.
  auto agreements = [&](const Order &other) {
    int64_t count = 0;
    for (int64_t i = 0; i != size; ++i)
      count += order[i] == other[i];
    return count;
  };
  EXPECT_EQ(agreements(same), size);
  EXPECT_LT(agreements(Order(size, 1, 3)), 10);
  EXPECT_LT(agreements(Order(size, 2, 2)), 10);
}

TEST(OrderTest, LooksRandom) {
  // Where each sixth of the positions goes, over 100 epochs: cells of expected
  // count 100 * 60 / 6 = 1000, chi-square of 25 degrees of freedom; 60 is past
  // the 99.99th percentile.
  constexpr int64_t size = 360, epochs = 100, parts = 6;
  double cells[parts][parts] = {};
  for (int64_t epoch = 0; epoch != epochs; ++epoch) {
    Order order(size, 11, epoch);
    for (int64_t i = 0; i != size; ++i)
      ++cells[i * parts / size][order[i] * parts / size];
  }
  double chi = 0, expected = double(epochs) * size / parts / parts;
  for (auto &row : cells)
    for (double cell : row)
      chi += (cell - expected) * (cell - expected) / expected;
  EXPECT_LT(chi, 60);
  EXPECT_GT(chi, 2);
}

TEST(OrderTest, HugeSetsNeedNoMemory) {
  constexpr int64_t size = int64_t(1) << 40;
  Order order(size, 1, 0);
  EXPECT_NE(order[0], order[1]);
  EXPECT_LT(order[size - 1], size);
}

TEST(OrderTest, HalfIsMirrored) {
  int64_t count = 0, equal = 0;
  for (int64_t i = 0; i != 10000; ++i) {
    count += isMirrored(5, i);
    equal += isMirrored(5, i) == isMirrored(6, i);
  }
  // Five standard deviations of a fair coin: 250.
  EXPECT_NEAR(count, 5000, 250);
  EXPECT_NEAR(equal, 5000, 250);
}
