//===- ColumnSums.h - Sums of runs of a kernel's rows -----------*- C++ -*-===//
//
// A dit.reduce along the last but one dimension that is marked `dit.partial` is
// a column sum: a kernel over its operand's rows has it as a result, and makes
// it row by row beside its other results.
//
//     %p = dit.reduce sum %x dims = [2] {dit.partial} : tensor<8x8x32x192xf32>
//
// is tensor<8x8x192xf32>: one row for each run of 32 rows. Nothing in the
// kernel reads it.
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_DIT_COLUMNSUMS_H
#define DIALECTS_DIT_COLUMNSUMS_H

#include "dialects/dit/DitDialect.h"

namespace dit {

/// Marks a dit.reduce as a column sum.
inline constexpr llvm::StringLiteral partialAttrName = "dit.partial";

/// The column sum that makes `value`, null where none does.
inline ReduceOp getColumnSum(mlir::Value value) {
  auto reduce = value.getDefiningOp<ReduceOp>();
  return reduce && reduce->hasAttr(partialAttrName) ? reduce : ReduceOp();
}

/// Rows that one row of a column sum is made of.
inline int64_t getRun(ReduceOp columnSum) {
  mlir::RankedTensorType type =
      mlir::cast<mlir::RankedTensorType>(columnSum.getInput().getType());
  return type.getDimSize(type.getRank() - 2);
}

/// Fails, with an error at `kernel`, where a result that its body yields is no
/// point or row of `space` each, and no column sum.
mlir::LogicalResult verifyKernelResults(mlir::Operation *kernel,
                                        mlir::Block &body,
                                        llvm::ArrayRef<int64_t> space);

/// Rows that a kernel's blocks must hold together: those of its column sums'
/// runs, 1 where it has none.
inline int64_t getRun(mlir::Block &body) {
  for (mlir::Value result : body.getTerminator()->getOperands())
    if (ReduceOp columnSum = getColumnSum(result))
      return getRun(columnSum);
  return 1;
}

} // namespace dit

#endif // DIALECTS_DIT_COLUMNSUMS_H
