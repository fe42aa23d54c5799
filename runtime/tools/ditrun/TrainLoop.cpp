//===- TrainLoop.cpp - Steps, checkpoints, metrics of a run ---------------===//

#include "runtime/tools/ditrun/TrainLoop.h"

#include "runtime/plan/Memory.h"
#include "runtime/tools/ditrun/TrainData.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <numeric>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

using Clock = std::chrono::steady_clock;

/// The steps of a run that --trace shows: the first ones load libraries.
static constexpr int64_t tracedFrom = 2, tracedSteps = 3;

/// How long the step that follows a save waits for the write before it counts.
/// A kill loses no more than the steps between two saves where writes are
/// shorter; those of large models are longer, and not worth waiting for.
static constexpr std::chrono::milliseconds writeGrace(100);

/// What --on-nan and --nan-limit say where they are not given.
static constexpr int64_t defaultNanLimit = 10;

//===----------------------------------------------------------------------===//
// Checkpoints
//===----------------------------------------------------------------------===//

/// An error of the disk, and what is left of the run.
llvm::Error TrainLoop::explain(llvm::Error error) {
  // What is still being written counts if it becomes whole.
  llvm::consumeError(writer.finish());
  auto [code, text] = plan::describe(std::move(error));
  std::vector<CheckpointEntry> entries = run.checkpoints();
  if (entries.empty())
    return failure(code, text + "; the run has no checkpoint yet");
  return failure(code, text + "; the last whole checkpoint is '" +
                           plan::escaped(entries.front().path) + "'");
}

llvm::Error TrainLoop::save() {
  if (lastSaved == manifest.step)
    return llvm::Error::success();
  llvm::Expected<std::shared_ptr<const TrainingState>> state =
      trainer.copyState();
  if (!state)
    return state.takeError();
  lastSaved = manifest.step;
  if (llvm::Error error =
          writer.start(manifest, TrainingState::files(std::move(*state),
                                                      loaded.file.metadata(),
                                                      trainer.parameters())))
    return explain(std::move(error));
  return llvm::Error::success();
}

/// Called when the step after the save of step `lastSaved` was computed.
void TrainLoop::awaitWrite() {
  if (manifest.step == lastSaved && !writer.isDoneWithin(writeGrace))
    terminal.detail("the checkpoint of step " + llvm::Twine(lastSaved) +
                    " is still being written; the steps go on");
}

//===----------------------------------------------------------------------===//
// Watching
//===----------------------------------------------------------------------===//

/// "step 12: the loss is nan, ...; not finite for 0001.png, 0007.png", or where
/// that is so of the gradient alone, the whole batch.
std::string TrainLoop::describeBad(const StepResult &result) const {
  std::string text =
      llvm::formatv("step {0}: the loss is {1}, the gradient's norm {2}",
                    manifest.step, result.mse + result.vb, result.gradientNorm)
          .str();
  constexpr size_t most = 8;
  std::vector<int64_t> bad = result.badSamples;
  bool known = !bad.empty();
  if (!known) {
    bad.resize(globalBatch);
    std::iota(bad.begin(), bad.end(), manifest.samples - globalBatch);
  }
  for (size_t i = 0; i != std::min(most, bad.size()); ++i)
    text += (i       ? ", "
             : known ? "; not finite for "
                     : "; the samples were ") +
            source.describe(bad[i]);
  if (bad.size() > most)
    text += llvm::formatv(" and {0} more", bad.size() - most);
  return text;
}

/// Applies the policy for losses that are not finite.
llvm::Error TrainLoop::judge(const StepResult &result) {
  const std::string policy = options.training.onNan.value_or("stop");
  if (!result.isBad()) {
    if (policy == "skip")
      badSteps = 0;
    return llvm::Error::success();
  }
  std::string text = describeBad(result);
  int64_t limit = options.training.nanLimit.value_or(defaultNanLimit);
  if (policy == "stop")
    return explain(failure(Exit::Diverged,
                           text + "; --on-nan skip leaves such steps out"));
  if (++badSteps >= limit)
    return explain(failure(
        Exit::Diverged,
        text + llvm::formatv("; that was the {0}. such step", badSteps).str()));
  if (policy == "rewind")
    return rewind(text);
  terminal.warn(text + "; skipped");
  return llvm::Error::success();
}

