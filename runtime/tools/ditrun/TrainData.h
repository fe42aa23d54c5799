//===- TrainData.h - Where training's batches come from -------------------===//
#ifndef DIT_RUNTIME_TOOLS_DITRUN_TRAINDATA_H
#define DIT_RUNTIME_TOOLS_DITRUN_TRAINDATA_H

#include "runtime/plan/plan.pb.h"
#include "runtime/tools/ditrun/Options.h"
#include "runtime/tools/ditrun/Terminal.h"
#include "runtime/training/Batch.h"

#include <memory>

namespace dit::runtime {

/// Batches, and how many of them a run takes.
struct TrainingData {
  std::unique_ptr<BatchSource> source;
  int64_t steps = 0;       // of the run
  int64_t globalBatch = 0; // samples of a step
};

/// Opens what --data or --batch-file says; neither, under --bench, gives the
/// same drawn batch again and again.
llvm::Expected<TrainingData> openTrainingData(const Options &options,
                                              const proto::Training &training);

/// Samples to evaluate on, from the first to the last of them.
struct EvaluationData {
  std::unique_ptr<BatchSource> source;
  int64_t samples = 0;
};

/// Opens what --eval-data says, or the test part of --data.
llvm::Expected<EvaluationData>
openEvaluationData(const Options &options, const proto::Training &training);

/// Warns of samples that a source could not read since the last call.
void warnOfBadSamples(BatchSource &source, Terminal &terminal);

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_TRAINDATA_H
