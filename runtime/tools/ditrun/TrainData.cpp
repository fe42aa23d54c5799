//===- TrainData.cpp - Where training's batches come from -----------------===//

#include "runtime/tools/ditrun/TrainData.h"

#include "runtime/data/Latents.h"
#include "runtime/plan/Failure.h"
#include "runtime/training/DatasetBatches.h"
#include "runtime/training/GivenBatches.h"

#include "llvm/ADT/Twine.h"

#include <algorithm>
#include <cmath>
#include <thread>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

namespace {

/// The same batch again and again, to time steps without data.
class DrawnBatches : public BatchSource {
public:
  explicit DrawnBatches(const proto::Training &training)
      : pictures(training.batch() * training.channels() * training.height() *
                 training.width()),
        labels(training.batch()), samples(training.batch()) {
    for (size_t i = 0; i != pictures.size(); ++i)
      pictures[i] = std::sin(static_cast<float>(i));
  }
  llvm::Error seek(int64_t) override { return llvm::Error::success(); }
  llvm::Expected<Batch> next() override {
    return Batch{pictures, labels, samples, {}, {}};
  }
  std::string describe(int64_t) const override { return "a drawn sample"; }

private:
  std::vector<float> pictures;
  std::vector<int64_t> labels, samples;
};

} // namespace

static llvm::Expected<TrainingData>
openBatchFile(const Options &options, const proto::Training &training) {
  const TrainingOptions &given = options.training;
  llvm::Expected<std::unique_ptr<GivenBatches>> file =
      GivenBatches::open("--batch-file", *given.batchFile, training);
  if (!file)
    return file.takeError();
  int64_t steps = (*file)->steps(), globalBatch = (*file)->globalBatch();
  if (given.globalBatch.value_or(globalBatch) != globalBatch)
    return failure(Exit::Contradiction,
                   "--global-batch " + llvm::Twine(*given.globalBatch) +
                       ": a step of --batch-file has " +
                       llvm::Twine(globalBatch) + " samples");
  if (given.steps.value_or(steps) > steps)
    return failure(Exit::Contradiction,
                   "--train-steps " + llvm::Twine(*given.steps) +
                       ": --batch-file has " + llvm::Twine(steps));
  return TrainingData{std::move(*file), given.steps.value_or(steps),
                      globalBatch};
}

/// A data set as batches; `perStep` 0: in its own order, for evaluation.
static llvm::Expected<std::unique_ptr<DatasetBatches>>
openBatches(llvm::StringRef flag, llvm::StringRef path, DatasetPart part,
            const Options &options, const proto::Training &training,
            int64_t perStep) {
  SampleShape shape{training.channels(), training.height(), training.width(),
                    training.classes()};
  llvm::Expected<std::unique_ptr<Dataset>> dataset =
      openDataset(path, options.training.dataset, part, shape);
  if (!dataset)
    return plan::within(dataset.takeError(), flag);
  if (options.training.latentScale && !(*dataset)->isDistribution())
    return failure(Exit::Contradiction,
                   "--latent-scale is for latents kept as means and "
                   "deviations; what " +
                       flag + " has is taken as it is: leave it out");
  BatchingOptions batching;
  batching.latentScale =
      options.training.latentScale.value_or(defaultLatentScale);
  batching.batch = training.batch();
  batching.perStep = perStep;
  batching.seed = options.seed.value_or(0);
  batching.shuffle = perStep != 0;
  batching.mirror = batching.shuffle && options.training.flip;
  batching.threads =
      std::clamp(std::thread::hardware_concurrency() / 4, 1u, 8u);
  batching.ahead = 2 * batching.threads;
  llvm::Expected<std::unique_ptr<DatasetBatches>> batches =
      DatasetBatches::create(std::move(*dataset), shape, batching);
  if (!batches)
    return plan::within(batches.takeError(), flag);
  return batches;
}

llvm::Expected<TrainingData>
dit::runtime::openTrainingData(const Options &options,
                               const proto::Training &training) {
  const TrainingOptions &given = options.training;
  if (given.batchFile)
    return openBatchFile(options, training);
  constexpr int64_t endless = 1'000'000'000;
  int64_t globalBatch = given.globalBatch.value_or(training.batch());
  if (given.data) {
    llvm::Expected<std::unique_ptr<DatasetBatches>> batches =
        openBatches("--data", *given.data, DatasetPart::Train, options,
                    training, globalBatch);
    if (!batches)
      return batches.takeError();
    return TrainingData{std::move(*batches), given.steps.value_or(endless),
                        globalBatch};
  }
  return TrainingData{std::make_unique<DrawnBatches>(training), endless,
                      globalBatch};
}

llvm::Expected<EvaluationData>
dit::runtime::openEvaluationData(const Options &options,
                                 const proto::Training &training) {
  const std::optional<std::string> &path = options.training.evalData;
  if (path && llvm::StringRef(*path).ends_with(".npz")) {
    llvm::Expected<std::unique_ptr<GivenBatches>> file =
        GivenBatches::open("--eval-data", *path, training);
    if (!file)
      return file.takeError();
    int64_t samples = (*file)->steps() * (*file)->globalBatch();
    return EvaluationData{std::move(*file), samples};
  }
  if (!options.training.data && !path)
    return failure(Exit::Contradiction,
                   "--eval-every needs --eval-data: --batch-file has no test "
                   "part");
  llvm::Expected<std::unique_ptr<DatasetBatches>> batches =
      openBatches(path ? "--eval-data" : "--data",
                  path.value_or(options.training.data.value_or("")),
                  path ? DatasetPart::TestOrWhole : DatasetPart::Test, options,
                  training, 0);
  if (!batches)
    return batches.takeError();
  int64_t samples = (*batches)->size();
  return EvaluationData{std::move(*batches), samples};
}

void dit::runtime::warnOfBadSamples(BatchSource &source, Terminal &terminal) {
  for (const std::string &complaint : source.takeComplaints())
    terminal.warn(complaint + "; another sample stands in");
}
