//===- KernelTable.cpp - Outlines kernels, equal ones once ----------------===//
#include "passes/lowering/KernelTable.h"

#include "dialects/dit/ColumnSums.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OperationSupport.h"

using namespace mlir;
using namespace dit;

int64_t dit::chooseRowsPerBlock(int64_t rows, int64_t bytesMoved) {
  constexpr int64_t bytesOfBlock = 16 << 10, blocksWanted = 16;
  int64_t bytesOfRow = std::max<int64_t>(bytesMoved / rows, 1);
  int64_t fillsBlock = llvm::divideCeil(bytesOfBlock, bytesOfRow);
  int64_t givesBlocks = std::max<int64_t>(rows / blocksWanted, 1);
  return std::min(fillsBlock, givesBlocks);
}

KernelTable::KernelTable(ModuleOp module) : module(module) {
  for (auto symbol : module.getOps<SymbolOpInterface>())
    symbols.insert(symbol.getName());
}

/// dit_<name>_<number>, a name that linkers accept.
std::string KernelTable::chooseSymbol(StringRef name) {
  std::string base = "dit_";
  for (char character : name)
    base += llvm::isAlnum(character) ? character : '_';
  for (unsigned number = 0;; ++number) {
    std::string symbol = base + "_" + std::to_string(number);
    if (symbols.insert(symbol).second)
      return symbol;
  }
}

static llvm::hash_code hashShape(KernelOp kernel) {
  Block &body = kernel.getBody().front();
  auto hashTypes = [](TypeRange types) {
    return llvm::hash_combine_range(types.begin(), types.end());
  };
  return llvm::hash_combine(llvm::hash_combine_range(kernel.getSpace().begin(),
                                                     kernel.getSpace().end()),
                            hashTypes(body.getArgumentTypes()),
                            hashTypes(kernel.getResultTypes()),
                            body.getOperations().size());
}

plan::KernelOp KernelTable::outline(KernelOp kernel) {
  auto &candidates = kernels[hashShape(kernel)];
  for (plan::KernelOp candidate : candidates)
    if (candidate.getSpace() == kernel.getSpace() &&
        OperationEquivalence::isRegionEquivalentTo(
            &candidate.getBody(), &kernel.getBody(),
            OperationEquivalence::IgnoreLocations))
      return candidate;

  OpBuilder builder(module.getContext());
  if (Operation *last = lastKernel)
    builder.setInsertionPointAfter(last);
  else
    builder.setInsertionPointToEnd(module.getBody());
  auto outlined = plan::KernelOp::create(
      builder, kernel.getLoc(), chooseSymbol(kernel.getName()),
      kernel.getName(), kernel.getSpace(), /*rows_per_block=*/1);
  outlined.getBody().takeBody(kernel.getBody());
  // Blocks hold whole runs of column sums.
  outlined.setRowsPerBlock(llvm::alignTo(
      chooseRowsPerBlock(outlined.getRows(), outlined.getBytesMoved()),
      getRun(outlined.getBody().front())));
  candidates.push_back(outlined);
  lastKernel = outlined;
  return outlined;
}