/// Goes back to the newest checkpoint, and on with the samples that follow.
llvm::Error TrainLoop::rewind(const std::string &why) {
  if (llvm::Error error = writer.finish())
    return explain(std::move(error));
  llvm::Expected<std::optional<ResumePoint>> point = findResumePoint(run);
  if (!point)
    return point.takeError();
  if (!*point)
    return explain(failure(Exit::Diverged, why));
  llvm::Expected<std::shared_ptr<const TrainingState>> state =
      TrainingState::load((*point)->folder, loaded.file.metadata(),
                          trainer.parameters());
  if (!state)
    return state.takeError();
  // Samples that a step under way has taken are taken again.
  bool isAhead = trainer.underWay() != 0;
  if (llvm::Error error = trainer.restore(**state))
    return error;
  terminal.warn(why + "; back to '" + plan::escaped((*point)->folder) + "'");
  if (isAhead)
    if (llvm::Error error = source.seek(manifest.samples))
      return explain(std::move(error));
  lastSaved = lastLogged = manifest.step = (*point)->manifest.step;
  return openFiles();
}

/// Opens metrics and events to go on after the steps that are done.
llvm::Error TrainLoop::openFiles() {
  llvm::Expected<MetricsFile> lines =
      MetricsFile::open(run.path(), manifest.step);
  if (!lines)
    return lines.takeError();
  metrics.reset();
  metrics.emplace(std::move(*lines));
  events.reset();
  llvm::Expected<EventFile> records =
      EventFile::create(run.path(), manifest.step);
  if (!records)
    return records.takeError();
  events.emplace(std::move(*records));
  return llvm::Error::success();
}

/// Writes a step's line and scalars.
llvm::Error TrainLoop::log(const StepResult &result) {
  Clock::time_point now = Clock::now();
  double seconds = std::chrono::duration<double>(now - lastTime).count();
  int64_t steps = manifest.step - lastLogged;
  lastTime = now;
  lastLogged = manifest.step;
  StepMetrics line;
  line.step = manifest.step;
  line.mse = result.mse;
  line.vb = result.vb;
  line.gradientNorm = result.gradientNorm;
  line.learningRate = rate.at(manifest.step - 1);
  line.imagesPerSecond = steps * globalBatch / seconds;
  line.milliseconds = 1e3 * seconds / steps;
  // Of the device that has the model: what was planned is what is allocated.
  const proto::Plan &plan = loaded.file.metadata();
  line.memoryBytes = plan.target().kind() == "cpu"
                         ? residentMemory()
                         : plan::memoryUse(plan).total();
  line.lossScale = result.lossScale;
  line.byTime = result.byTime;
  line.skipped = result.skipped;
  if (llvm::Error error = metrics->add(encodeMetrics(line)))
    return error;
  std::vector<std::pair<std::string, double>> scalars = {
      {"loss/loss", line.loss()},
      {"loss/mse", line.mse},
      {"loss/vb", line.vb},
      {"train/grad_norm", line.gradientNorm},
      {"train/lr", line.learningRate},
      {"train/images_per_second", line.imagesPerSecond}};
  if (line.lossScale)
    scalars.push_back({"train/loss_scale", *line.lossScale});
  int64_t timesteps = loaded.file.metadata().training().timesteps();
  for (int64_t part = 0; part != LossByTime::parts; ++part)
    if (std::optional<double> mean = result.byTime.mean(part))
      scalars.push_back(
          {llvm::formatv("loss_by_t/{0}", part * timesteps / LossByTime::parts)
               .str(),
           *mean});
  return events->addScalars(manifest.step, scalars);
}

void TrainLoop::showProgress(const StepResult &result) {
  // An average over about a hundred steps, right from the first one on.
  constexpr double factor = 0.99;
  if (std::isfinite(result.mse + result.vb)) {
    smoothed = factor * smoothed + (1 - factor) * (result.mse + result.vb);
    smoothedWeight = factor * smoothedWeight + (1 - factor);
  }
  terminal.progress(manifest.step - firstStep, lastStep - firstStep,
                    llvm::formatv("step {0} of {1}, loss {2:f4}", manifest.step,
                                  lastStep, smoothed / smoothedWeight)
                        .str());
}

//===----------------------------------------------------------------------===//
// The loop
//===----------------------------------------------------------------------===//

bool TrainLoop::isEvery(int64_t count, int64_t step) const {
  return step % count == 0 || step == lastStep;
}

/// Whether the state after a step is looked at: then no later one is started
/// before.
bool TrainLoop::isLookedAt(int64_t step) const {
  return isEvery(saveEvery, step) ||
         llvm::any_of(watchers, [&](const auto &watcher) {
           return isEvery(watcher.first, step);
         });
}

