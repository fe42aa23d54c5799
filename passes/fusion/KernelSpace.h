//===- KernelSpace.h - The iteration space of a kernel ----------*- C++ -*-===//
#ifndef PASSES_FUSION_KERNELSPACE_H
#define PASSES_FUSION_KERNELSPACE_H

#include "passes/fusion/RowProgram.h"
#include "llvm/ADT/DenseMap.h"

namespace dit {

/// The space of a kernel that computes `result`. A reduction near it decides
/// the lane: its rows must be runs of the result's elements, or the result one
/// element of each row. Without one the lane is the last dimension. `positions`
/// orders the block's ops.
RowSpace
chooseSpace(mlir::OpResult result,
            const llvm::DenseMap<mlir::Operation *, unsigned> &positions);

} // namespace dit

#endif // PASSES_FUSION_KERNELSPACE_H
