//===- TrainData.cpp - Where training's batches come from -----------------===//

#include "runtime/tools/ditrun/TrainData.h"

#include "runtime/plan/Failure.h"
#include "runtime/training/GivenBatches.h"

#include "llvm/ADT/Twine.h"

#include <cmath>

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

llvm::Expected<TrainingData>
dit::runtime::openTrainingData(const Options &options,
                               const proto::Training &training) {
  const TrainingOptions &given = options.training;
  if (given.batchFile)
    return openBatchFile(options, training);
  if (given.data)
    return failure(Exit::Unsupported,
                   "--data: this ditrun reads no data sets; --batch-file "
                   "gives batches");
  constexpr int64_t endless = 1'000'000'000;
  return TrainingData{std::make_unique<DrawnBatches>(training), endless,
                      given.globalBatch.value_or(training.batch())};
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
  return failure(Exit::Unsupported,
                 "--eval-every: this ditrun reads no data sets; --eval-data "
                 "FILE.npz gives batches");
}
