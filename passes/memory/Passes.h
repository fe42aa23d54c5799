//===- Passes.h - Passes of the memory phase --------------------*- C++ -*-===//
#ifndef PASSES_MEMORY_PASSES_H
#define PASSES_MEMORY_PASSES_H

#include "dialects/plan/PlanDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace dit {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/memory/Passes.h.inc"

} // namespace dit

#endif // PASSES_MEMORY_PASSES_H
