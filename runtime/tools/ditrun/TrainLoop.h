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
///
/// A device that works on its own is given step S + 1 before the results of
/// step S are read. All that is said and decided of S is so a step later, but
/// as it was, because
///
///   - results are copies of their step's (see Trainer);
///   - nothing but a finished step is logged, counted, or the number of a save:
///     where the state of a step is looked at (saves, watchers, the last step),
///     and after a signal, every step under way is finished and none started;
///   - a step that is not finite changes nothing, by the device's own doing.
///     The run that stops for it keeps its checkpoints and no more; one that
///     goes back forgets S + 1 and takes its samples again.
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

  /// Has it called after every so many steps, and after the last.
  void addWatcher(int64_t every, Watcher watcher) {
    watchers.push_back({every, std::move(watcher)});
  }

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
  void showProgress(const StepResult &result);
  bool isEvery(int64_t count, int64_t step) const;
  bool isLookedAt(int64_t step) const;
  llvm::Error startStep();
  llvm::Error finishStep();
  llvm::Error finishSteps(int64_t left);
  llvm::Error runSteps();

  const Options &options;
  const LoadedPlan &loaded;
  Trainer &trainer;
  BatchSource &source;
  RunFolder &run;
  Terminal &terminal;
  Manifest manifest; // of the next checkpoint: steps finished, their samples
  LearningRate rate;
  CheckpointWriter writer;
  std::vector<std::pair<int64_t, Watcher>> watchers;
  std::optional<MetricsFile> metrics;
  std::optional<EventFile> events;
  Timeline timeline;
  int64_t globalBatch = 0; // samples of a step
  int64_t firstStep = 0;
  int64_t lastStep = 0; // steps done at the end
  int64_t logEvery = 0, saveEvery = 0;
  int64_t lastSaved = -1;
  int64_t lastLogged = 0;
  int64_t badSteps = 0; // after each other, or rewinds
  std::chrono::steady_clock::time_point lastTime;
  double smoothed = 0, smoothedWeight = 0;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_TRAINLOOP_H
