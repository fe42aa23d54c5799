//===- IndexMap.h - Indices through an op, from result to operand *- C++
//-*-===//
#ifndef COMPILER_CODEGEN_INDEXMAP_H
#define COMPILER_CODEGEN_INDEXMAP_H

#include "compiler/codegen/IndexExpr.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Operation.h"

namespace dit::codegen {

/// Whether `op` only says where the elements of its one operand are:
/// broadcast, transpose, slice, reshape.
bool isView(mlir::Operation *op);

/// The index of the operand's element that is the view's element at `index`.
Index mapView(IndexTable &table, mlir::Operation *view, const Index &index);

/// Whether `op` computes each element of its results from the elements of its
/// operands at the same index.
bool isElementwise(mlir::Operation *op);

/// The first index of each operand of a concatenation along its dimension, and
/// the end.
llvm::SmallVector<int64_t> getStarts(mlir::tensor::ConcatOp op);

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_INDEXMAP_H
