//===- GivenBatches.h - Training batches from a file ----------------------===//
#ifndef DIT_RUNTIME_TRAINING_GIVENBATCHES_H
#define DIT_RUNTIME_TRAINING_GIVENBATCHES_H

#include "runtime/data/Array.h"
#include "runtime/plan/plan.pb.h"
#include "runtime/training/Batch.h"

namespace dit::runtime {

/// The batches of a .npz with x0, noise [steps, batch, C, H, W] and t, labels
/// [steps, batch], t whole or, of a flow, in [0, 1]: what a step sees is given
/// to the last bit. In micro-batches of the plan's batch, which must divide the
/// file's.
class GivenBatches : public BatchSource {
public:
  /// `flag` names the file in errors. Exit::Contradiction where shapes, labels
  /// or timesteps are not the plan's.
  static llvm::Expected<std::unique_ptr<GivenBatches>>
  open(llvm::StringRef flag, llvm::StringRef path,
       const proto::Training &training);

  int64_t steps() const { return stepCount; }
  /// Samples of a step.
  int64_t globalBatch() const { return stepBatch; }
  llvm::Error seek(int64_t sample) override {
    position = sample;
    return llvm::Error::success();
  }
  llvm::Expected<Batch> next() override;
  std::string describe(int64_t sample) const override;

private:
  GivenBatches() = default;

  std::string flag;
  std::vector<float> pictures, noise;
  std::vector<double> t;
  std::vector<int64_t> labels, samples;
  int64_t stepCount = 0, stepBatch = 0, batch = 0, elements = 0;
  int64_t position = 0;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TRAINING_GIVENBATCHES_H
