//===- Passes.h - Passes of the program phase ---*- C++ -*-===//
#ifndef PASSES_PROGRAM_PASSES_H
#define PASSES_PROGRAM_PASSES_H

#include "mlir/Pass/Pass.h"

namespace dit {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/program/Passes.h.inc"

} // namespace dit

#endif // PASSES_PROGRAM_PASSES_H
