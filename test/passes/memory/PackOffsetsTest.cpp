//===- PackOffsetsTest.cpp - Properties of the packing --------------------===//
#include "passes/memory/PackOffsets.h"

#include "gtest/gtest.h"
#include <algorithm>
#include <random>

using namespace dit;

static int64_t roundUp(int64_t bytes) { return (bytes + 255) / 256 * 256; }

/// Checks what must hold of any packing, by looking at every step.
static void check(const std::vector<Interval> &intervals) {
  PackedOffsets packed = packOffsets(intervals);
  ASSERT_EQ(packed.offsets.size(), intervals.size());
  int64_t steps = 0, end = 0, lowerBound = 0;
  for (size_t i = 0; i < intervals.size(); ++i) {
    EXPECT_GE(packed.offsets[i], 0);
    EXPECT_EQ(packed.offsets[i] % 256, 0);
    end = std::max(end, packed.offsets[i] + roundUp(intervals[i].bytes));
    steps = std::max(steps, intervals[i].end + 1);
  }
  EXPECT_EQ(packed.total, end);
  for (int64_t step = 0; step < steps; ++step) {
    std::vector<std::pair<int64_t, int64_t>> live; // begin, end
    int64_t sum = 0;
    for (size_t i = 0; i < intervals.size(); ++i) {
      if (intervals[i].begin > step || intervals[i].end < step)
        continue;
      live.emplace_back(packed.offsets[i],
                        packed.offsets[i] + intervals[i].bytes);
      sum += roundUp(intervals[i].bytes);
    }
    lowerBound = std::max(lowerBound, sum);
    std::sort(live.begin(), live.end());
    for (size_t i = 1; i < live.size(); ++i)
      EXPECT_LE(live[i - 1].second, live[i].first) << "at step " << step;
  }
  EXPECT_EQ(packed.lowerBound, lowerBound);
  EXPECT_GE(packed.total, lowerBound);
}

static std::vector<Interval> draw(std::mt19937 &random, int count, int steps,
                                  int64_t largest) {
  std::vector<Interval> intervals;
  for (int i = 0; i < count; ++i) {
    int64_t begin = random() % steps;
    int64_t length = random() % (random() % 4 ? 4 : steps);
    intervals.push_back({begin, std::min<int64_t>(begin + length, steps - 1),
                         1 + static_cast<int64_t>(random() % largest)});
  }
  return intervals;
}

TEST(PackOffsets, Nothing) {
  PackedOffsets packed = packOffsets({});
  EXPECT_EQ(packed.total, 0);
  EXPECT_EQ(packed.lowerBound, 0);
}

TEST(PackOffsets, RandomIntervals) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE(round);
    check(draw(random, 1 + random() % 60, 1 + random() % 40,
               round % 2 ? 1200 : 1 << 20));
  }
}

TEST(PackOffsets, SameAnswerTwice) {
  std::mt19937 random(2);
  std::vector<Interval> intervals = draw(random, 200, 100, 1 << 16);
  EXPECT_EQ(packOffsets(intervals).offsets, packOffsets(intervals).offsets);
}

// A chain of layers needs two buffers, not one a layer.
TEST(PackOffsets, Chain) {
  std::vector<Interval> intervals;
  for (int64_t layer = 0; layer < 50; ++layer)
    intervals.push_back({layer, layer + 1, 4096});
  EXPECT_EQ(packOffsets(intervals).total, 2 * 4096);
}

// DiT's blocks: residual stream x, modulated h, qkv, attention's output, the
// MLP's hidden layer. No order loses anything here.
TEST(PackOffsets, Blocks) {
  std::vector<Interval> intervals;
  constexpr int64_t d = 512 * 192 * 4, steps = 7;
  for (int64_t block = 0; block < 12; ++block) {
    int64_t t = block * steps;
    intervals.push_back({t, t + 1, d});         // h
    intervals.push_back({t + 1, t + 2, 3 * d}); // qkv
    intervals.push_back({t + 2, t + 3, d});     // attention
    intervals.push_back({t + 3, t + 6, d});     // x after attention
    intervals.push_back({t + 4, t + 5, d});     // h
    intervals.push_back({t + 5, t + 6, 4 * d}); // hidden
    intervals.push_back({t + 6, t + 10, d});    // x after the MLP
  }
  check(intervals);
  PackedOffsets packed = packOffsets(intervals);
  EXPECT_EQ(packed.total, packed.lowerBound);
}

// A hole is filled by the block that fits it best.
TEST(PackOffsets, FillsGaps) {
  check({{0, 1, 4000}, {0, 9, 400}, {2, 9, 2000}, {2, 9, 1600}});
  EXPECT_EQ(
      packOffsets({{0, 1, 1024}, {0, 9, 256}, {2, 9, 512}, {2, 9, 512}}).total,
      1024 + 256);
}
