//===- Placement.h - How a tensor of a file lies in a global ----*- C++ -*-===//
//
// The geometry of `#dit.piece`, apart from names and values, and what happens
// to it when the file has the same tensor another way: transposed, or in three.
//
//===----------------------------------------------------------------------===//
#ifndef FRONTENDS_WEIGHTS_PLACEMENT_H
#define FRONTENDS_WEIGHTS_PLACEMENT_H

#include "dialects/dit/DitDialect.h"

namespace dit {

/// The file's tensor seen as `view`, permuted, at `offset` of `target`.
struct Placement {
  llvm::SmallVector<int64_t> view, permutation, target, offset;

  static Placement of(PieceAttr piece);

  /// The placement of the file's tensor [A, B] (any A, B that `view` splits
  /// between dimensions), when the file has it as [B, A]. `rows` is A. False if
  /// `view` does not split there.
  bool transpose(int64_t rows);

  /// The placement of part `index` of `count` equal parts of the file's first
  /// dimension. False if the target does not hold that dimension whole.
  bool takePart(int64_t index, int64_t count);

  /// The piece `name` so placed.
  PieceAttr getPiece(llvm::StringRef name, mlir::RankedTensorType file,
                     mlir::Attribute source) const;
};

} // namespace dit

#endif // FRONTENDS_WEIGHTS_PLACEMENT_H
