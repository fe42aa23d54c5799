//===- StridedView.h - Views that are only strides --------------*- C++ -*-===//
//
// A reshape, slice or transpose of a row-major buffer is often the same buffer
// read with other strides. Where it is, nothing has to be copied: GEMMs and
// attention take strides, and lowering gives the place of the base.
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_DIT_STRIDEDVIEW_H
#define DIALECTS_DIT_STRIDEDVIEW_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>

namespace dit {

/// `value[i…] = base's row-major buffer[offset + Σ i · strides]`.
struct StridedView {
  /// The tensor whose buffer is read: not a view itself.
  mlir::Value base;
  /// In elements, as are the strides.
  int64_t offset = 0;
  /// The viewed value's shape.
  llvm::SmallVector<int64_t> sizes;
  llvm::SmallVector<int64_t> strides;

  /// True where the elements lie one after the other in row-major order.
  bool isContiguous() const;
  /// True where the view is the whole base in its own order: another shape of
  /// it at most.
  bool isWhole() const;
  /// Merges dimensions [begin, end) into one; false, and nothing changed,
  /// where one stride cannot walk them. An empty range adds a dimension of 1.
  bool collapse(unsigned begin, unsigned end);
};

/// True for the ops that `getStridedView` looks through.
bool isViewOp(mlir::Operation *op);

/// Looks through tensor.expand_shape, tensor.collapse_shape,
/// tensor.extract_slice and dit.transpose. Nothing where the value, a ranked
/// tensor of static shape, is no strided view of its base (a collapse across a
/// gap, a dynamic slice).
std::optional<StridedView> getStridedView(mlir::Value value);

/// Where `value` lies in the tensor.concat that alone uses it, behind views
/// that keep every element: a view, of the value's shape, of the concat's
/// result. Nothing where that is not so, or strides cannot say it.
std::optional<StridedView> getPlaceInConcat(mlir::Value value);

/// True for a tensor.concat that needs no instruction: its operands are results
/// of one dit.attention_grad, which can write with strides.
bool isPlacedConcat(mlir::Operation *op);

} // namespace dit

#endif // DIALECTS_DIT_STRIDEDVIEW_H
