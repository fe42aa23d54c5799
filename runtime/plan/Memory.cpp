//===- Memory.cpp - What a plan needs of the machine's memory -------------===//

#include "runtime/plan/Memory.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace dit::plan;
namespace proto = dit::proto;

/// What the bytes of a global in memory are for.
static uint64_t &useOf(const proto::Global &global, const proto::Plan &plan,
                       MemoryUse &use) {
  const proto::Training &training = plan.training();
  auto is = [&](const std::string &name) {
    return !name.empty() && global.name() == name;
  };
  if (is(training.masters()) || is(training.weights()))
    return use.weights;
  if (is(training.gradients()))
    return use.gradients;
  if (is(training.moment1()) || is(training.moment2()))
    return use.optimizer;
  if (is(training.ema()))
    return use.averages;
  switch (global.role()) {
  case proto::Global::PARAMETER:
  case proto::Global::CONSTANT:
    return use.weights;
  case proto::Global::STATE:
  case proto::Global::TABLE:
    return use.state;
  default:
    return use.inputsOutputs;
  }
}

MemoryUse dit::plan::memoryUse(const proto::Plan &plan) {
  MemoryUse use;
  use.arena = plan.arena_bytes();
  use.gaps = plan.globals_bytes();
  for (const proto::Global &global : plan.globals()) {
    if (global.mapped()) {
      use.mappedWeights += global.bytes();
    } else if (global.flat().empty()) {
      use.gaps -= global.bytes();
      useOf(global, plan, use) += global.bytes();
    }
  }
  return use;
}

uint64_t dit::plan::mappedEnd(const proto::Plan &plan) {
  uint64_t end = 0;
  for (const proto::Global &global : plan.globals())
    if (global.mapped())
      end = std::max<uint64_t>(end, global.offset() + global.bytes());
  return end;
}

std::string dit::plan::printMemoryTable(const proto::Plan &plan) {
  MemoryUse use = memoryUse(plan);
  std::vector<std::pair<const char *, uint64_t>> rows = {
      {"weights, mapped from the plan", use.mappedWeights},
      {"weights, in memory", use.weights}};
  if (plan.has_training()) {
    rows.push_back({"gradients", use.gradients});
    rows.push_back({"optimizer: moments", use.optimizer});
    rows.push_back({"averaged weights", use.averages});
  }
  rows.insert(rows.end(), {{"state and tables", use.state},
                           {"inputs and outputs", use.inputsOutputs},
                           {"gaps between globals", use.gaps},
                           {"arena: activations", use.arena},
                           {"total", use.total()}});
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
