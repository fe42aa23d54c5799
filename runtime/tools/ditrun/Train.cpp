//===- Train.cpp - Trains a model -----------------------------------------===//

#include "runtime/data/Latents.h"
#include "runtime/tools/ditrun/SampleGrid.h"
#include "runtime/tools/ditrun/TrainBench.h"
#include "runtime/tools/ditrun/TrainData.h"
#include "runtime/tools/ditrun/TrainLoop.h"

#include "llvm/ADT/STLExtras.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

//===----------------------------------------------------------------------===//
// Flags
//===----------------------------------------------------------------------===//

static llvm::Error checkFlags(const Options &options) {
  // What --sample-every samples.
  const llvm::StringRef sampling[] = {"--labels", "--num",  "--sampler",
                                      "--steps",  "--cfg",  "--eta",
                                      "--shift",  "--grid", "--cfg-channels"};
  const llvm::StringRef other[] = {"--init-noise", "--noise",  "--save-npy",
                                   "--input",      "--output", "--expect",
                                   "--atol",       "--rtol"};
  for (const std::string &flag : options.given)
    if (llvm::is_contained(other, flag) ||
        (!options.training.sampleEvery && llvm::is_contained(sampling, flag)))
      return failure(Exit::Contradiction,
                     flag + " belongs to other plans; '" +
                         plan::escaped(options.plan) +
                         "' is a train plan: --data, --train-steps, -o");
  const TrainingOptions &training = options.training;
  if (training.data && training.batchFile)
    return failure(Exit::Contradiction,
                   "--data and --batch-file: one of them gives the batches");
  if (training.latentScale && training.batchFile)
    return failure(Exit::Contradiction,
                   "--latent-scale is for latents of --data; what --batch-file "
                   "has is taken as it is: leave it out");
  if (training.lastLearningRate && training.schedule != "cosine")
    return failure(Exit::Contradiction,
                   "--last-lr belongs to --lr-schedule cosine");
  if (training.nanLimit && training.onNan.value_or("stop") == "stop")
    return failure(Exit::Contradiction,
                   "--nan-limit belongs to --on-nan skip and --on-nan rewind");
  if (training.evalData && !training.evalEvery)
    return failure(Exit::Contradiction,
                   "--eval-data belongs to --eval-every N");
  if (training.sampleEvery.has_value() != training.samplePlan.has_value())
    return failure(Exit::Contradiction,
                   "--sample-every and --sample-plan belong together: the "
                   "train plan itself has no sampler");
  if (options.benchSeconds)
    return llvm::Error::success();
  if (!training.data && !training.batchFile)
    return failure(Exit::Usage, "what shall it train on? --data PATH, or "
                                "--batch-file FILE.npz");
  if (!options.folder)
    return failure(Exit::Usage,
                   "where shall checkpoints and metrics go? -o DIR");
  if (!training.steps && !training.batchFile)
    return failure(Exit::Usage, "how long shall it train? --train-steps N");
  return llvm::Error::success();
}

/// What the flags say, and the plan where they say nothing.
static TrainerOptions makeTrainerOptions(const Options &options,
                                         const proto::Training &plan,
                                         int64_t steps, int64_t globalBatch) {
  const TrainingOptions &given = options.training;
  TrainerOptions trainer;
  trainer.globalBatch = globalBatch;
  trainer.seed = options.seed.value_or(0);
  if (given.schedule == "cosine")
    trainer.rate.shape = LearningRate::Shape::Cosine;
  trainer.rate.peak = given.learningRate.value_or(plan.learning_rate());
  trainer.rate.last = given.lastLearningRate.value_or(0);
  trainer.rate.warmUp = given.warmUp.value_or(0);
  trainer.rate.steps = steps;
  trainer.beta1 = given.beta1.value_or(plan.beta1());
  trainer.beta2 = given.beta2.value_or(plan.beta2());
  trainer.epsilon = given.epsilon.value_or(plan.epsilon());
  trainer.weightDecay = given.weightDecay.value_or(plan.weight_decay());
  trainer.clip = given.clip.value_or(plan.clip());
  trainer.emaDecay = given.emaDecay.value_or(plan.ema_decay());
  trainer.labelDropout = given.labelDropout.value_or(plan.label_dropout());
  return trainer;
}

