//===- MatrixView.h - Tensors as GEMMs see them -----------------*- C++ -*-===//
#ifndef PASSES_LOWERING_MATRIXVIEW_H
#define PASSES_LOWERING_MATRIXVIEW_H

#include "dialects/dit/DitDialect.h"
#include "dialects/dit/StridedView.h"

namespace dit {

/// A tensor as a batch of matrices in its base's buffer: one dimension of the
/// two is contiguous, the other has the stride `leading`.
struct MatrixView {
  /// base and offset; sizes are [batch, rows, columns] as the tensor has them.
  StridedView view;
  /// True where the rows, not the columns, are contiguous.
  bool transposed = false;
  int64_t leading = 0;
  /// Between the matrices of the batch; 0 where there is one.
  int64_t stride = 0;
};

/// Sees `value` [batch…, rows, columns] as matrices, or with `fold` all leading
/// dimensions as rows of one. Nothing where strides cannot.
std::optional<MatrixView> getMatrixView(mlir::Value value, bool fold);

/// How a dit.matmul is one product or a batch of them on strided memory.
struct MatmulViews {
  int64_t m, n, k, batch;
  MatrixView lhs, rhs;
  std::optional<MatrixView> residual, aux;
};

/// Nothing where an operand's view cannot be walked so; then `culprit` is set.
std::optional<MatmulViews> getMatmulViews(MatmulOp op,
                                          mlir::OpOperand *&culprit);

} // namespace dit

#endif // PASSES_LOWERING_MATRIXVIEW_H
