//===- LoadModel.h - The frontend that a command line asks for --*- C++ -*-===//
#ifndef COMPILER_TOOLS_DITC_LOADMODEL_H
#define COMPILER_TOOLS_DITC_LOADMODEL_H

#include "compiler/tools/ditc/Flags.h"

namespace dit {

/// Fills `module` with the model that `flags` name, from ONNX or the builder:
/// @forward at the size that the plan needs (twice the batch where it samples
/// under guidance) and @forward_single at the batch itself. Completes what the
/// flags left to be guessed (mode, batch, inputs) and says so on stderr.
llvm::Error loadModel(Flags &flags, mlir::ModuleOp module);

} // namespace dit

#endif // COMPILER_TOOLS_DITC_LOADMODEL_H
