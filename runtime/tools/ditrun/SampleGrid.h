//===- SampleGrid.h - Pictures of a model that is being trained -----------===//
#ifndef DIT_RUNTIME_TOOLS_DITRUN_SAMPLEGRID_H
#define DIT_RUNTIME_TOOLS_DITRUN_SAMPLEGRID_H

#include "runtime/checkpoint/TensorFile.h"
#include "runtime/data/Png.h"
#include "runtime/tools/ditrun/Modes.h"
#include "runtime/training/EventFile.h"

namespace dit::runtime {

/// Samples a grid of pictures by a sample plan of the same model.
class SampleGrid {
public:
  /// Checks the plan and what is to be sampled (the flags of sampling: labels,
  /// steps, cfg), and makes RUN/samples. Exit::Contradiction where the plan
  /// does not sample, or its pictures cannot be shown.
  static llvm::Expected<SampleGrid> create(const Options &options,
                                           const std::string &runFolder);

  /// Loads the plan with these weights, samples, and writes
  /// RUN/samples/step-N.png and a record of `events`.
  llvm::Error sample(const TensorFile &weights, int64_t step,
                     EventFile &events);

private:
  SampleGrid(const Options &options, std::string folder)
      : options(options), folder(std::move(folder)) {}
  llvm::Expected<std::vector<Picture>> samplePictures(LoadedPlan &loaded);

  const Options &options;
  std::string folder;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_SAMPLEGRID_H
