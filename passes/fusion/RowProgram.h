//===- RowProgram.h - Where a kernel's points read its tensors --*- C++ -*-===//
//
// A kernel's space is rows of lanes, and code is made by pulling: for a point
// (row, lane) one walks from the results back through the body, and every op
// maps the indices at which its result is wanted to those at which it wants its
// operands. Here these indices are symbolic (RowIndex.h): from them fusion sees
// whether a value is computed once or many times, and whether a reduction's row
// stays put while the lane runs.
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSION_ROWPROGRAM_H
#define PASSES_FUSION_ROWPROGRAM_H

#include "dialects/dit/DitDialect.h"
#include "passes/fusion/RowIndex.h"

#include <string>

namespace dit {

/// The iteration space of a kernel: `rows` times `lane` points.
struct RowSpace {
  int64_t rows;
  int64_t lane;

  bool operator==(const RowSpace &other) const = default;
  /// The space of a kernel: its last dimension is the lane.
  static RowSpace of(llvm::ArrayRef<int64_t> space);
};

/// The index of every dimension of a tensor, and for how many rows and lanes of
/// the space it is wanted (fewer than all behind a concatenation), and how many
/// terms a point adds.
struct Access {
  llvm::SmallVector<Index, 0> indices;
  int64_t rows = 0;
  int64_t lanes = 0;
  int64_t terms = 1;

  bool operator==(const Access &other) const = default;
  bool dependsOn(Coordinate coordinate) const;
  /// How often an element is computed: once a row where the lane is of no
  /// matter, else once a point; for each term where that matters.
  int64_t getEvaluations() const;
};

/// How a result lies in the space.
enum class Linearity {
  Full, // its row-major elements are the space's points
  Row,  // its row-major elements are the space's rows
  Runs, // its row-major elements are the lanes of runs of rows: a column sum
  None
};

/// The access of a result of `shape`, which must have as many elements as the
/// space has points (Full) or rows (Row), or divide the points (Runs).
Access getResultAccess(llvm::ArrayRef<int64_t> shape, RowSpace space,
                       Linearity linearity);

/// The access of `result` as the result of a kernel.
Access getResultAccess(mlir::OpResult result, RowSpace space);

/// Whether an access to a tensor of `shape` is that of a full or row result.
Linearity getLinearity(const Access &access, llvm::ArrayRef<int64_t> shape,
                       RowSpace space);

/// One operand and where it is read.
struct OperandAccess {
  mlir::Value operand;
  Access access;
};

/// Maps an access to result number `result` of `op` to accesses of its
/// operands, appended to `operands`. Fails with a reason where the op cannot be
/// in a kernel of this space: a reduction that is not as wide as the lane, or
/// whose row depends on the lane; an op that is not known.
mlir::LogicalResult pullAccess(mlir::Operation *op, unsigned result,
                               const Access &access, RowSpace space,
                               llvm::SmallVectorImpl<OperandAccess> &operands,
                               std::string &reason);

/// True for the ops that combine the elements of a row: dit.reduce along the
/// last dimension, dit.layer_norm, dit.rms_norm and dit.softmax.
bool isReduction(mlir::Operation *op);

/// The dit.reduce along the last but one dimension that `op` is, else null:
/// each point adds the terms of its own column, or it is a column sum.
ReduceOp getColumnReduction(mlir::Operation *op);

/// True for the result of a norm or softmax that is like its input; the other
/// results of reductions are one number a row.
bool isLikeInput(mlir::OpResult result);

/// The shape of `value`, a ranked tensor.
llvm::ArrayRef<int64_t> getShape(mlir::Value value);

/// The number of elements of `value`, a ranked tensor of static shape.
int64_t countElements(mlir::Value value);

/// Checks that `kernel` is a row program: every result linear, every reduction
/// along the lane with a row that does not depend on it. Emits an error at the
/// op of the body that is at fault.
mlir::LogicalResult verifyRowProgram(KernelOp kernel);

} // namespace dit

#endif // PASSES_FUSION_ROWPROGRAM_H
