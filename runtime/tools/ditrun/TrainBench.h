//===- TrainBench.h - How fast a train plan runs -----------------*- C++
//-*-===//
#ifndef DIT_RUNTIME_TOOLS_DITRUN_TRAINBENCH_H
#define DIT_RUNTIME_TOOLS_DITRUN_TRAINBENCH_H

#include "runtime/tools/ditrun/Modes.h"
#include "runtime/training/Trainer.h"

namespace dit::runtime {

/// The same batch again and again, to time steps without data.
class DrawnBatches : public BatchSource {
public:
  explicit DrawnBatches(const proto::Training &training);
  llvm::Error seek(int64_t) override { return llvm::Error::success(); }
  llvm::Expected<Batch> next() override {
    return Batch{pictures, labels, samples, {}, {}};
  }
  std::string describe(int64_t) const override { return "a drawn sample"; }

private:
  std::vector<float> pictures;
  std::vector<int64_t> labels, samples;
};

/// Times whole steps, and how long they wait for data.
llvm::Expected<plan::Exit> benchTraining(const Options &options,
                                         LoadedPlan &loaded, Trainer &trainer,
                                         BatchSource &source);

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_TRAINBENCH_H
