//===- MemoryTable.cpp - What a plan needs, to the byte -------------------===//
#include "passes/memory/MemoryTable.h"

#include "passes/memory/Liveness.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace dit;
using dit::plan::PlanDialect;

static int64_t &lineOf(MemoryTable &table, Role role) {
  switch (role) {
  case Role::Parameter:
    return table.parameters;
  case Role::Constant:
    return table.constants;
  case Role::Input:
    return table.inputs;
  case Role::Output:
    return table.outputs;
  case Role::State:
    return table.state;
  case Role::Table:
    return table.tables;
  }
  llvm_unreachable("every role has its line");
}

static int64_t getTotal(ModuleOp module, StringRef name) {
  auto total = module->getAttrOfType<IntegerAttr>(name);
  return total ? total.getInt() : 0;
}

MemoryTable dit::measureMemory(ModuleOp module) {
  MemoryTable table;
  table.mappedWeights = getTotal(module, PlanDialect::weightsBytesAttrName);
  table.globalsBytes = getTotal(module, PlanDialect::globalsBytesAttrName);
  table.arenaBytes = getTotal(module, PlanDialect::arenaBytesAttrName);
  table.padding = table.globalsBytes;
  for (auto global : module.getOps<dit::GlobalOp>()) {
    auto storage =
        global->getAttrOfType<plan::StorageAttr>(PlanDialect::storageAttrName);
    if (!storage || storage.getMapped())
      continue;
    lineOf(table, global.getRole()) += storage.getBytes();
    table.padding -= storage.getBytes();
  }
  for (auto function : module.getOps<plan::FunctionOp>()) {
    SmallVector<Interval> intervals;
    for (auto &[buffer, interval] : findLiveBuffers(function))
      intervals.push_back(interval);
    auto instructions = function.getOps<plan::InstructionInterface>();
    table.functions.push_back(
        {function.getSymName().str(),
         static_cast<int64_t>(function.getArenaBytes().value_or(0)),
         packOffsets(intervals).lowerBound,
         std::distance(instructions.begin(), instructions.end()),
         function.getFlops()});
  }
  return table;
}

/// "12.3 MB (12345678)"
static void printBytes(llvm::raw_ostream &os, int64_t bytes) {
  constexpr const char *units[] = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  unsigned unit = 0;
  for (; value >= 1000 && unit < 4; ++unit)
    value /= 1000;
  os << llvm::format(unit ? "%9.2f %s" : "%9.0f %s", value, units[unit]) << " ("
     << bytes << ")";
}

void MemoryTable::print(llvm::raw_ostream &os) const {
  auto line = [&](StringRef name, int64_t bytes) {
    os << llvm::left_justify(name, 28);
    printBytes(os, bytes);
    os << "\n";
  };
  line("weights, mapped", mappedWeights);
  for (auto [name, bytes] :
       {std::pair<StringRef, int64_t>{"parameters", parameters},
        {"constants", constants},
        {"inputs", inputs},
        {"outputs", outputs},
        {"state", state},
        {"tables", tables},
        {"padding", padding}})
    if (bytes)
      line(name, bytes);
  for (const Function &function : functions) {
    line("arena of " + function.name, function.arenaBytes);
    os << "    " << function.instructions << " instructions, "
       << llvm::format("%.3f", static_cast<double>(function.flops) * 1e-9)
       << " GFLOP, " << function.arenaBytes - function.lowerBound
       << " bytes of fragmentation\n";
  }
  line("allocated: globals", globalsBytes);
  line("allocated: arena", arenaBytes);
  line("total", total());
}