/// What a checkpoint says of how it was trained.
static Manifest makeManifest(const Options &options,
                             const TrainerOptions &trainer,
                             const LoadedPlan &loaded) {
  Manifest manifest;
  manifest.seed = trainer.seed;
  manifest.plan = loaded.file.view().hash;
  manifest.model = loaded.file.metadata().model();
  bool cosine = trainer.rate.shape == LearningRate::Shape::Cosine;
  manifest.options = {
      {"batch", std::to_string(trainer.globalBatch)},
      {"betas", printNumber(trainer.beta1) + "," + printNumber(trainer.beta2)},
      {"clip", printNumber(trainer.clip)},
      {"data",
       options.training.data.value_or(options.training.batchFile.value_or(""))},
      {"ema", printNumber(trainer.emaDecay)},
      {"eps", printNumber(trainer.epsilon)},
      {"flip", options.training.flip ? "1" : "0"},
      {"label-dropout", printNumber(trainer.labelDropout)},
      {"latent-scale",
       printNumber(options.training.latentScale.value_or(defaultLatentScale))},
      {"lr", printNumber(trainer.rate.peak)},
      {"lr-schedule", cosine ? "cosine" : "constant"},
      {"precision", loaded.file.metadata().precision()},
      {"warmup", std::to_string(trainer.rate.warmUp)},
      {"weight-decay", printNumber(trainer.weightDecay)}};
  return manifest;
}

//===----------------------------------------------------------------------===//
// Going on
//===----------------------------------------------------------------------===//

/// The checkpoint that --resume means; nothing for a new run.
static llvm::Expected<std::optional<ResumePoint>>
chooseResumePoint(const Options &options, const RunFolder &run) {
  std::string resume = options.training.resume.value_or("never");
  if (resume == "auto")
    return findResumePoint(run);
  if (resume != "never") {
    llvm::Expected<ResumePoint> point = openResumePoint(resume);
    if (!point)
      return plan::within(point.takeError(), "--resume");
    return std::move(*point);
  }
  std::vector<CheckpointEntry> there = run.checkpoints();
  if (there.empty())
    return std::nullopt;
  return failure(Exit::Contradiction,
                 "'" + plan::escaped(run.path()) +
                     "' has checkpoints, the newest of step " +
                     llvm::Twine(there.front().step) +
                     ": --resume auto goes on from there, another -o begins "
                     "anew");
}

/// Says what is other than when the checkpoint was written.
static void announce(const ResumePoint &point, const Manifest &now,
                     Terminal &terminal) {
  for (const std::string &what : point.damaged)
    terminal.warn(what + "; an older checkpoint is taken");
  terminal.note("going on from '" + plan::escaped(point.folder) + "', step " +
                llvm::Twine(point.manifest.step));
  if (point.manifest.plan != now.plan)
    terminal.note("it was written by another plan (" +
                  plan::escaped(point.manifest.plan) +
                  "): the numbers may differ in their last bits");
  for (const auto &[name, value] : now.options)
    for (const auto &[oldName, oldValue] : point.manifest.options)
      if (name == oldName && value != oldValue)
        terminal.note(plan::escaped(name) + " was " + plan::escaped(oldValue) +
                      " and is " + plan::escaped(value) + " from here on");
}

/// Puts the trainer's state to where the run begins.
static llvm::Expected<TrainLoop::Position>
begin(const Options &options, Trainer &trainer, const LoadedPlan &loaded,
      const RunFolder &run, const Manifest &manifest, Terminal &terminal) {
  llvm::Expected<std::optional<ResumePoint>> point =
      chooseResumePoint(options, run);
  if (!point)
    return point.takeError();
  if (!*point) {
    if (llvm::Error error = trainer.initialise())
      return std::move(error);
    return TrainLoop::Position();
  }
  const Manifest &old = (*point)->manifest;
  if (old.seed != manifest.seed)
    return failure(Exit::Contradiction,
                   "--seed " + llvm::Twine(manifest.seed) +
                       ": the checkpoint's seed is " + llvm::Twine(old.seed) +
                       "; take --seed " + llvm::Twine(old.seed));
  announce(**point, manifest, terminal);
  llvm::Expected<std::shared_ptr<const TrainingState>> state =
      TrainingState::load((*point)->folder, loaded.file.metadata(),
                          trainer.parameters());
  if (!state)
    return state.takeError();
  if (llvm::Error error = trainer.restore(**state))
    return std::move(error);
  return TrainLoop::Position{old.step, old.samples};
}

