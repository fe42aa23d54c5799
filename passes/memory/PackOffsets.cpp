//===- PackOffsets.cpp - Offsets for blocks that live a while -------------===//
//
// Blocks are placed one after the other. For each: sort those already placed
// that share a step with it by offset, walk the gaps between them, and take the
// smallest gap that holds it, or the end.
//
// The order decides. Two are tried: by size, largest first (large blocks decide
// the total), and by begin (blocks that follow each other, as in a chain of
// layers, reuse the same bytes). From each, the block that ends highest came
// too late: it goes to the front and everything is placed again, a number of
// times that depends on the number of blocks only.
//
//===----------------------------------------------------------------------===//
#include "passes/memory/PackOffsets.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <numeric>
#include <tuple>

using namespace dit;

int64_t dit::alignedBytes(int64_t bytes) {
  return static_cast<int64_t>(
      llvm::alignTo(static_cast<uint64_t>(bytes), offsetAlignment));
}

static bool shareStep(const Interval &a, const Interval &b) {
  return a.begin <= b.end && b.begin <= a.end;
}

namespace {
/// Bytes that are taken.
struct Range {
  int64_t begin, end;
  bool operator<(const Range &other) const {
    return std::tie(begin, end) < std::tie(other.begin, other.end);
  }
};
} // namespace

/// The begin of the smallest gap between `taken` that holds `bytes`.
static int64_t findBestGap(std::vector<Range> &taken, int64_t bytes) {
  llvm::sort(taken);
  int64_t end = 0, best = -1, smallest = 0;
  for (const Range &range : taken) {
    int64_t gap = range.begin - end;
    if (gap >= bytes && (best < 0 || gap < smallest))
      best = end, smallest = gap;
    end = std::max(end, range.end);
  }
  return best < 0 ? end : best;
}

static PackedOffsets place(llvm::ArrayRef<Interval> intervals,
                           llvm::ArrayRef<size_t> order) {
  PackedOffsets result;
  result.offsets.resize(intervals.size());
  std::vector<size_t> placed;
  std::vector<Range> taken;
  for (size_t index : order) {
    taken.clear();
    for (size_t other : placed)
      if (shareStep(intervals[index], intervals[other]))
        taken.push_back(
            {result.offsets[other],
             result.offsets[other] + alignedBytes(intervals[other].bytes)});
    int64_t bytes = alignedBytes(intervals[index].bytes);
    result.offsets[index] = findBestGap(taken, bytes);
    result.total = std::max(result.total, result.offsets[index] + bytes);
    placed.push_back(index);
  }
  return result;
}

/// The sum of live blocks changes only where one begins.
static int64_t findLowerBound(llvm::ArrayRef<Interval> intervals) {
  std::vector<std::pair<int64_t, int64_t>> changes; // step, bytes
  for (const Interval &interval : intervals) {
    changes.emplace_back(interval.begin, alignedBytes(interval.bytes));
    changes.emplace_back(interval.end + 1, -alignedBytes(interval.bytes));
  }
  llvm::sort(changes); // at one step what ends comes first: it is negative
  int64_t live = 0, largest = 0;
  for (auto [step, bytes] : changes)
    largest = std::max(largest, live += bytes);
  return largest;
}

/// The place in `order` of the block that ends at the total; of several, the
/// first.
static size_t findHighest(llvm::ArrayRef<Interval> intervals,
                          llvm::ArrayRef<size_t> order,
                          const PackedOffsets &packed) {
  for (size_t at = 0; at < order.size(); ++at) {
    size_t index = order[at];
    if (packed.offsets[index] + alignedBytes(intervals[index].bytes) ==
        packed.total)
      return at;
  }
  return 0;
}

/// Keeps the better of `best` and what it finds from `order` on.
static void search(llvm::ArrayRef<Interval> intervals,
                   std::vector<size_t> order, int64_t lowerBound,
                   PackedOffsets &best) {
  // A placement takes about n² steps: at most some tenths of a second in all.
  constexpr size_t steps = size_t(1) << 24;
  size_t count = intervals.size();
  size_t rounds = std::clamp<size_t>(steps / (count * count + 1), 1, 256);
  for (size_t round = 0; round < rounds; ++round) {
    PackedOffsets packed = place(intervals, order);
    if (best.offsets.empty() || packed.total < best.total)
      best = packed;
    if (best.total == lowerBound || count < 2)
      return;
    size_t highest = findHighest(intervals, order, packed);
    std::rotate(order.begin(), order.begin() + highest,
                order.begin() + highest + 1);
  }
}

PackedOffsets dit::packOffsets(llvm::ArrayRef<Interval> intervals) {
  std::vector<size_t> order(intervals.size());
  std::iota(order.begin(), order.end(), 0);
  int64_t lowerBound = findLowerBound(intervals);
  PackedOffsets best;
  // Ties go to the interval that was named first.
  auto bytesOf = [&](size_t index) {
    return alignedBytes(intervals[index].bytes);
  };
  llvm::sort(order, [&](size_t a, size_t b) {
    return std::tuple(-bytesOf(a), intervals[a].begin, a) <
           std::tuple(-bytesOf(b), intervals[b].begin, b);
  });
  search(intervals, order, lowerBound, best);
  llvm::sort(order, [&](size_t a, size_t b) {
    return std::tuple(intervals[a].begin, -bytesOf(a), a) <
           std::tuple(intervals[b].begin, -bytesOf(b), b);
  });
  search(intervals, order, lowerBound, best);
  best.lowerBound = lowerBound;
  return best;
}
