//===- MemoryTable.h - What a plan needs, to the byte -----------*- C++ -*-===//
#ifndef PASSES_MEMORY_MEMORYTABLE_H
#define PASSES_MEMORY_MEMORYTABLE_H

#include "dialects/plan/PlanDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"

#include <string>
#include <vector>

namespace dit {

/// Bytes that ditrun maps and allocates for a plan, known before it runs.
struct MemoryTable {
  struct Function {
    std::string name;
    int64_t arenaBytes = 0;
    /// No order of bytes needs less; what is above is fragmentation.
    int64_t lowerBound = 0;
    int64_t instructions = 0;
    int64_t flops = 0;
  };

  int64_t mappedWeights = 0; // in the plan's file
  int64_t parameters = 0;    // drawn at start, or from weight files
  int64_t constants = 0;
  int64_t inputs = 0;
  int64_t outputs = 0;
  int64_t state = 0;
  int64_t tables = 0;
  int64_t padding = 0;      // between the globals: offsets are aligned
  int64_t globalsBytes = 0; // of all but the mapped weights: one allocation
  int64_t arenaBytes = 0;   // the largest function's: one allocation
  std::vector<Function> functions;

  /// Mapped and allocated together.
  int64_t total() const { return mappedWeights + globalsBytes + arenaBytes; }

  /// One line an item, largest units that fit, with the exact bytes.
  void print(llvm::raw_ostream &os) const;
};

/// Reads the table off a module that is through the memory phase.
MemoryTable measureMemory(mlir::ModuleOp module);

} // namespace dit

#endif // PASSES_MEMORY_MEMORYTABLE_H
