//===- Passes.h - Passes of the recompute phase -----------------*- C++ -*-===//
#ifndef PASSES_RECOMPUTE_PASSES_H
#define PASSES_RECOMPUTE_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace dit {

/// The module's attribute that says how many bytes of activations
/// dit-recompute-activations does not keep.
inline constexpr llvm::StringLiteral recomputedBytesAttrName =
    "dit.recomputed_bytes";

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/recompute/Passes.h.inc"

} // namespace dit

#endif // PASSES_RECOMPUTE_PASSES_H
