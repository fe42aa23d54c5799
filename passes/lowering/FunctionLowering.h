//===- FunctionLowering.h - One step function to instructions ---*- C++ -*-===//
#ifndef PASSES_LOWERING_FUNCTIONLOWERING_H
#define PASSES_LOWERING_FUNCTIONLOWERING_H

#include "dialects/dit/StridedView.h"
#include "dialects/plan/PlanDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "passes/lowering/ConstantTable.h"
#include "passes/lowering/KernelTable.h"

namespace dit {

/// Fills a plan.function with what a step function does.
class FunctionLowering {
public:
  FunctionLowering(mlir::func::FuncOp function, plan::FunctionOp target,
                   KernelTable &kernels, ConstantTable &constants, bool report);

  mlir::LogicalResult run();

private:
  mlir::LogicalResult lower(mlir::Operation *op);
  mlir::LogicalResult lower(KernelOp op);
  mlir::LogicalResult lower(MatmulOp op);
  mlir::LogicalResult lower(AttentionOp op);
  mlir::LogicalResult lower(AttentionGradOp op);
  void lowerWrites();

  // Memory of tensors.
  mlir::Value getGlobalMemory(mlir::Location loc, mlir::StringAttr name);
  mlir::Value getMemory(mlir::Value base);
  mlir::Value getMemory(const StridedView &view, mlir::Type element);
  mlir::Value slice(mlir::Location loc, mlir::Value memory, int64_t offset,
                    int64_t bytes);
  mlir::Value placeResult(mlir::OpResult result);
  StridedView placeInConcat(mlir::OpResult result);
  WriteOp findDirectWrite(mlir::OpResult result);
  bool isOldValueDone(mlir::StringAttr global, mlir::OpResult result);
  mlir::Value takeOverOperand(mlir::OpResult result);

  /// Users of a tensor, through views.
  llvm::SmallVector<mlir::Operation *> getUsers(mlir::Value tensor);
  mlir::LogicalResult verifyElements(mlir::Operation *op);

  mlir::func::FuncOp function;
  KernelTable &kernels;
  ConstantTable &constants;
  bool report;
  mlir::OpBuilder builder;
  llvm::DenseMap<mlir::Operation *, unsigned> positions;
  llvm::DenseMap<mlir::StringAttr, llvm::SmallVector<ReadOp, 1>> reads;
  llvm::DenseMap<mlir::StringAttr, WriteOp> writes;
  llvm::DenseSet<mlir::Operation *> directWrites;
  llvm::DenseMap<mlir::StringAttr, mlir::Value> globalMemory;
  llvm::DenseMap<mlir::Value, mlir::Value>
      memory; // of tensors that are no view
};

} // namespace dit

#endif // PASSES_LOWERING_FUNCTIONLOWERING_H
