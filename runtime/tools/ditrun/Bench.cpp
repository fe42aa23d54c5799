//===- Bench.cpp - How fast a plan runs, and what bounds it ---------------===//
//
// First whole runs, untouched; then a few runs with every instruction timed,
// which say where the time goes.
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/OutputFile.h"
#include "runtime/plan/Work.h"
#include "runtime/tools/ditrun/Modes.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

namespace {

/// Time, work and bytes of equal instructions in one run.
struct Work {
  std::string name;
  double seconds = 0;
  double flops = 0;
  double bytes = 0;
  unsigned count = 0;
};

} // namespace

/// "matrix products", "attention", "generated kernels", "copies".
static llvm::StringRef kindName(const proto::Instruction &instruction) {
  switch (instruction.kind_case()) {
  case proto::Instruction::kGemm:
    return "matrix products";
  case proto::Instruction::kAttention:
  case proto::Instruction::kAttentionGrad:
    return "attention";
  case proto::Instruction::kLaunch:
    return "generated kernels";
  default:
    return "copies and fills";
  }
}

/// Adds a timeline of `runs` runs up by what `key` says, largest first.
static std::vector<Work>
addUp(const proto::Plan &plan, const Timeline &timeline, unsigned runs,
      llvm::function_ref<std::string(const proto::Instruction &)> key) {
  llvm::StringMap<Work> sums;
  for (const Timeline::Event &event : timeline.all()) {
    const proto::Instruction &instruction =
        plan.functions(event.function).instructions(event.instruction);
    Work &work = sums[key(instruction)];
    work.seconds +=
        std::chrono::duration<double>(event.end - event.begin).count() / runs;
    work.flops +=
        static_cast<double>(plan::instructionFlops(plan, instruction)) / runs;
    work.bytes +=
        static_cast<double>(plan::instructionBytes(plan, instruction)) / runs;
    ++work.count;
  }
  std::vector<Work> works;
  for (auto &entry : sums) {
    works.push_back(entry.second);
    works.back().name = entry.first().str();
    works.back().count /= runs;
  }
  llvm::sort(works, [](const Work &a, const Work &b) {
    return std::pair(b.seconds, a.name) < std::pair(a.seconds, b.name);
  });
  return works;
}

static void printWork(const Work &work, double total) {
  llvm::outs() << llvm::format("  %6.1f %%  %9.3f ms",
                               100 * work.seconds / total, 1e3 * work.seconds);
  llvm::outs() << llvm::format("  %8.1f GFLOP/s  %7.1f GB/s",
                               work.flops / work.seconds * 1e-9,
                               work.bytes / work.seconds * 1e-9);
  llvm::outs() << llvm::format("  %4u x ", work.count)
               << plan::escaped(work.name, 60) << "\n";
}

/// One plain sentence.
static void printBound(llvm::ArrayRef<Work> kinds, double timed, double whole) {
  const Work &first = kinds.front();
  llvm::outs() << llvm::format("bound by %s: %.0f %% of the time, at ",
                               first.name.c_str(), 100 * first.seconds / timed);
  if (first.name == "matrix products" || first.name == "attention")
    llvm::outs() << llvm::format("%.0f GFLOP/s",
                                 first.flops / first.seconds * 1e-9);
  else
    llvm::outs() << llvm::format("%.1f GB/s of memory traffic",
                                 first.bytes / first.seconds * 1e-9);
  if (whole > timed)
    llvm::outs() << llvm::format("; %.0f %% passes between instructions",
                                 100 * (whole - timed) / whole);
  llvm::outs() << "\n";
}

llvm::Expected<Exit> dit::runtime::runBench(const Options &options,
                                            LoadedPlan &loaded,
                                            const BenchCase &bench) {
  const proto::Plan &plan = loaded.file.metadata();
  std::vector<double> seconds;
  // Two runs warm the caches and the page tables.
  constexpr unsigned warmUp = 2;
  Clock::time_point start = Clock::now();
  while (seconds.size() < warmUp + 3 ||
         secondsSince(start) < *options.benchSeconds) {
    if (llvm::Error error = bench.reset())
      return std::move(error);
    Clock::time_point begin = Clock::now();
    if (llvm::Error error = bench.run(nullptr))
      return std::move(error);
    seconds.push_back(secondsSince(begin));
  }
  seconds.erase(seconds.begin(), seconds.begin() + warmUp);
  llvm::sort(seconds);
  double median = seconds[seconds.size() / 2];

  constexpr unsigned timedRuns = 5;
  Timeline timeline;
  for (unsigned run = 0; run != timedRuns; ++run) {
    if (llvm::Error error = bench.reset())
      return std::move(error);
    if (llvm::Error error = bench.run(&timeline))
      return std::move(error);
  }
  if (llvm::Error error = writeTraceFile(options, loaded, timeline))
    return std::move(error);

  double flops = 0;
  for (const Timeline::Event &event : timeline.all())
    flops +=
        static_cast<double>(plan::instructionFlops(
            plan,
            plan.functions(event.function).instructions(event.instruction))) /
        timedRuns;
  llvm::outs() << plan::escaped(bench.name) << " on "
               << loaded.device->description() << ", " << seconds.size()
               << " runs\n"
               << llvm::format("min %.3f ms, median %.3f ms, p99 %.3f ms\n",
                               1e3 * seconds.front(), 1e3 * median,
                               1e3 * seconds[seconds.size() * 99 / 100]);
  llvm::outs() << llvm::format("%.2f runs a second", 1 / median);
  if (bench.pictures)
    llvm::outs() << llvm::format(", %.2f pictures a second and step",
                                 bench.pictures / median);
  llvm::outs() << llvm::format(", %.1f GFLOP/s\n", flops / median * 1e-9);

  auto byName = [&](const proto::Instruction &instruction) {
    return instructionName(plan, instruction);
  };
  auto byKind = [](const proto::Instruction &instruction) {
    return kindName(instruction).str();
  };
  std::vector<Work> kinds = addUp(plan, timeline, timedRuns, byKind);
  double timed = 0;
  for (const Work &work : kinds)
    timed += work.seconds;
  if (kinds.empty())
    return Exit::Done;
  for (const Work &work : kinds)
    printWork(work, timed);
  llvm::outs() << "of these\n";
  std::vector<Work> names = addUp(plan, timeline, timedRuns, byName);
  for (const Work &work :
       llvm::ArrayRef(names).take_front(options.verbose ? names.size() : 12))
    printWork(work, timed);
  printBound(kinds, timed, median);
  return Exit::Done;
}

BenchCase dit::runtime::benchFunction(LoadedPlan &loaded, unsigned function,
                                      int64_t pictures,
                                      std::function<llvm::Error()> reset) {
  return {loaded.file.metadata().functions(function).name(), pictures,
          std::move(reset), [&loaded, function](Timeline *timeline) {
            return loaded.executor->run(function, timeline);
          }};
}

llvm::Error dit::runtime::writeTraceFile(const Options &options,
                                         const LoadedPlan &loaded,
                                         const Timeline &timeline) {
  if (!options.trace)
    return llvm::Error::success();
  std::string text;
  llvm::raw_string_ostream os(text);
  writeTrace(loaded.file.metadata(), timeline, os);
  return plan::writeFile(
      *options.trace,
      {reinterpret_cast<const uint8_t *>(text.data()), text.size()});
}
