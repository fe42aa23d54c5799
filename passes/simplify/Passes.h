//===- Passes.h - Passes of the simplify phase ---*- C++ -*-===//
#ifndef PASSES_SIMPLIFY_PASSES_H
#define PASSES_SIMPLIFY_PASSES_H

#include "mlir/Pass/Pass.h"

namespace dit {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/simplify/Passes.h.inc"

} // namespace dit

#endif // PASSES_SIMPLIFY_PASSES_H
