//===- Passes.h - Passes of the fusion phase --------------------*- C++ -*-===//
#ifndef PASSES_FUSION_PASSES_H
#define PASSES_FUSION_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace dit {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/fusion/Passes.h.inc"

} // namespace dit

#endif // PASSES_FUSION_PASSES_H
