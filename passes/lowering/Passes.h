//===- Passes.h - Passes of the lowering phase ------------------*- C++ -*-===//
#ifndef PASSES_LOWERING_PASSES_H
#define PASSES_LOWERING_PASSES_H

#include "dialects/plan/PlanDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace dit {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/lowering/Passes.h.inc"

} // namespace dit

#endif // PASSES_LOWERING_PASSES_H
