//===- Modes.h - The things ditrun does -----------------------------------===//
//
// Each takes the flags and returns the exit code of a run that went as it
// should (0, or 1 and 3 for results that differ or are not finite); what went
// wrong is an error.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_TOOLS_DITRUN_MODES_H
#define DIT_RUNTIME_TOOLS_DITRUN_MODES_H

#include "runtime/checkpoint/PlanWeights.h"
#include "runtime/checkpoint/TensorFile.h"
#include "runtime/data/Array.h"
#include "runtime/diffusion/PictureSampler.h"
#include "runtime/executor/Executor.h"
#include "runtime/plan/Failure.h"
#include "runtime/tools/ditrun/Options.h"
#include "runtime/tools/ditrun/Terminal.h"

#include <functional>

namespace dit::runtime {

/// A plan on its device, ready to run, parameters drawn.
struct LoadedPlan {
  plan::PlanFile file;
  std::optional<PlanWeights> weights; // of --weights, in the file's place
  std::unique_ptr<Device> device;
  std::unique_ptr<Executor> executor;
};

/// Opens, verifies and loads options.plan.
llvm::Expected<std::unique_ptr<LoadedPlan>> loadPlan(const Options &options,
                                                     Terminal &terminal);

/// Opens another plan and loads it on a device of its own, with the weights of
/// a file that is made in memory.
llvm::Expected<std::unique_ptr<LoadedPlan>>
loadPlanWith(const Options &options, const std::string &path,
             const TensorFile &weights);

/// Runs a plan by its mode.
llvm::Expected<plan::Exit> runPlan(const Options &options, Terminal &terminal);

/// Runs a sample plan: pictures, grid, arrays, comparison.
llvm::Expected<plan::Exit> runSample(const Options &options, LoadedPlan &loaded,
                                     Terminal &terminal);

/// What a sample run's flags ask for.
llvm::Expected<SampleRequest> makeRequest(const Options &options,
                                          const proto::Sampling &sampling);

/// Runs a train plan: steps, checkpoints, metrics.
llvm::Expected<plan::Exit> runTraining(const Options &options,
                                       LoadedPlan &loaded, Terminal &terminal);

/// Runs a forward plan: inputs, outputs, comparison.
llvm::Expected<plan::Exit> runForward(const Options &options,
                                      LoadedPlan &loaded, Terminal &terminal);

/// Prints the largest difference of one output from what a file expects of
/// it; true where all are within tolerance.
llvm::Expected<bool> compareWith(const Options &options, llvm::StringRef name,
                                 const Array &actual);

/// What --bench times.
struct BenchCase {
  std::string name;     // for people
  int64_t pictures = 0; // of one run; 0 where a run has none
  /// Puts the state back before each run; not timed.
  std::function<llvm::Error()> reset;
  /// One run, with every instruction timed where there is a timeline.
  std::function<llvm::Error(Timeline *timeline)> run;
};

/// Times runs, and says where the time goes and what bounds them.
llvm::Expected<plan::Exit> runBench(const Options &options, LoadedPlan &loaded,
                                    const BenchCase &bench);

/// The case of one of the plan's functions.
BenchCase benchFunction(LoadedPlan &loaded, unsigned function, int64_t pictures,
                        std::function<llvm::Error()> reset);

/// Writes the trace that --trace asks for.
llvm::Error writeTraceFile(const Options &options, const LoadedPlan &loaded,
                           const Timeline &timeline);

/// Prints a plan; checks a plan; prints what the machine has.
llvm::Expected<plan::Exit> inspectPlan(const Options &options);
llvm::Expected<plan::Exit> verifyPlan(const Options &options);
llvm::Expected<plan::Exit> printMachine(const Options &options);

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_MODES_H
