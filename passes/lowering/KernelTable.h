//===- KernelTable.h - Outlines kernels, equal ones once --------*- C++ -*-===//
#ifndef PASSES_LOWERING_KERNELTABLE_H
#define PASSES_LOWERING_KERNELTABLE_H

#include "dialects/plan/PlanDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"

namespace dit {

/// Rows of a space of `rows` rows that one block does: blocks of at least
/// 16 KiB, but 16 blocks where there are as many rows. From the shape alone, so
/// that the bits of a result depend on no machine.
int64_t chooseRowsPerBlock(int64_t rows, int64_t bytesMoved);

/// The plan.kernels of a module.
class KernelTable {
public:
  explicit KernelTable(mlir::ModuleOp module);

  /// The plan.kernel with `kernel`'s body, which is moved out of it: one that
  /// is there already if space and body are equal but for locations.
  plan::KernelOp outline(KernelOp kernel);

private:
  std::string chooseSymbol(llvm::StringRef name);

  mlir::ModuleOp module;
  mlir::Operation *lastKernel = nullptr;
  llvm::StringSet<> symbols;
  // By what is cheap to compare: number of ops and hash of space and types.
  llvm::DenseMap<llvm::hash_code, llvm::SmallVector<plan::KernelOp, 1>> kernels;
};

} // namespace dit

#endif // PASSES_LOWERING_KERNELTABLE_H
