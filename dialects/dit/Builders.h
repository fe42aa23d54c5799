//===- Builders.h - Making dit IR in few words ------------------*- C++ -*-===//
//
// What frontends and passes write again and again: constants, reshapes,
// broadcasts, means, linear layers.
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_DIT_BUILDERS_H
#define DIALECTS_DIT_BUILDERS_H

#include "dialects/dit/DitDialect.h"
#include "mlir/IR/Builders.h"

namespace dit {

/// The type of `value`, which must be a ranked tensor.
mlir::RankedTensorType getTensorType(mlir::Value value);

/// The size of a tensor in memory, where an element has whole bytes.
int64_t countBytes(mlir::RankedTensorType type);

/// A constant tensor of `type` (float or integer elements), all `value`.
mlir::Value createSplat(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::RankedTensorType type, double value);

/// `value` with another shape of as many elements, in row-major order: the
/// fewest of collapse_shape and expand_shape, nothing where the shape is equal.
mlir::Value createReshape(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Value value, llvm::ArrayRef<int64_t> shape);

/// `value` repeated to `shape`, its dimension i lying at `dims[i]`.
mlir::Value createBroadcast(mlir::OpBuilder &builder, mlir::Location loc,
                            mlir::Value value, llvm::ArrayRef<int64_t> shape,
                            llvm::ArrayRef<int64_t> dims);

/// `value` repeated to `shape` by numpy's rule: aligned at the last dimension,
/// sizes of 1 repeated. Null where the shapes do not fit.
mlir::Value createNumpyBroadcast(mlir::OpBuilder &builder, mlir::Location loc,
                                 mlir::Value value,
                                 llvm::ArrayRef<int64_t> shape);

/// `value` with element type `element`: extf, truncf, sitofp, fptosi, … or
/// `value` itself. Booleans (i1) are unsigned.
mlir::Value createCast(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value value, mlir::Type element);

/// The slice [offset, offset + size) of dimension `dim`, all of the others.
mlir::Value createSlice(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Value value, int64_t dim, int64_t offset,
                        int64_t size);

/// lhs [..., K] times weight [N, K] transposed, plus bias [N] if not null:
/// [..., N], of lhs's element type.
mlir::Value createLinear(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::Value lhs, mlir::Value weight, mlir::Value bias);

/// x · sigmoid(x).
mlir::Value createSilu(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value value);

/// A dit.read of `global`.
mlir::Value createRead(mlir::OpBuilder &builder, mlir::Location loc,
                       GlobalOp global);

} // namespace dit

#endif // DIALECTS_DIT_BUILDERS_H
