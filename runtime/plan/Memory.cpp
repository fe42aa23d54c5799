//===- Memory.cpp - What a plan needs of the machine's memory -------------===//

#include "runtime/plan/Memory.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace dit::plan;

MemoryUse dit::plan::memoryUse(const proto::Plan &plan) {
  MemoryUse use;
  use.arena = plan.arena_bytes();
  use.gaps = plan.globals_bytes();
  for (const proto::Global &global : plan.globals()) {
    bool weight = global.role() == proto::Global::PARAMETER ||
                  global.role() == proto::Global::CONSTANT;
    if (global.mapped()) {
      use.mappedWeights += global.bytes();
      continue;
    }
    use.gaps -= global.bytes();
    if (weight)
      use.weights += global.bytes();
    else if (global.role() == proto::Global::STATE ||
             global.role() == proto::Global::TABLE)
      use.state += global.bytes();
    else
      use.inputsOutputs += global.bytes();
  }
  return use;
}

std::string dit::plan::printMemoryTable(const proto::Plan &plan) {
  MemoryUse use = memoryUse(plan);
  const std::pair<const char *, uint64_t> rows[] = {
      {"weights, mapped from the plan", use.mappedWeights},
      {"weights, in memory", use.weights},
      {"state and tables", use.state},
      {"inputs and outputs", use.inputsOutputs},
      {"gaps between globals", use.gaps},
      {"arena: activations", use.arena},
      {"total", use.total()}};
  std::string text;
  llvm::raw_string_ostream os(text);
  for (auto [name, bytes] : rows)
    os << llvm::format("  %-30s %15llu bytes  %10s\n", name,
                       static_cast<unsigned long long>(bytes),
                       printBytes(bytes).c_str());
  return text;
}

std::string dit::plan::printBytes(uint64_t bytes) {
  static constexpr const char *units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  double value = bytes;
  unsigned unit = 0;
  while (value >= 1000 && unit + 1 < std::size(units)) {
    value /= 1000;
    ++unit;
  }
  std::string text;
  llvm::raw_string_ostream os(text);
  os << llvm::format(unit ? "%.2f %s" : "%.0f %s", value, units[unit]);
  return text;
}