/// Starts the step after those that are done or under way.
llvm::Error TrainLoop::startStep() {
  int64_t step = manifest.step + trainer.underWay(), index = step - firstStep;
  bool traced =
      options.trace && index >= tracedFrom && index < tracedFrom + tracedSteps;
  auto saveGradients = [&]() -> llvm::Error {
    if (index != 0 || !options.training.savedGradients)
      return llvm::Error::success();
    llvm::Expected<TensorFile> file =
        trainer.gradients(*options.training.savedGradients);
    if (!file)
      return file.takeError();
    return writeTensorFile(file->name, *file);
  };
  llvm::Error error =
      trainer.start(step, source, traced ? &timeline : nullptr, saveGradients);
  warnOfBadSamples(source, terminal);
  return error;
}

/// Reads what the first step under way gave, and does all that follows from it.
llvm::Error TrainLoop::finishStep() {
  llvm::Expected<StepResult> result = trainer.finish();
  if (!result)
    return explain(result.takeError());
  awaitWrite();
  ++manifest.step;
  manifest.samples += globalBatch;
  if (isEvery(logEvery, manifest.step) || result->isBad())
    if (llvm::Error error = log(*result))
      return explain(std::move(error));
  if (llvm::Error error = judge(*result))
    return error;
  showProgress(*result);
  if (manifest.step % saveEvery == 0)
    if (llvm::Error error = save())
      return error;
  for (const auto &[every, watch] : watchers)
    if (isEvery(every, manifest.step))
      if (llvm::Error error = watch(manifest.step, *metrics, *events))
        return explain(std::move(error));
  return llvm::Error::success();
}

/// Finishes steps until so many are under way.
llvm::Error TrainLoop::finishSteps(int64_t left) {
  while (trainer.underWay() > left)
    if (llvm::Error error = finishStep())
      return error;
  return llvm::Error::success();
}

llvm::Error TrainLoop::runSteps() {
  while (manifest.step + trainer.underWay() < lastStep && !stopRequested()) {
    if (llvm::Error error = startStep()) {
      // What was wrong before, and the line of the step before, come first.
      if (llvm::Error earlier = finishSteps(0)) {
        llvm::consumeError(std::move(error));
        return earlier;
      }
      return explain(std::move(error));
    }
    bool isStop = isLookedAt(manifest.step + trainer.underWay());
    if (llvm::Error error = finishSteps(isStop ? 0 : trainer.stepsAhead()))
      return error;
  }
  return finishSteps(0);
}

llvm::Expected<Exit> TrainLoop::train(Position begin, int64_t steps,
                                      int64_t samplesOfStep) {
  globalBatch = samplesOfStep;
  firstStep = lastLogged = manifest.step = begin.step;
  lastStep = steps;
  manifest.samples = begin.samples;
  if (begin.step)
    lastSaved = begin.step;
  logEvery = options.training.logEvery.value_or(10);
  saveEvery = options.training.saveEvery.value_or(1000);
  if (llvm::Error error = openFiles())
    return std::move(error);

  catchStopRequests();
  Clock::time_point start = lastTime = Clock::now();
  if (llvm::Error error = runSteps())
    return std::move(error);
  if (llvm::Error error = save())
    return std::move(error);
  if (llvm::Error error = writer.finish())
    return explain(std::move(error));
  if (llvm::Error error = writeTraceFile(options, loaded, timeline))
    return std::move(error);
  double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  int64_t done = manifest.step - begin.step;
  terminal.note(llvm::formatv("{0} steps, {1} to {2} of {3}, in {4} ({5:f1} "
                              "pictures a second), loss {6:f4}",
                              done, begin.step, manifest.step, steps,
                              printSeconds(seconds),
                              done * globalBatch / seconds,
                              smoothedWeight ? smoothed / smoothedWeight : 0));
  if (int64_t bad = source.badSamples())
    terminal.note(llvm::Twine(bad) + (bad == 1 ? " sample" : " samples") +
                  " could not be read; replaced by others");
  terminal.clear();
  if (!run.checkpoints().empty())
    llvm::outs() << run.checkpoints().front().path << "\n";
  if (manifest.step == steps)
    return Exit::Done;
  terminal.note("stopped, and saved: the same command with --resume auto goes "
                "on");
  return Exit::Stopped;
}
