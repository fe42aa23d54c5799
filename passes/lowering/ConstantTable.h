//===- ConstantTable.h - Globals for constants ------------------*- C++ -*-===//
#ifndef PASSES_LOWERING_CONSTANTTABLE_H
#define PASSES_LOWERING_CONSTANTTABLE_H

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinOps.h"

namespace dit {

/// The constants that instructions read: each value is one global of the
/// module, however many constants have it.
class ConstantTable {
public:
  explicit ConstantTable(mlir::ModuleOp module) : module(module) {}

  /// The name of the global with the constant's values, made where there is
  /// none.
  mlir::StringAttr getGlobal(mlir::arith::ConstantOp constant);

private:
  mlir::ModuleOp module;
  llvm::DenseMap<mlir::Attribute, mlir::StringAttr> names;
};

} // namespace dit

#endif // PASSES_LOWERING_CONSTANTTABLE_H
