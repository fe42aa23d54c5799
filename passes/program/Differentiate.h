//===- Differentiate.h - Reverse-mode differentiation -----------*- C++ -*-===//
#ifndef PASSES_PROGRAM_DIFFERENTIATE_H
#define PASSES_PROGRAM_DIFFERENTIATE_H

#include "mlir/IR/Builders.h"
#include "llvm/ADT/SmallVector.h"

namespace dit {

/// The gradients of `loss`, a float tensor of one element, by each of `wrt`,
/// float tensors of the same block or arguments of it: tensors of their shapes
/// and element types, but fp32 where those are narrower. Null where the loss
/// does not depend on the value.
///
/// The ops are made where `builder` stands, which must be after `loss` in its
/// block: one walk backwards over the ops between, which asks each op that is
/// *active* (depends on `wrt`, and the loss on it) for its vector-Jacobian
/// product (DifferentiableOpInterface). The walk begins with `seed`, of the
/// type of `loss`: 1 where it is null, a loss scale for fp16. Contributions to
/// one value are added in the order of the walk, so that equal programs give
/// equal bits. Two reads of one global are two values: run CSE before.
///
/// dit.stop_gradient ops before the loss are gone afterwards. An active op that
/// has no rule is an error at that op, and nothing is promised about the block.
mlir::FailureOr<llvm::SmallVector<mlir::Value>>
differentiate(mlir::OpBuilder &builder, mlir::Value loss, mlir::ValueRange wrt,
              mlir::Value seed = {});

} // namespace dit

#endif // PASSES_PROGRAM_DIFFERENTIATE_H
