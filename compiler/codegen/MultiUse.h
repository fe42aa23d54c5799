//===- MultiUse.h - Values that several loops of a row need -----*- C++ -*-===//
#ifndef COMPILER_CODEGEN_MULTIUSE_H
#define COMPILER_CODEGEN_MULTIUSE_H

#include "mlir/IR/Region.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include <set>

namespace dit::codegen {

/// Finds the values of a kernel's body that more than one loop over the same
/// row needs and that cost more to compute again than to read back.
///
/// x + gate · branch in front of a layer norm is needed for the mean, for the
/// variance and for the result: it is kept. A plain input is not: reading it
/// again is as cheap.
class MultiUse {
public:
  explicit MultiUse(mlir::Region &body);

  /// Whether to keep part `part` of `value` (0: itself; 1: a softmax's
  /// exponentials).
  bool isKept(mlir::Value value, unsigned part) const {
    return kept.contains({value, part});
  }

  /// Whether an element of `value` costs so little that a loop over a row may
  /// well repeat it.
  bool isCheap(mlir::Value value) const;

private:
  using Loops = std::set<unsigned>;
  int costOf(mlir::Operation *op);

  llvm::DenseMap<mlir::Value, int> costs;
  llvm::DenseSet<std::pair<mlir::Value, unsigned>> kept;
};

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_MULTIUSE_H
