//===- DatasetBatches.h - A data set's batches, read ahead ----------------===//
//
//   sample n   epoch n / E, position n % E, where E is the data set's size
//              rounded down to whole steps; Order says which of the set's
//              samples stands there
//   a batch    is a function of its first sample's number alone: threads fill
//              several at once, and the run sees them in order
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_TRAINING_DATASETBATCHES_H
#define DIT_RUNTIME_TRAINING_DATASETBATCHES_H

#include "runtime/data/Dataset.h"
#include "runtime/plan/Failure.h"
#include "runtime/training/Batch.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

namespace dit::runtime {

/// How a data set becomes batches.
struct BatchingOptions {
  int64_t batch = 1;   // samples of a batch
  int64_t perStep = 1; // samples of a step: what an epoch has whole ones of
  uint64_t seed = 0;
  bool shuffle = true;    // else in the set's order, again and again
  bool mirror = true;     // every other picture, at random
  double latentScale = 1; // of samples that are drawn from distributions
  unsigned threads = 2;
  unsigned ahead = 4; // batches kept beside the one in use
};

/// Batches of a data set.
class DatasetBatches : public BatchSource {
public:
  /// Exit::Contradiction where the set is smaller than a step.
  static llvm::Expected<std::unique_ptr<DatasetBatches>>
  create(std::unique_ptr<Dataset> dataset, const SampleShape &shape,
         const BatchingOptions &options);
  ~DatasetBatches() override { stop(); }

  int64_t size() const { return dataset->size(); }
  llvm::Error seek(int64_t sample) override;

  /// A sample that cannot be read is replaced by the next one of the set that
  /// can; Exit::Malformed, naming them, once they are more than one in 1000.
  llvm::Expected<Batch> next() override;
  std::string describe(int64_t sample) const override;

  int64_t badSamples() const override;
  std::vector<std::string> takeComplaints() override;

private:
  struct Slot {
    std::vector<float> pictures;
    std::vector<int64_t> labels, samples;
    int64_t filledFor = -1; // the batch that lies here
    std::optional<std::pair<plan::Exit, std::string>> failed;
  };

  DatasetBatches(std::unique_ptr<Dataset> dataset, const SampleShape &shape,
                 const BatchingOptions &options);
  int64_t indexOf(int64_t sample) const;
  void start();
  void stop();
  void work();
  llvm::Error fill(Slot &slot, int64_t first);
  llvm::Expected<int64_t> readSample(int64_t sample,
                                     llvm::MutableArrayRef<float> to);
  llvm::Error noteBad(int64_t index, llvm::Error why);

  std::unique_ptr<Dataset> dataset;
  SampleShape shape;
  BatchingOptions options;
  int64_t epochSize = 0;
  int64_t firstSample = 0; // of batch 0 since seek()

  mutable std::mutex mutex;
  std::condition_variable wantsWork, hasBatch;
  std::vector<std::thread> threads;
  std::vector<Slot> slots; // batch b lies in b % size
  int64_t claimed = 0;     // batches that a thread has taken
  int64_t given = 0;       // batches that next() gave
  bool stopping = false;
  std::set<int64_t> bad;
  std::string firstBad; // why the first of them could not be read
  std::vector<std::string> complaints; // of the first few, not yet taken
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TRAINING_DATASETBATCHES_H
