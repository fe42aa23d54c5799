//===- IndexMap.h - Indices through an op, from result to operand *- C++
//-*-===//
#ifndef COMPILER_CODEGEN_INDEXMAP_H
#define COMPILER_CODEGEN_INDEXMAP_H

#include "compiler/codegen/IndexExpr.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Operation.h"
#include <set>

namespace dit::codegen {

/// Whether `op` only says where the elements of its one operand are:
/// broadcast, transpose, slice, reshape.
bool isView(mlir::Operation *op);

/// The index of the operand's element that is the view's element at `index`.
Index mapView(IndexTable &table, mlir::Operation *view, const Index &index);

/// Whether `op` computes each element of its results from the elements of its
/// operands at the same index.
bool isElementwise(mlir::Operation *op);

/// A part of a concatenation that an index may fall into.
struct ConcatPiece {
  mlir::Value input;
  /// The concatenation's index where the input begins.
  int64_t start;
  /// Where the element lies in the input, if it lies there: the nearest index
  /// that the input has.
  Index index;
};

/// The inputs that the element of `op` at `index` may come from, by start; one
/// where all inputs are the same or the index leaves no choice.
llvm::SmallVector<ConcatPiece, 2>
mapConcat(IndexTable &table, mlir::tensor::ConcatOp op, const Index &index);

/// Visits what an element is computed from, without computing it.
class ElementWalk {
public:
  explicit ElementWalk(IndexTable &table) : table(table) {}
  virtual ~ElementWalk() = default;

  void visit(mlir::Value value, const Index &index);

protected:
  /// An input of the kernel, or the result of a dit.gather, at `index`.
  virtual void visitLoad(mlir::Value value, const Index &index) {}
  virtual void visitConcat(mlir::tensor::ConcatOp op, const Index &index) {}
  /// `value` at `row` is the result of a reduction along its operand's last
  /// dimension: a dit.reduce, or statistics of a norm or a softmax (for which
  /// `value` is the op's first result). Whether to go on to the operand.
  virtual bool visitReduction(mlir::Value value, const Index &row) {
    return true;
  }

  IndexTable &table;

private:
  std::set<std::pair<void *, Index>> seen;
};

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_INDEXMAP_H
