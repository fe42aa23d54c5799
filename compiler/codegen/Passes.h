//===- Passes.h - Code generation's stages as passes ------------*- C++ -*-===//
#ifndef COMPILER_CODEGEN_PASSES_H
#define COMPILER_CODEGEN_PASSES_H

#include "mlir/Pass/Pass.h"

namespace dit {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/codegen/Passes.h.inc"

} // namespace dit

#endif // COMPILER_CODEGEN_PASSES_H
