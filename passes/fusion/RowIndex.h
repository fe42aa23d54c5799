//===- RowIndex.h - Indices as digits of a kernel's coordinates -*- C++ -*-===//
//
// An index is a sum of digits of the row, of the lane and of the term, which is
// closed under reshapes, transposes, slices and broadcasts.
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSION_ROWINDEX_H
#define PASSES_FUSION_ROWINDEX_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>

namespace dit {

/// The two numbers that name a point of the space, and that of the term where a
/// point adds several.
enum class Coordinate { Row, Lane, Term };

/// `coefficient · (⌊coordinate / stride⌋ mod size)`: a digit of a coordinate.
struct Digit {
  int64_t coefficient;
  Coordinate coordinate;
  int64_t stride;
  int64_t size;

  bool operator==(const Digit &other) const = default;
};

/// An index into one dimension: `offset + Σ digits`, or where `exact` is false
/// an unknown function of these digits (a look-up, a reshape across a gap).
struct Index {
  int64_t offset = 0;
  llvm::SmallVector<Digit, 2> digits;
  bool exact = true;

  bool operator==(const Index &other) const = default;
  bool dependsOn(Coordinate coordinate) const;
};

/// Sorts by coefficient, drops digits that are always 0, and joins neighbours
/// that are one longer digit: equal functions become equal indices.
void normalise(Index &index);

/// An unknown function of what `from` depends on.
Index makeInexact(const Index &from);

/// The largest value of an exact index.
int64_t getMaximum(const Index &index);

/// The row-major index of `indices` in `sizes`.
Index linearise(llvm::ArrayRef<Index> indices, llvm::ArrayRef<int64_t> sizes);

/// The indices in `sizes` whose row-major index is `index`.
llvm::SmallVector<Index, 0> delinearise(Index index,
                                        llvm::ArrayRef<int64_t> sizes);

} // namespace dit

#endif // PASSES_FUSION_ROWINDEX_H
