//===- Trainer.cpp - Runs a train plan step by step -----------------------===//

#include "runtime/training/Trainer.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"
#include "runtime/plan/Work.h"
#include "runtime/training/DiffusionTable.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

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
llvm::Expected<std::vector<T>> Trainer::readValues(const std::string &global) {
  llvm::Expected<std::vector<uint8_t>> bytes = readWhole(*executor, global);
  if (!bytes)
    return bytes.takeError();
  std::vector<T> values(bytes->size() / sizeof(T));
  std::memcpy(values.data(), bytes->data(), bytes->size());
  return values;
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
  skippedBefore = 0;
  isUpdateDue = false;
  return executor->run(init);
}

llvm::Error Trainer::restore(const TrainingState &state) {
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

llvm::Expected<std::vector<double>> Trainer::readTimes() {
  auto widened = [](const auto &values) {
    return std::vector<double>(values.begin(), values.end());
  };
  if (isFlow()) {
    llvm::Expected<std::vector<float>> t = readValues<float>(training->t());
    if (!t)
      return t.takeError();
    return widened(*t);
  }
  llvm::Expected<std::vector<int64_t>> t = readValues<int64_t>(training->t());
  if (!t)
    return t.takeError();
  return widened(*t);
}

/// Adds the losses of the first `count` samples of a micro-batch up.
llvm::Error Trainer::readLosses(const Batch &batch, int64_t count,
                                StepResult &result, int64_t &samples) {
  llvm::Expected<std::vector<float>> mse = readValues<float>(training->mse());
  if (!mse)
    return mse.takeError();
  llvm::Expected<std::vector<double>> t = readTimes();
  if (!t)
    return t.takeError();
  std::vector<float> vb(mse->size());
  if (!training->vb().empty()) {
    llvm::Expected<std::vector<float>> read = readValues<float>(training->vb());
    if (!read)
      return read.takeError();
    vb = std::move(*read);
  }
  for (int64_t i = 0; i != count; ++i) {
    double loss = static_cast<double>((*mse)[i]) + vb[i];
    result.mse += (*mse)[i];
    result.vb += vb[i];
    result.byTime.add((*t)[i], isFlow() ? 1 : training->timesteps(), loss);
    if (!std::isfinite(loss))
      result.badSamples.push_back(batch.samples[i]);
  }
  samples += count;
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

llvm::Expected<StepResult>
Trainer::step(int64_t step, BatchSource &source, Timeline *timeline,
              llvm::function_ref<llvm::Error()> beforeUpdate) {
  StepResult result;
  int64_t samples = 0;
  if (llvm::Error error = writeHyper(step))
    return std::move(error);
  for (int64_t i = 0; i != microBatches(); ++i) {
    llvm::Expected<Batch> given = source.next();
    if (!given)
      return given.takeError();
    if (llvm::Error error = writeBatch(*given))
      return std::move(error);
    if (llvm::Error error = startMicroBatch(i == 0, timeline))
      return std::move(error);
    bool last = i + 1 == microBatches();
    if (last && beforeUpdate)
      if (llvm::Error error = beforeUpdate())
        return std::move(error);
    // Does not wait until the host has seen the losses.
    if (last)
      if (llvm::Error error = timeline ? executor->run(prepareUpdate, timeline)
                                       : executor->start(prepareUpdate))
        return std::move(error);
    if (llvm::Error error = readLosses(*given, batch(), result, samples))
      return std::move(error);
  }
  if (llvm::Error error = executor->finish())
    return std::move(error);
  isUpdateDue = true;
  result.mse /= static_cast<double>(samples);
  result.vb /= static_cast<double>(samples);

  llvm::Expected<std::vector<float>> norm =
      readValues<float>(training->gradient_norm());
  if (!norm)
    return norm.takeError();
  llvm::Expected<std::vector<int64_t>> skipped =
      readValues<int64_t>(training->skipped());
  if (!skipped)
    return skipped.takeError();
  result.gradientNorm = norm->front();
  result.skipped = skipped->front() != skippedBefore;
  skippedBefore = skipped->front();
  if (executor->metadata().precision() == "fp16" &&
      !training->loss_scale().empty()) {
    llvm::Expected<std::vector<float>> scale =
        readValues<float>(training->loss_scale());
    if (!scale)
      return scale.takeError();
    result.lossScale = scale->front();
  }
  return result;
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
    if (llvm::Error error = readLosses(
            *given, std::min(batch(), count - samples), result, samples))
      return std::move(error);
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
