//===- ApplyWeights.h - Other values for a model's parameters ---*- C++ -*-===//
#ifndef FRONTENDS_WEIGHTS_APPLYWEIGHTS_H
#define FRONTENDS_WEIGHTS_APPLYWEIGHTS_H

#include "frontends/weights/Safetensors.h"
#include "mlir/IR/BuiltinOps.h"

namespace dit {

/// Gives the parameters of `module` the values of `tensors`, found by name: the
/// parameter's own, or the same parameter's among the original DiT's and
/// diffusers' names (q, k and v may be one tensor or three, on either side).
/// Shapes are PyTorch's; a global's element type stays, values are converted
/// when the plan is written. `module` is as a frontend left it.
///
/// Parameters without a tensor (a position table keeps its values), tensors
/// without a parameter and shapes that differ are one error of kind
/// Contradiction that lists them all.
llvm::Error applyWeights(mlir::ModuleOp module,
                         llvm::ArrayRef<StoredTensor> tensors);

/// The parameters of `module` that have values, as a weight file would have
/// them: weights of one model (from ONNX, say) for another.
std::vector<StoredTensor> collectWeights(mlir::ModuleOp module);

/// Draws every parameter of `module` anew, as DiT's training code does, with
/// `seed`. Position tables keep their values. Names that DiT does not have are
/// one error of kind Unsupported that lists them.
llvm::Error initialiseDit(mlir::ModuleOp module, uint64_t seed);

} // namespace dit

#endif // FRONTENDS_WEIGHTS_APPLYWEIGHTS_H
