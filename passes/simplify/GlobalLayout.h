//===- GlobalLayout.h - Moving a view into a global's pieces ----*- C++ -*-===//
//
// A weight that is read transposed may as well lie transposed: the pieces of
// its global say how the file's tensors get there, and checkpoints invert them.
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_SIMPLIFY_GLOBALLAYOUT_H
#define PASSES_SIMPLIFY_GLOBALLAYOUT_H

#include "dialects/dit/DitDialect.h"

#include <optional>

namespace dit {

/// `piece` of a global of shape `shape`, after the global's dimensions are
/// permuted as by dit.transpose; nothing where the piece is no box in that
/// shape.
std::optional<PieceAttr> transposePiece(PieceAttr piece,
                                        llvm::ArrayRef<int64_t> shape,
                                        llvm::ArrayRef<int64_t> permutation);

/// `piece` of a global of shape `shape` [H, …] as part `index` of `count` in a
/// global [H, count, …].
std::optional<PieceAttr> interleavePiece(PieceAttr piece,
                                         llvm::ArrayRef<int64_t> shape,
                                         int64_t index, int64_t count);

/// `piece` of a global of shape `shape` as [offset, offset + size) of dimension
/// `dim` of a global that has `total` there.
std::optional<PieceAttr> joinPiece(PieceAttr piece,
                                   llvm::ArrayRef<int64_t> shape, int64_t dim,
                                   int64_t offset, int64_t total);

} // namespace dit

#endif // PASSES_SIMPLIFY_GLOBALLAYOUT_H
