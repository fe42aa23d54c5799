//===- OpKinds.h - What fusion knows of single ops --------------*- C++ -*-===//
#ifndef PASSES_FUSION_OPKINDS_H
#define PASSES_FUSION_OPKINDS_H

#include "mlir/IR/Operation.h"

namespace dit {

/// True for the ops that stay outside kernels and read or make buffers:
/// dit.matmul, dit.attention, dit.after, dit.read, dit.write and the function's
/// return.
bool isAnchor(mlir::Operation *op);

/// True for the ops that a kernel's body may hold: pure, without regions, every
/// operand and result a tensor of static shape.
bool isBodyOp(mlir::Operation *op);

/// True for the ops that only say where elements come from: constants, views,
/// broadcasts, transposes, concatenations, look-ups, casts.
bool isCheap(mlir::Operation *op);

/// About how many flops an element of the result costs; of a reduction, an
/// element of its input.
int64_t getWeight(mlir::Operation *op);

/// The size of `value`, a ranked tensor of static shape.
int64_t countBits(mlir::Value value);

/// The value whose buffer `value` sees through views, broadcasts and casts.
mlir::Value stripViews(mlir::Value value);

/// The buffer that `anchor` reads through `operand`: the base of a strided view
/// where it can read such a view, else the operand's value itself, which then
/// must be a buffer.
mlir::Value getReadBuffer(mlir::OpOperand &operand);

/// The op's name without its dialect and the type letter of arith: mul, gelu.
std::string getShortName(mlir::Operation *op);

} // namespace dit

#endif // PASSES_FUSION_OPKINDS_H
