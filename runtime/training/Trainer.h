//===- Trainer.h - Runs a train plan step by step -------------------------===//
//
//   once        tables and constants; train_init, or a checkpoint's state
//   each step   hyper-parameters; for each micro-batch its inputs, then
//               accumulate_first or accumulate; prepare_update
//   afterwards  update, which a GPU does beside the next step's forward; before
//               anything else that needs it, on its own
//
// A step is started, and finished when its results are read. Of a device that
// works on its own, the next step is started first:
//
//   host     start 0 | start 1 | finish 0 | start 2 | finish 1 | ...
//   device     inputs 0, step 0, results 0, inputs 1, update 0 + step 1, ...
//
// All of that is in the device's order, and results are copies taken there, so
// what a step gives does not depend on how far ahead the host is. That a norm
// is not finite the device sees itself; only what follows for the run waits.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_TRAINING_TRAINER_H
#define DIT_RUNTIME_TRAINING_TRAINER_H

#include "runtime/training/Batch.h"
#include "runtime/training/LearningRate.h"
#include "runtime/training/MetricsFile.h"
#include "runtime/training/TrainingState.h"

#include <deque>

namespace dit::runtime {

/// What a run is trained with.
struct TrainerOptions {
  int64_t globalBatch = 0; // samples of a step, a multiple of the plan's batch
  uint64_t seed = 0;
  LearningRate rate;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weightDecay = 0;
  double clip = 0; // the largest norm of the gradients; 0: any
  double emaDecay = 0.9999;
  double labelDropout = 0.1;
};

/// What a step gave.
struct StepResult {
  double mse = 0; // mean over the global batch
  double vb = 0;
  double gradientNorm = 0;
  LossByTime byTime;
  bool skipped = false;            // the update left everything as it was
  std::optional<double> lossScale; // in fp16
  std::vector<int64_t> badSamples; // whose loss is not finite

  /// Whether something is wrong with the model or the data: not the overflow
  /// that a lower loss scale cures.
  bool isBad() const;
};

/// Runs a train plan.
class Trainer {
public:
  /// Fills the plan's tables. Exit::Contradiction where the global batch does
  /// not divide.
  static llvm::Expected<Trainer> create(Executor &executor,
                                        const TrainerOptions &options);

  const FlatParameters &parameters() const { return *flats; }
  int64_t microBatches() const { return options.globalBatch / batch(); }
  int64_t batch() const { return training->batch(); }
  /// Floating-point operations of a step.
  uint64_t flops() const;

  /// Makes the state that follows from the parameters as they are.
  llvm::Error initialise();

  /// Goes on from a state; steps that are under way are forgotten.
  llvm::Error restore(const TrainingState &state);

  /// Copies the state after all steps that were started, for a checkpoint.
  llvm::Expected<std::shared_ptr<const TrainingState>> copyState() {
    if (llvm::Error error = finishUpdate())
      return std::move(error);
    return TrainingState::copy(*executor, *flats);
  }

  /// The averaged weights as a file's tensors.
  llvm::Expected<TensorFile> averages() {
    if (llvm::Error error = finishUpdate())
      return std::move(error);
    return TrainingState::averages(*executor, *flats);
  }

  /// Has the device do one optimizer step, counted from 0, after those before,
  /// and comes back while it does, unless it is timed. `beforeUpdate` is called
  /// when the gradients of all micro-batches are there. After an error the step
  /// is not under way.
  llvm::Error start(int64_t step, BatchSource &source,
                    Timeline *timeline = nullptr,
                    llvm::function_ref<llvm::Error()> beforeUpdate = nullptr);

  /// What the first step gave that was started and not finished; waits for it.
  llvm::Expected<StepResult> finish();

  /// Steps that were started and not finished.
  int64_t underWay() const { return static_cast<int64_t>(started.size()); }

  /// How many steps are best left under way when the next one is started:
  /// where the device needs the host for each, none.
  int64_t stepsAhead() const {
    return executor->device().worksOnItsOwn() ? 1 : 0;
  }

  /// Starts a step and finishes it.
  llvm::Expected<StepResult>
  step(int64_t step, BatchSource &source, Timeline *timeline = nullptr,
       llvm::function_ref<llvm::Error()> beforeUpdate = nullptr);

  /// Does what is left of the last step: before the globals are read by anyone
  /// else.
  llvm::Error finishUpdate();

  /// The gradients of the last step as a file's tensors, their mean over the
  /// micro-batches, without the loss scale.
  llvm::Expected<TensorFile> gradients(std::string fileName);

  /// Mean losses over `count` samples of a source with the averaged weights:
  /// t and noise of a sample are drawn once and for all, labels kept.
  /// `proceed` is called before each batch; where it says false there is no
  /// result. Exit::Unsupported where the plan has no step `evaluate`.
  llvm::Expected<std::optional<std::pair<double, double>>>
  evaluate(BatchSource &source, int64_t count,
           llvm::function_ref<bool()> proceed);

private:
  /// A micro-batch whose losses are on their way: mse, t, and vb.
  struct StartedBatch {
    std::vector<int64_t> samples;
    std::unique_ptr<Arrival> losses;
  };
  /// A step whose results are: the gradient's norm, skipped, and the loss
  /// scale.
  struct StartedStep {
    std::vector<StartedBatch> batches;
    std::unique_ptr<Arrival> numbers;
  };

  Trainer(Executor &executor, const TrainerOptions &options)
      : executor(&executor), options(options),
        training(&executor.metadata().training()) {}
  llvm::Error findSteps();
  llvm::Error fillTables();
  bool isFlow() const { return training->schedule() == "flow"; }
  llvm::Error writeBatch(const Batch &batch);
  llvm::Error writeTimes(llvm::ArrayRef<double> times);
  llvm::Expected<StartedBatch> startLosses(const Batch &batch);
  llvm::Error addLosses(StartedBatch &batch, int64_t count, StepResult &result);
  llvm::Expected<std::unique_ptr<Arrival>> startNumbers();
  llvm::Error addNumbers(Arrival &numbers, StepResult &result);
  bool hasLossScale() const;
  llvm::Error writeNumber(const std::string &global, int64_t value);
  llvm::Error writeDropout(double probability);
  llvm::Error writeHyper(int64_t step);
  llvm::Error startMicroBatch(bool isFirst, Timeline *timeline);
  llvm::Error startPreparation(Timeline *timeline,
                               llvm::function_ref<llvm::Error()> beforeUpdate);
  template <typename T>
  llvm::Expected<std::vector<T>> readValues(const std::string &global);
  llvm::Expected<std::optional<std::pair<double, double>>>
  evaluateAll(BatchSource &source, int64_t count,
              llvm::function_ref<bool()> proceed);

  Executor *executor;
  TrainerOptions options;
  const proto::Training *training;
  std::unique_ptr<FlatParameters> flats;
  unsigned init = 0, accumulateFirst = 0, accumulate = 0, prepareUpdate = 0,
           update = 0;
  bool isUpdateDue = false; // of the last step started
  std::deque<StartedStep> started;
  std::optional<unsigned> evaluation;
  int64_t skippedBefore = 0; // after the last step finished
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TRAINING_TRAINER_H
