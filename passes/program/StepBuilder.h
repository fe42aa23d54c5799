//===- StepBuilder.h - Globals and step functions ---------------*- C++ -*-===//
#ifndef PASSES_PROGRAM_STEPBUILDER_H
#define PASSES_PROGRAM_STEPBUILDER_H

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"

namespace dit {

/// Adds globals and step functions to a module.
class StepBuilder {
public:
  explicit StepBuilder(mlir::ModuleOp module);

  /// A new global; a number is added to `name` where it is taken.
  GlobalOp addGlobal(llvm::StringRef name, Role role,
                     mlir::RankedTensorType type);

  /// A new function `name` without arguments at the module's end, with
  /// `dit.step` = `step`; the builder stands before its return.
  mlir::func::FuncOp beginStep(llvm::StringRef name, llvm::StringRef step);

  /// Copies the body of `model`, called with `arguments`; gives its results.
  /// Values of the model that are `given` are not computed, nor what only they
  /// need.
  llvm::SmallVector<mlir::Value>
  inlineModel(mlir::func::FuncOp model, mlir::ValueRange arguments,
              const llvm::DenseMap<mlir::Value, mlir::Value> &given =
                  llvm::DenseMap<mlir::Value, mlir::Value>());

  mlir::Value read(GlobalOp global);
  void write(mlir::Value value, GlobalOp global);

  mlir::OpBuilder &getBuilder() { return builder; }
  mlir::Location getLoc() { return module.getLoc(); }

private:
  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  mlir::OpBuilder builder;
};

/// The function `name` of `module`, or null.
mlir::func::FuncOp findFunction(mlir::ModuleOp module, llvm::StringRef name);

} // namespace dit

#endif // PASSES_PROGRAM_STEPBUILDER_H
