//===- Passes.h - Passes of the precision phase ---*- C++ -*-===//
#ifndef PASSES_PRECISION_PASSES_H
#define PASSES_PRECISION_PASSES_H

#include "mlir/Pass/Pass.h"

namespace dit {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/precision/Passes.h.inc"

} // namespace dit

#endif // PASSES_PRECISION_PASSES_H
