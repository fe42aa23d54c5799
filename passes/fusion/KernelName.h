//===- KernelName.h - What people call a kernel -----------------*- C++ -*-===//
#ifndef PASSES_FUSION_KERNELNAME_H
#define PASSES_FUSION_KERNELNAME_H

#include "mlir/IR/Operation.h"

#include <string>

namespace dit {

/// A name for the kernel that computes `body`, in program order, from what it
/// does: "gate_residual_layer_norm_modulate", or "concat_transpose" where it
/// computes nothing. Nothing may depend on it.
std::string nameKernel(llvm::ArrayRef<mlir::Operation *> body);

} // namespace dit

#endif // PASSES_FUSION_KERNELNAME_H
