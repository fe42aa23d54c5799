//===- PictureSampler.h - Runs a sample plan ------------------------------===//
#ifndef DIT_RUNTIME_DIFFUSION_PICTURESAMPLER_H
#define DIT_RUNTIME_DIFFUSION_PICTURESAMPLER_H

#include "runtime/data/Array.h"
#include "runtime/diffusion/Schedule.h"
#include "runtime/executor/Executor.h"

#include <optional>

namespace dit::runtime {

/// What is to be sampled.
struct SampleRequest {
  SamplerOptions sampler;
  double guidance = 4;                   // 1: none
  std::optional<int64_t> guidedChannels; // the plan's default where absent
  uint64_t seed = 0;
  std::vector<int64_t> labels; // one a picture; 0 where there are no classes
  std::optional<Array> initialNoise; // x_T [pictures, C, H, W]
  std::optional<Array> stepNoise; // [steps, pictures, C, H, W], largest t first
};

/// Fills a sample plan's globals and runs its steps, `batch` pictures at a
/// time. The noise of picture i depends on (seed, i) alone.
class PictureSampler {
public:
  /// Checks the request against the plan and fills its tables. Exit::Usage
  /// and Exit::Contradiction name flags of ditrun.
  static llvm::Expected<PictureSampler> create(Executor &executor,
                                               SampleRequest request);

  /// Pictures in one execution.
  int64_t batch() const { return sampling->batch(); }
  /// Pictures in all.
  int64_t pictures() const { return request.labels.size(); }
  int64_t steps() const { return request.sampler.steps; }
  /// Channels that are guided, the default resolved.
  int64_t guidedChannels() const { return *request.guidedChannels; }
  /// Floating-point operations of one execution's steps.
  uint64_t flops() const;
  /// The function of a step, for benchmarks.
  unsigned stepFunction() const { return step; }

  /// Samples the pictures [first, first + min(batch, rest)) and returns them,
  /// [count, C, H, W]. `proceed(step)` is called before each step is given to
  /// the device, which may be a few behind; where it says false sampling stops
  /// and nothing is returned. Errors name the step, or the steps under way.
  llvm::Expected<std::optional<Array>>
  sample(int64_t first, llvm::function_ref<bool(int64_t step)> proceed,
         Timeline *timeline = nullptr);

  /// Writes the inputs of the pictures from `first` on and starts what comes
  /// before the first step: x_T, and the prologue of the first steps.
  llvm::Error begin(int64_t first, Timeline *timeline = nullptr);

private:
  PictureSampler(Executor &executor, SampleRequest request)
      : executor(&executor), request(std::move(request)),
        sampling(&executor.metadata().sampling()) {}
  llvm::Error check();
  llvm::Error chooseSteps();
  llvm::Error fillTables();
  llvm::Error writeLabels(int64_t first);
  llvm::Error writeInitialNoise(int64_t first);
  llvm::Error writeStepNoise(int64_t first, int64_t index);
  llvm::Error writeNoise(llvm::ArrayRef<float> values);
  llvm::Error writeNumber(const std::string &global, int64_t value);
  int64_t pictureElements() const;

  Executor *executor;
  SampleRequest request;
  const proto::Sampling *sampling;
  llvm::Error start(unsigned function, Timeline *timeline);
  llvm::Error startStep(int64_t first, int64_t index, Timeline *timeline);
  llvm::Error atSteps(llvm::Error error, int64_t last) const;

  std::optional<unsigned> prologue, init;
  unsigned step = 0;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_DIFFUSION_PICTURESAMPLER_H
