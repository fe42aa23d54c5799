//===- TrainingOptions.h - What a train plan is run with ------------------===//
#ifndef DIT_RUNTIME_TOOLS_DITRUN_TRAININGOPTIONS_H
#define DIT_RUNTIME_TOOLS_DITRUN_TRAININGOPTIONS_H

#include <cstdint>
#include <optional>
#include <string>

namespace dit::runtime {

/// The values of training's flags; an empty optional is a flag not given.
struct TrainingOptions {
  // What to train on.
  std::optional<std::string> data;
  std::optional<std::string> dataset;
  std::optional<std::string> batchFile;
  std::optional<int64_t> steps;
  std::optional<int64_t> globalBatch;
  std::optional<double> labelDropout;
  bool flip = true;
  std::optional<double> latentScale;

  // The optimizer; what is absent is as the plan says.
  std::optional<double> learningRate;
  std::optional<std::string> schedule; // constant, cosine
  std::optional<double> lastLearningRate;
  std::optional<int64_t> warmUp;
  std::optional<double> beta1, beta2;
  std::optional<double> epsilon;
  std::optional<double> weightDecay;
  std::optional<double> clip;
  std::optional<double> emaDecay;

  // Checkpoints.
  std::optional<int64_t> saveEvery;
  std::optional<int64_t> keep;
  std::optional<std::string> resume;

  // Watching.
  std::optional<int64_t> logEvery;
  std::optional<int64_t> evalEvery;
  std::optional<std::string> evalData;
  std::optional<int64_t> sampleEvery;
  std::optional<std::string> samplePlan;
  std::optional<std::string> savedGradients;
  std::optional<std::string> onNan; // stop, skip, rewind
  std::optional<int64_t> nanLimit;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_TRAININGOPTIONS_H
