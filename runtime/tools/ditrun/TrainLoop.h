//===- TrainLoop.h - Steps, checkpoints, metrics of a run -----------------===//
#ifndef DIT_RUNTIME_TOOLS_DITRUN_TRAINLOOP_H
#define DIT_RUNTIME_TOOLS_DITRUN_TRAINLOOP_H

#include "runtime/checkpoint/CheckpointWriter.h"
#include "runtime/checkpoint/ResumePoint.h"
#include "runtime/tools/ditrun/Modes.h"
#include "runtime/training/EventFile.h"
#include "runtime/training/Trainer.h"

namespace dit::runtime {

/// A run, from its first step to its last or until it is stopped.
///
///   step S           computed, logged, then saved: copied, and written by a
///                    thread of its own
///   step S + 1       computed while that goes on; logged when it is done, or
///                    after 100 ms
///
/// A kill loses at most the steps between two saves, and where a write takes
/// longer, those that were done during it.
class TrainLoop {
public:
  /// Where a run begins.
  struct Position {
    int64_t step = 0;    // steps done
    int64_t samples = 0; // samples taken
  };

  /// Called with the steps done between steps: evaluations, sample grids.
  using Watcher = std::function<llvm::Error(int64_t step, MetricsFile &metrics,
                                            EventFile &events)>;

  TrainLoop(const Options &options, const LoadedPlan &loaded, Trainer &trainer,
            BatchSource &source, RunFolder &run, Terminal &terminal,
            Manifest manifest, LearningRate rate)
      : options(options), loaded(loaded), trainer(trainer), source(source),
        run(run), terminal(terminal), manifest(std::move(manifest)), rate(rate),
        writer(run, options.training.keep.value_or(0)) {}

  void addWatcher(Watcher watcher) { watchers.push_back(std::move(watcher)); }

  /// Trains from `begin` to step `steps`, each of `samplesOfStep` samples.
  /// Exit::Stopped after a signal, state saved; an error of Exit::Diverged
  /// names the samples.
  llvm::Expected<plan::Exit> train(Position begin, int64_t steps,
                                   int64_t samplesOfStep);

private:
  llvm::Error save();
  void awaitWrite();
  llvm::Error explain(llvm::Error error);
  std::string describeBad(const StepResult &result) const;
  llvm::Error judge(const StepResult &result);
  llvm::Error rewind(const std::string &why);
  llvm::Error openFiles();
  llvm::Error log(const StepResult &result);
  llvm::Expected<StepResult> oneStep();
  void showProgress(const StepResult &result, int64_t first, int64_t steps);

  const Options &options;
  const LoadedPlan &loaded;
  Trainer &trainer;
  BatchSource &source;
  RunFolder &run;
  Terminal &terminal;
  Manifest manifest; // of the next checkpoint: step and samples are the run's
  LearningRate rate;
  CheckpointWriter writer;
  std::vector<Watcher> watchers;
  std::optional<MetricsFile> metrics;
  std::optional<EventFile> events;
  Timeline timeline;
  int64_t globalBatch = 0; // samples of a step
  int64_t firstStep = 0;
  int64_t lastSaved = -1;
  int64_t lastLogged = 0;
  int64_t badSteps = 0; // after each other, or rewinds
  std::chrono::steady_clock::time_point lastTime;
  double smoothed = 0, smoothedWeight = 0;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_TRAINLOOP_H
