//===- TrainBench.cpp - How fast a train plan runs ------------------------===//

#include "runtime/tools/ditrun/TrainBench.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <numeric>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

namespace {

/// Adds up how long a step waits for its batches.
class TimedBatches : public BatchSource {
public:
  explicit TimedBatches(BatchSource &source) : source(source) {}
  llvm::Error seek(int64_t sample) override { return source.seek(sample); }
  llvm::Expected<Batch> next() override {
    Clock::time_point begin = Clock::now();
    llvm::Expected<Batch> batch = source.next();
    waited += secondsSince(begin);
    return batch;
  }
  std::string describe(int64_t sample) const override {
    return source.describe(sample);
  }

  double waited = 0;

private:
  BatchSource &source;
};

} // namespace

llvm::Expected<Exit> dit::runtime::benchTraining(const Options &options,
                                                 LoadedPlan &loaded,
                                                 Trainer &trainer,
                                                 BatchSource &source) {
  if (llvm::Error error = trainer.initialise())
    return std::move(error);
  TimedBatches timed(source);
  int64_t step = 0;
  double seconds = 0;
  std::vector<double> waits; // of each step
  BenchCase bench;
  bench.name = llvm::formatv("a training step of {0} x {1} samples",
                             trainer.microBatches(), trainer.batch())
                   .str();
  bench.pictures = trainer.microBatches() * trainer.batch();
  // Given batches come to an end; a data set goes on.
  bench.reset = [&]() -> llvm::Error {
    return options.training.batchFile ? source.seek(0) : llvm::Error::success();
  };
  bench.run = [&](Timeline *timeline) -> llvm::Error {
    Clock::time_point begin = Clock::now();
    timed.waited = 0;
    if (llvm::Error error = trainer.start(step++, timed, timeline))
      return error;
    // As a run does: see TrainLoop. A run that is timed leaves nothing behind.
    while (trainer.underWay() > (timeline ? 0 : trainer.stepsAhead()))
      if (llvm::Expected<StepResult> result = trainer.finish(); !result)
        return result.takeError();
    seconds += secondsSince(begin);
    waits.push_back(timed.waited);
    return llvm::Error::success();
  };
  llvm::Expected<Exit> code = runBench(options, loaded, bench);
  if (!code)
    return code;
  double waited = std::accumulate(waits.begin(), waits.end(), 0.0);
  llvm::sort(waits);
  llvm::outs() << llvm::formatv(
      "waiting for data: median {0:f3} ms, p99 {1:f3} ms a step, {2:f2} % of "
      "the time\n",
      1e3 * waits[waits.size() / 2], 1e3 * waits[waits.size() * 99 / 100],
      100 * waited / seconds);
  return code;
}
