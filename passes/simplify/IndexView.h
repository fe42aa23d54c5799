//===- IndexView.h - What a chain of views does to indices ------*- C++ -*-===//
//
// Reshapes, slices, transposes and broadcasts of a tensor, composed: every
// dimension of the result is a list of factors (size, stride), outermost first,
// that walk the row-major elements of a base; stride 0 repeats. Two chains that
// mean the same have the same IndexView, however an exporter spelled them, and
// `planView` gives the one chain that we write for it:
//
//   expand → slice → transpose → collapse → broadcast → collapse/expand
//
// Example: K of a [B, T, 3·H·d] projection, transposed for a product,
//   dims = [[B: T·3Hd], [H: d], [d: 1], [T: 3Hd]], offset = H·d.
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_SIMPLIFY_INDEXVIEW_H
#define PASSES_SIMPLIFY_INDEXVIEW_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>

namespace dit {

/// `size` elements of a base, `stride` elements apart; 0 is a repetition.
struct Factor {
  int64_t size;
  int64_t stride;
  bool operator==(const Factor &other) const = default;
};

/// See the head of this file.
struct IndexView {
  using Dimension = llvm::SmallVector<Factor, 2>;

  mlir::Value base;
  /// Of the first element, in elements of the base.
  int64_t offset = 0;
  /// A dimension of size 1 has no factors.
  llvm::SmallVector<Dimension> dims;

  /// `base` itself.
  static IndexView identity(mlir::Value base);
  /// The sizes of the dimensions.
  llvm::SmallVector<int64_t> getShape() const;

  /// Applies one more view; false, with nothing changed, where the result is
  /// no IndexView.
  bool reshape(llvm::ArrayRef<int64_t> shape);
  void transpose(llvm::ArrayRef<int64_t> permutation);
  void broadcast(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> at);
  bool slice(llvm::ArrayRef<int64_t> offsets, llvm::ArrayRef<int64_t> sizes,
             llvm::ArrayRef<int64_t> steps);
  bool apply(mlir::Operation *op);
};

/// True for expand_shape, collapse_shape, extract_slice, transpose, broadcast.
bool isIndexViewOp(mlir::Operation *op);

/// `value` as a view of the furthest base that a chain of views leads to.
IndexView traceView(mlir::Value value);

/// One op of a chain of views.
struct ViewStep {
  enum Kind { Reshape, Slice, Transpose, Broadcast } kind;
  /// Of the result.
  llvm::SmallVector<int64_t> shape;
  /// Slice: offsets. Transpose: permutation. Broadcast: dims.
  llvm::SmallVector<int64_t> numbers;
  bool operator==(const ViewStep &other) const = default;
};

/// The one chain for this view, to a result of its shape; nothing where the
/// view is no chain of our ops (a diagonal, a slice across a dimension).
std::optional<llvm::SmallVector<ViewStep>> planView(const IndexView &view);

/// The ops from `base` to `value`, which `traceView` found.
llvm::SmallVector<ViewStep> readChain(mlir::Value value, mlir::Value base);

/// Writes the chain.
mlir::Value createChain(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Value base, llvm::ArrayRef<ViewStep> steps);

} // namespace dit

#endif // PASSES_SIMPLIFY_INDEXVIEW_H
