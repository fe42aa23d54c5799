//===- Trainer.cpp - Runs a train plan step by step -----------------------===//

#include "runtime/training/Trainer.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"
#include "runtime/plan/Work.h"
#include "runtime/training/DiffusionTable.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

#include <cassert>
#include <cmath>
#include <cstring>
#include <utility>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

/// The key of an evaluation's draws, where training has the step.
static constexpr int64_t evaluationStep = 0xffffffff;

BatchSource::~BatchSource() = default;

bool StepResult::isBad() const {
  if (!std::isfinite(mse + vb))
    return true;
  return skipped && lossScale.value_or(1) <= 1;
}

template <typename T>
static llvm::ArrayRef<uint8_t> bytesOf(llvm::ArrayRef<T> values) {
  return {reinterpret_cast<const uint8_t *>(values.data()),
          values.size() * sizeof(T)};
}

template <typename T>
static std::vector<T> valuesOf(llvm::ArrayRef<uint8_t> bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

template <typename T>
static std::vector<double> widened(const std::vector<T> &values) {
  return std::vector<double>(values.begin(), values.end());
}

template <typename T>
llvm::Expected<std::vector<T>> Trainer::readValues(const std::string &global) {
  llvm::Expected<std::vector<uint8_t>> bytes = readWhole(*executor, global);
  if (!bytes)
    return bytes.takeError();
  return valuesOf<T>(*bytes);
}

llvm::Error Trainer::writeNumber(const std::string &global, int64_t value) {
  return executor->write(*executor->findGlobal(global),
                         bytesOf<int64_t>(value));
}

//===----------------------------------------------------------------------===//
// Once
//===----------------------------------------------------------------------===//

/// The plan's functions; plan::validate() has seen that they and the globals
/// are there.
llvm::Error Trainer::findSteps() {
  init = *executor->findStep("train_init");
  accumulateFirst = *executor->findStep("accumulate_first");
  accumulate = *executor->findStep("accumulate");
  prepareUpdate = *executor->findStep("prepare_update");
  update = *executor->findStep("update");
  evaluation = executor->findStep("evaluate");
  if (options.globalBatch < batch() || options.globalBatch % batch() != 0)
    return failure(
        Exit::Contradiction,
        "--global-batch " + llvm::Twine(options.globalBatch) +
            " is no multiple of the plan's batch " + llvm::Twine(batch()) +
            " (1 rank): " +
            llvm::Twine(options.globalBatch / batch() * batch()) + " and " +
            llvm::Twine((options.globalBatch / batch() + 1) * batch()) +
            " are");
  return llvm::Error::success();
}

llvm::Error Trainer::fillTables() {
  if (!isFlow()) {
    llvm::Expected<std::vector<float>> table =
        makeDiffusionTable(training->schedule(), training->timesteps());
    if (!table)
      return table.takeError();
    if (llvm::Error error =
            executor->write(*executor->findGlobal(training->diffusion()),
                            bytesOf(llvm::ArrayRef(*table))))
      return error;
  }
  return writeNumber(training->seed(), static_cast<int64_t>(options.seed));
}

llvm::Expected<Trainer> Trainer::create(Executor &executor,
                                        const TrainerOptions &options) {
  Trainer trainer(executor, options);
  if (llvm::Error error = trainer.findSteps())
    return std::move(error);
  llvm::Expected<FlatParameters> flats =
      FlatParameters::find(executor.metadata());
  if (!flats)
    return flats.takeError();
  trainer.flats = std::make_unique<FlatParameters>(std::move(*flats));
  if (llvm::Error error = trainer.fillTables())
    return std::move(error);
  return trainer;
}

llvm::Error Trainer::initialise() {
  started.clear();
  skippedBefore = 0;
  isUpdateDue = false;
  return executor->run(init);
}

llvm::Error Trainer::restore(const TrainingState &state) {
  // What they still do comes before what is written here, and is replaced.
  started.clear();
  isUpdateDue = false;
  if (llvm::Error error =
          state.restore(*executor, [&] { return executor->run(init); }))
    return error;
  llvm::Expected<std::vector<int64_t>> skipped =
      readValues<int64_t>(training->skipped());
  if (!skipped)
    return skipped.takeError();
  skippedBefore = skipped->front();
  return llvm::Error::success();
}

uint64_t Trainer::flops() const {
  const proto::Plan &plan = executor->metadata();
  auto of = [&](unsigned function) {
    uint64_t sum = 0;
    for (const proto::Instruction &instruction :
         plan.functions(function).instructions())
      sum += plan::instructionFlops(plan, instruction);
    return sum;
  };
  return of(accumulateFirst) + (microBatches() - 1) * of(accumulate) +
         of(prepareUpdate) + of(update);
}

//===----------------------------------------------------------------------===//
// Each step
//===----------------------------------------------------------------------===//

/// Models without classes have no labels to drop.
llvm::Error Trainer::writeDropout(double probability) {
  if (training->drop().empty())
    return llvm::Error::success();
  const float drop[1] = {static_cast<float>(probability)};
  return executor->write(*executor->findGlobal(training->drop()),
                         bytesOf(llvm::ArrayRef(drop)));
}

llvm::Error Trainer::writeHyper(int64_t step) {
  const float hyper[8] = {
      static_cast<float>(options.rate.at(step)),
      static_cast<float>(options.clip),
      static_cast<float>(options.emaDecay),
      static_cast<float>(1.0 / static_cast<double>(microBatches())),
      static_cast<float>(options.weightDecay),
      static_cast<float>(options.beta1),
      static_cast<float>(options.beta2),
      static_cast<float>(options.epsilon)};
  if (llvm::Error error =
          executor->write(*executor->findGlobal(training->hyper()),
                          bytesOf(llvm::ArrayRef(hyper))))
    return error;
  if (llvm::Error error = writeDropout(options.labelDropout))
    return error;
  return writeNumber(training->step(), step);
}

llvm::Error Trainer::writeBatch(const Batch &batch) {
  auto write = [&](const std::string &global,
                   llvm::ArrayRef<uint8_t> bytes) -> llvm::Error {
    if (global.empty()) // labels of a model without classes
      return llvm::Error::success();
    return executor->write(*executor->findGlobal(global), bytes);
  };
  if (llvm::Error error = write(training->pictures(), bytesOf(batch.pictures)))
    return error;
  if (llvm::Error error = write(training->labels(), bytesOf(batch.labels)))
    return error;
  if (llvm::Error error = write(training->samples(), bytesOf(batch.samples)))
    return error;
  bool given = !batch.noise.empty();
  if (llvm::Error error = writeNumber(training->use_given(), given))
    return error;
  if (!given)
    return llvm::Error::success();
  if (llvm::Error error = write(training->noise(), bytesOf(batch.noise)))
    return error;
  return writeTimes(batch.t);
}

/// The t that a flow was trained at is a real number, else a whole one.
llvm::Error Trainer::writeTimes(llvm::ArrayRef<double> times) {
  unsigned global = *executor->findGlobal(training->given_t());
  if (isFlow()) {
    const std::vector<float> values(times.begin(), times.end());
    return executor->write(global, bytesOf(llvm::ArrayRef(values)));
  }
  const std::vector<int64_t> values(times.begin(), times.end());
  return executor->write(global, bytesOf(llvm::ArrayRef(values)));
}

/// Has the losses of the micro-batch that was started last read.
llvm::Expected<Trainer::StartedBatch> Trainer::startLosses(const Batch &batch) {
  std::vector<unsigned> globals{*executor->findGlobal(training->mse()),
                                *executor->findGlobal(training->t())};
  if (!training->vb().empty())
    globals.push_back(*executor->findGlobal(training->vb()));
  llvm::Expected<std::unique_ptr<Arrival>> losses =
      executor->startRead(globals);
  if (!losses)
    return losses.takeError();
  return StartedBatch{batch.samples.vec(), std::move(*losses)};
}

/// Adds the losses of the first `count` samples of a micro-batch up.
llvm::Error Trainer::addLosses(StartedBatch &batch, int64_t count,
                               StepResult &result) {
  llvm::Expected<std::vector<std::vector<uint8_t>>> parts =
      batch.losses->await();
  if (!parts)
    return parts.takeError();
  const std::vector<float> mse = valuesOf<float>((*parts)[0]);
  const std::vector<double> t = isFlow()
                                    ? widened(valuesOf<float>((*parts)[1]))
                                    : widened(valuesOf<int64_t>((*parts)[1]));
  std::vector<float> vb(mse.size());
  if (!training->vb().empty())
    vb = valuesOf<float>((*parts)[2]);
  for (int64_t i = 0; i != count; ++i) {
    double loss = static_cast<double>(mse[i]) + vb[i];
    result.mse += mse[i];
    result.vb += vb[i];
    result.byTime.add(t[i], isFlow() ? 1 : training->timesteps(), loss);
    if (!std::isfinite(loss))
      result.badSamples.push_back(batch.samples[i]);
  }
  return llvm::Error::success();
}

bool Trainer::hasLossScale() const {
  return executor->metadata().precision() == "fp16" &&
         !training->loss_scale().empty();
}

/// Has what the last step's prepare_update says read.
llvm::Expected<std::unique_ptr<Arrival>> Trainer::startNumbers() {
  std::vector<unsigned> globals{
      *executor->findGlobal(training->gradient_norm()),
      *executor->findGlobal(training->skipped())};
  if (hasLossScale())
    globals.push_back(*executor->findGlobal(training->loss_scale()));
  return executor->startRead(globals);
}

llvm::Error Trainer::addNumbers(Arrival &numbers, StepResult &result) {
  llvm::Expected<std::vector<std::vector<uint8_t>>> parts = numbers.await();
  if (!parts)
    return parts.takeError();
  result.gradientNorm = valuesOf<float>((*parts)[0]).front();
  int64_t skipped = valuesOf<int64_t>((*parts)[1]).front();
  result.skipped = skipped != skippedBefore;
  skippedBefore = skipped;
  if (hasLossScale())
    result.lossScale = valuesOf<float>((*parts)[2]).front();
  return llvm::Error::success();
}

/// Does what is left of the last step.
llvm::Error Trainer::finishUpdate() {
  if (!isUpdateDue)
    return llvm::Error::success();
  isUpdateDue = false;
  return executor->run(update);
}

/// Has the device run a micro-batch, and what is left of the last step; the
/// host goes on unless it is being timed.
llvm::Error Trainer::startMicroBatch(bool isFirst, Timeline *timeline) {
  unsigned function = isFirst ? accumulateFirst : accumulate;
  bool updates = std::exchange(isUpdateDue, false);
  if (!timeline)
    return executor->start(function,
                           updates ? std::optional(update) : std::nullopt);
  if (updates)
    if (llvm::Error error = executor->run(update, timeline))
      return error;
  return executor->run(function, timeline);
}

/// Has the device make the update ready.
llvm::Error
Trainer::startPreparation(Timeline *timeline,
                          llvm::function_ref<llvm::Error()> beforeUpdate) {
  if (beforeUpdate)
    if (llvm::Error error = beforeUpdate())
      return error;
  return timeline ? executor->run(prepareUpdate, timeline)
                  : executor->start(prepareUpdate);
}

llvm::Error Trainer::start(int64_t step, BatchSource &source,
                           Timeline *timeline,
                           llvm::function_ref<llvm::Error()> beforeUpdate) {
  StartedStep result;
  if (llvm::Error error = writeHyper(step))
    return error;
  for (int64_t i = 0; i != microBatches(); ++i) {
    llvm::Expected<Batch> given = source.next();
    if (!given)
      return given.takeError();
    if (llvm::Error error = writeBatch(*given))
      return error;
    if (llvm::Error error = startMicroBatch(i == 0, timeline))
      return error;
    // Before the losses are copied: a device changes from one kind of work to
    // the other once.
    if (i + 1 == microBatches())
      if (llvm::Error error = startPreparation(timeline, beforeUpdate))
        return error;
    llvm::Expected<StartedBatch> losses = startLosses(*given);
    if (!losses)
      return losses.takeError();
    result.batches.push_back(std::move(*losses));
  }
  llvm::Expected<std::unique_ptr<Arrival>> numbers = startNumbers();
  if (!numbers)
    return numbers.takeError();
  result.numbers = std::move(*numbers);
  started.push_back(std::move(result));
  isUpdateDue = true;
  return llvm::Error::success();
}

llvm::Expected<StepResult> Trainer::finish() {
  assert(underWay() && "no step was started");
  StartedStep step = std::move(started.front());
  started.pop_front();
  StepResult result;
  for (StartedBatch &one : step.batches)
    if (llvm::Error error = addLosses(one, batch(), result))
      return std::move(error);
  if (llvm::Error error = addNumbers(*step.numbers, result))
    return std::move(error);
  const auto samples = static_cast<double>(options.globalBatch);
  result.mse /= samples;
  result.vb /= samples;
  return result;
}

llvm::Expected<StepResult>
Trainer::step(int64_t step, BatchSource &source, Timeline *timeline,
              llvm::function_ref<llvm::Error()> beforeUpdate) {
  assert(!underWay() && "the result would be another step's");
  if (llvm::Error error = start(step, source, timeline, beforeUpdate))
    return std::move(error);
  return finish();
}

llvm::Expected<TensorFile> Trainer::gradients(std::string fileName) {
  llvm::Expected<std::vector<uint8_t>> flat =
      readWhole(*executor, training->gradients());
  if (!flat)
    return flat.takeError();
  double factor = 1.0 / static_cast<double>(microBatches());
  if (!training->loss_scale().empty()) {
    llvm::Expected<std::vector<float>> scale =
        readValues<float>(training->loss_scale());
    if (!scale)
      return scale.takeError();
    factor /= scale->front();
  }
  return flatFile(std::move(fileName), std::move(*flat),
                  static_cast<float>(factor), executor->metadata(), *flats);
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

llvm::Expected<std::optional<std::pair<double, double>>>
Trainer::evaluateAll(BatchSource &source, int64_t count,
                     llvm::function_ref<bool()> proceed) {
  if (llvm::Error error = writeDropout(0))
    return std::move(error);
  if (llvm::Error error = writeNumber(training->step(), evaluationStep))
    return std::move(error);
  StepResult result;
  int64_t samples = 0;
  while (samples < count) {
    if (!proceed())
      return std::nullopt;
    llvm::Expected<Batch> given = source.next();
    if (!given)
      return given.takeError();
    if (llvm::Error error = writeBatch(*given))
      return std::move(error);
    if (llvm::Error error = executor->run(*evaluation))
      return std::move(error);
    llvm::Expected<StartedBatch> losses = startLosses(*given);
    if (!losses)
      return losses.takeError();
    int64_t taken = std::min(batch(), count - samples);
    if (llvm::Error error = addLosses(*losses, taken, result))
      return std::move(error);
    samples += taken;
  }
  return std::pair(result.mse / static_cast<double>(samples),
                   result.vb / static_cast<double>(samples));
}

llvm::Expected<std::optional<std::pair<double, double>>>
Trainer::evaluate(BatchSource &source, int64_t count,
                  llvm::function_ref<bool()> proceed) {
  if (!evaluation)
    return failure(Exit::Unsupported,
                   "--eval-every: the plan has no step 'evaluate'");
  if (llvm::Error error = finishUpdate())
    return std::move(error);
  // The averages take the place of the weights for a while.
  llvm::Expected<std::vector<uint8_t>> ema =
      readWhole(*executor, training->ema());
  if (!ema)
    return ema.takeError();
  std::vector<std::pair<unsigned, std::vector<uint8_t>>> before;
  for (const std::string *name : {&training->masters(), &training->weights()}) {
    if (name->empty())
      continue;
    llvm::Expected<std::vector<uint8_t>> bytes = readWhole(*executor, *name);
    if (!bytes)
      return bytes.takeError();
    unsigned global = *executor->findGlobal(*name);
    std::vector<uint8_t> averaged(bytes->size());
    const proto::Tensor &type = executor->metadata().globals(global).type();
    plan::convertFloats(plan::ElementType::F32, ema->data(),
                        plan::elementType(type.type()), averaged.data(),
                        *plan::elementCount(plan::dimensions(type.shape())));
    if (llvm::Error error = executor->write(global, averaged))
      return std::move(error);
    before.push_back({global, std::move(*bytes)});
  }
  llvm::Expected<std::optional<std::pair<double, double>>> result =
      evaluateAll(source, count, proceed);
  for (const auto &[global, bytes] : before)
    if (llvm::Error error = executor->write(global, bytes))
      return result ? std::move(error)
                    : llvm::joinErrors(result.takeError(), std::move(error));
  return result;
}
