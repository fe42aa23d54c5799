//===- BuildDit.h - The DiT models ------------------------------*- C++ -*-===//
#ifndef FRONTENDS_BUILDER_BUILDDIT_H
#define FRONTENDS_BUILDER_BUILDDIT_H

#include "frontends/builder/DitConfig.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace dit {

/// Adds `func.func @functionName` to `module`:
///
///     x [batch, C, size, size] f32, t [batch] i64 or f32, y [batch] i64
///       -> sample [batch, C or 2 C, size, size] f32
///
/// Parameters are globals named as in the original state_dict, whose first
/// values are recipes of DiT's initialisation with `seed`; functions built into
/// one module share them. Errors are diagnostics.
mlir::FailureOr<mlir::func::FuncOp>
buildDit(const DitConfig &config, int64_t batch, mlir::ModuleOp module,
         llvm::StringRef functionName, uint64_t seed);

} // namespace dit

#endif // FRONTENDS_BUILDER_BUILDDIT_H
