//===- EvaluateConstants.h - Ops of constants, computed ---------*- C++ -*-===//
//
// Exporters leave arithmetic on shapes in the graph, and sometimes tables and
// scales. An op row builds IR for it like for anything else; what has only
// constant operands is computed right away, so that the next node finds a
// constant. Sizes are static here, so no value is ever partly known.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FRONTENDS_ONNX_EVALUATECONSTANTS_H
#define DIT_FRONTENDS_ONNX_EVALUATECONSTANTS_H

#include "mlir/IR/Block.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace dit::onnx {

/// The result of a pure op of arith, math, tensor or dit with one result, if
/// all operands are constants (or small broadcasts of them) and few enough
/// elements are involved; else null. Floating point is computed in double and
/// rounded to the element type: exact for + − · / √ of fp32 and narrower.
mlir::DenseElementsAttr evaluate(mlir::Operation *op);

/// Replaces the ops of `block` behind `last` (all, if null) that evaluate by
/// constants, in `values` too. A broadcast of a table of floats stays: it would
/// only make the table larger.
void evaluateConstants(mlir::Block &block, mlir::Operation *last,
                       llvm::MutableArrayRef<mlir::Value> values);

/// Erases ops without effect whose results nobody uses.
void eraseUnused(mlir::Block &block);

} // namespace dit::onnx

#endif
