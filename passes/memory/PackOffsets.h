//===- PackOffsets.h - Offsets for blocks that live a while -----*- C++ -*-===//
//
// Plain code: intervals of time with sizes in, offsets out.
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_MEMORY_PACKOFFSETS_H
#define PASSES_MEMORY_PACKOFFSETS_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <vector>

namespace dit {

/// A block that is needed from step `begin` to step `end`, both included.
struct Interval {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t bytes = 0;
};

/// Offsets are multiples of this, and every block ends at one: cuBLASLt refuses
/// a workspace that is not.
constexpr int64_t offsetAlignment = 256;

/// `bytes` rounded up to the alignment: what a block takes.
int64_t alignedBytes(int64_t bytes);

struct PackedOffsets {
  /// One an interval, in their order.
  std::vector<int64_t> offsets;
  /// End of the last block: what has to be allocated.
  int64_t total = 0;
  /// The largest sum of blocks live at one step; no packing has less.
  int64_t lowerBound = 0;
};

/// Places the intervals so that two that share a step share no byte.
/// Deterministic. Finding the least total is NP-hard; this searches greedy
/// orders, each block at the gap that it fills best, and stops at the lower
/// bound.
PackedOffsets packOffsets(llvm::ArrayRef<Interval> intervals);

} // namespace dit

#endif // PASSES_MEMORY_PACKOFFSETS_H
