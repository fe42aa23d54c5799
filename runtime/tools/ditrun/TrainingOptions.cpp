//===- TrainingOptions.cpp - The flags of train plans ---------------------===//

#include "runtime/plan/Failure.h"
#include "runtime/tools/ditrun/Flags.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>

using namespace dit;
using namespace dit::runtime;

using T = TrainingOptions;

static FlagSetter text(std::optional<std::string> T::*member) {
  return [=](Options &options, llvm::StringRef value) {
    options.training.*member = value.str();
    return llvm::Error::success();
  };
}

static FlagSetter integer(const char *name, std::optional<int64_t> T::*member,
                          int64_t least) {
  return [=](Options &options, llvm::StringRef value) {
    return takeInteger(name, value, least, anyInteger,
                       (options.training.*member).emplace());
  };
}

static FlagSetter number(const char *name, std::optional<double> T::*member,
                         double least, double most) {
  return [=](Options &options, llvm::StringRef value) {
    return takeNumber(name, value, least, most,
                      (options.training.*member).emplace());
  };
}

/// One of some words.
static FlagSetter choice(const char *name,
                         std::optional<std::string> T::*member,
                         std::vector<llvm::StringRef> words) {
  return [=](Options &options, llvm::StringRef value) -> llvm::Error {
    if (!llvm::is_contained(words, value))
      return usage(llvm::Twine(name) + " '" + plan::escaped(value) +
                   "': must be " + llvm::join(words, " or "));
    options.training.*member = value.str();
    return llvm::Error::success();
  };
}

static llvm::Error setBetas(Options &options, llvm::StringRef value) {
  auto [first, second] = value.split(',');
  constexpr double most = 1 - 1e-12;
  if (llvm::Error error = takeNumber("--betas", first.trim(), 0, most,
                                     options.training.beta1.emplace()))
    return error;
  return takeNumber("--betas", second.trim(), 0, most,
                    options.training.beta2.emplace());
}

static llvm::Error setNoFlip(Options &options, llvm::StringRef) {
  options.training.flip = false;
  return llvm::Error::success();
}

std::vector<Flag> dit::runtime::trainingFlags() {
  using G = FlagGroup;
  return {
      {"--data", "PATH", G::Training, "pictures to train on", text(&T::data)},
      {"--dataset", "NAME", G::Training,
       "fashion-mnist, cifar10, latents, edm2, webdataset or folder (guessed "
       "from --data)",
       text(&T::dataset)},
      {"--train-steps", "N", G::Training, "optimizer steps in all",
       integer("--train-steps", &T::steps, 1)},
      {"--global-batch", "N", G::Training,
       "samples of one step, a multiple of the plan's batch (the plan's)",
       integer("--global-batch", &T::globalBatch, 1)},
      {"--lr", "X", G::Training, "learning rate (the plan's, 1e-4)",
       number("--lr", &T::learningRate, 0, HUGE_VAL)},
      {"--warmup", "N", G::Training,
       "steps over which the learning rate rises to --lr (0)",
       integer("--warmup", &T::warmUp, 0)},
      {"--lr-schedule", "NAME", G::Training,
       "constant (default), or cosine: down to --last-lr at the last step",
       choice("--lr-schedule", &T::schedule, {"constant", "cosine"})},
      {"--last-lr", "X", G::Training, "where cosine ends (0)",
       number("--last-lr", &T::lastLearningRate, 0, HUGE_VAL)},
      {"--betas", "B1,B2", G::Training,
       "AdamW's averages (the plan's, 0.9,0.999)", setBetas},
      {"--eps", "X", G::Training,
       "AdamW's smallest denominator (the plan's, 1e-8)",
       number("--eps", &T::epsilon, 0, 1)},
      {"--weight-decay", "X", G::Training,
       "AdamW's weight decay (the plan's, 0)",
       number("--weight-decay", &T::weightDecay, 0, HUGE_VAL)},
      {"--clip", "NORM", G::Training,
       "largest norm of all gradients (the plan's, 0: any)",
       number("--clip", &T::clip, 0, HUGE_VAL)},
      {"--ema", "D", G::Training,
       "decay of the averaged weights (the plan's, 0.9999)",
       number("--ema", &T::emaDecay, 0, 1)},
      {"--label-dropout", "P", G::Training,
       "share of samples trained without their label (the plan's, 0.1)",
       number("--label-dropout", &T::labelDropout, 0, 1)},
      {"--no-flip", "", G::Training, "do not mirror pictures at random",
       setNoFlip},
      {"--latent-scale", "X", G::Training,
       "what latents are multiplied with that are drawn from means and "
       "deviations (0.18215)",
       number("--latent-scale", &T::latentScale, 1e-6, 1e6)},
      {"--batch-file", "FILE.npz", G::Training,
       "train on given x0, noise, t, labels [step, batch, ...]",
       text(&T::batchFile)},

      {"--save-every", "N", G::Checkpoints,
       "steps between checkpoints (1000); one is written at the end, too",
       integer("--save-every", &T::saveEvery, 1)},
      {"--keep", "N", G::Checkpoints,
       "keep the newest N checkpoints (all of them)",
       integer("--keep", &T::keep, 1)},
      {"--resume", "WHAT", G::Checkpoints,
       "auto: the newest whole checkpoint of -o; never (default); or a path",
       text(&T::resume)},

      {"--log-every", "N", G::Watching,
       "steps between lines of metrics.jsonl (10)",
       integer("--log-every", &T::logEvery, 1)},
      {"--eval-every", "N", G::Watching,
       "steps between evaluations of the averaged weights",
       integer("--eval-every", &T::evalEvery, 1)},
      {"--eval-data", "PATH", G::Watching,
       "pictures for --eval-every (the data set's own test part)",
       text(&T::evalData)},
      {"--sample-every", "N", G::Watching,
       "steps between grids of pictures sampled from the averaged weights",
       integer("--sample-every", &T::sampleEvery, 1)},
      {"--sample-plan", "PLAN", G::Watching,
       "the sample plan of the same model that --sample-every runs",
       text(&T::samplePlan)},
      {"--on-nan", "WHAT", G::Watching,
       "at a loss or gradient that is not finite: stop (default); skip the "
       "step; or rewind "
       "to the last checkpoint and go on with other samples",
       choice("--on-nan", &T::onNan, {"stop", "skip", "rewind"})},
      {"--nan-limit", "N", G::Watching,
       "bad steps after each other, or rewinds, that end the run (10)",
       integer("--nan-limit", &T::nanLimit, 1)},
      {"--save-gradients", "FILE", G::Watching,
       "write the first step's gradients as safetensors",
       text(&T::savedGradients)}};
}

bool dit::runtime::isTrainingFlag(llvm::StringRef name) {
  return llvm::any_of(trainingFlags(),
                      [&](const Flag &flag) { return name == flag.name; });
}