//===----------------------------------------------------------------------===//
// The run
//===----------------------------------------------------------------------===//

/// Evaluates the averages.
static TrainLoop::Watcher evaluator(Trainer &trainer, EvaluationData &data,
                                    Terminal &terminal) {
  return [&](int64_t step, MetricsFile &metrics,
             EventFile &events) -> llvm::Error {
    if (llvm::Error error = data.source->seek(0))
      return error;
    llvm::Expected<std::optional<std::pair<double, double>>> result =
        trainer.evaluate(*data.source, data.samples,
                         [] { return !stopRequested(); });
    warnOfBadSamples(*data.source, terminal);
    if (!result)
      return result.takeError();
    if (!*result)
      return llvm::Error::success();
    auto [mse, vb] = **result;
    terminal.note("step " + llvm::Twine(step) + ": evaluated mse " +
                  printNumber(mse) + ", vb " + printNumber(vb));
    if (llvm::Error error = metrics.add(encodeEvaluation(step, mse, vb)))
      return error;
    return events.addScalars(step, {{"eval/mse", mse}, {"eval/vb", vb}});
  };
}

/// Samples a grid from the averages every so many steps, not at the end.
static TrainLoop::Watcher painter(const Options &options, Trainer &trainer,
                                  SampleGrid &grid) {
  int64_t every = *options.training.sampleEvery;
  return [=, &trainer, &grid](int64_t step, MetricsFile &,
                              EventFile &events) -> llvm::Error {
    if (step % every != 0)
      return llvm::Error::success();
    llvm::Expected<TensorFile> weights = trainer.averages();
    if (!weights)
      return weights.takeError();
    return grid.sample(*weights, step, events);
  };
}

llvm::Expected<Exit> dit::runtime::runTraining(const Options &options,
                                               LoadedPlan &loaded,
                                               Terminal &terminal) {
  if (llvm::Error error = checkFlags(options))
    return std::move(error);
  const proto::Training &plan = loaded.file.metadata().training();
  llvm::Expected<TrainingData> data = openTrainingData(options, plan);
  if (!data)
    return data.takeError();
  TrainerOptions with =
      makeTrainerOptions(options, plan, data->steps, data->globalBatch);
  llvm::Expected<Trainer> trainer = Trainer::create(*loaded.executor, with);
  if (!trainer)
    return trainer.takeError();
  if (options.benchSeconds)
    return benchTraining(options, loaded, *trainer, *data->source);
  EvaluationData evaluation;
  if (options.training.evalEvery) {
    llvm::Expected<EvaluationData> opened = openEvaluationData(options, plan);
    if (!opened)
      return opened.takeError();
    evaluation = std::move(*opened);
  }

  llvm::Expected<RunFolder> run = RunFolder::open(*options.folder);
  if (!run)
    return run.takeError();
  Manifest manifest = makeManifest(options, with, loaded);
  llvm::Expected<TrainLoop::Position> position =
      begin(options, *trainer, loaded, *run, manifest, terminal);
  if (!position)
    return position.takeError();
  if (position->step > data->steps)
    return failure(Exit::Contradiction,
                   "--train-steps " + llvm::Twine(data->steps) +
                       ": the checkpoint has " + llvm::Twine(position->step) +
                       " already");
  if (llvm::Error error = data->source->seek(position->samples))
    return std::move(error);
  TrainLoop loop(options, loaded, *trainer, *data->source, *run, terminal,
                 std::move(manifest), with.rate);
  if (options.training.evalEvery)
    loop.addWatcher(*options.training.evalEvery,
                    evaluator(*trainer, evaluation, terminal));
  std::optional<SampleGrid> grid;
  if (options.training.sampleEvery) {
    llvm::Expected<SampleGrid> created =
        SampleGrid::create(options, run->path());
    if (!created)
      return created.takeError();
    grid.emplace(std::move(*created));
    loop.addWatcher(*options.training.sampleEvery,
                    painter(options, *trainer, *grid));
  }
  return loop.train(*position, data->steps, data->globalBatch);
}
