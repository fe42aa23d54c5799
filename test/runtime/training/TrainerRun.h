//===- TrainerRun.h - A small train plan, its samples and a trainer -------===//
//
// The plan trains eps_hat = w x_t + b, of which the tests know everything.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_TEST_RUNTIME_TRAINING_TRAINERRUN_H
#define DIT_TEST_RUNTIME_TRAINING_TRAINERRUN_H

#include "runtime/devices/cpu/CpuDevice.h"
#include "runtime/training/Trainer.h"
#include "test/runtime/HandPlan.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace dit::test {

using namespace dit::runtime;

inline constexpr int64_t batch = 2, size = 64, parameterCount = 128;

/// Pictures by their number; t and noise given, or drawn by the plan.
class NumberedBatches : public BatchSource {
public:
  NumberedBatches(bool given, int64_t first = 0) : given(given), at(first) {}

  static float pixel(int64_t sample, int64_t i) {
    return std::sin(0.37f * sample + 0.11f * i);
  }
  static float noiseOf(int64_t sample, int64_t i) {
    return std::cos(1.7f * sample + 0.53f * i);
  }
  static int64_t timeOf(int64_t sample) { return sample * 137 % 1000; }

  llvm::Error seek(int64_t sample) override {
    at = sample;
    return llvm::Error::success();
  }
  llvm::Expected<Batch> next() override {
    pictures.assign(batch * size, 0);
    noise.assign(given ? batch * size : 0, 0);
    labels.assign(batch, 0);
    samples.assign(batch, 0);
    t.assign(batch, 0);
    for (int64_t n = 0; n != batch; ++n, ++at) {
      samples[n] = at;
      labels[n] = at % 4;
      t[n] = timeOf(at);
      for (int64_t i = 0; i != size; ++i) {
        pictures[n * size + i] = at == broken
                                     ? std::numeric_limits<float>::quiet_NaN()
                                     : pixel(at, i);
        if (given)
          noise[n * size + i] = noiseOf(at, i);
      }
    }
    return Batch{pictures, labels, samples, noise, t};
  }
  std::string describe(int64_t sample) const override {
    return std::to_string(sample);
  }

  int64_t broken = -1;

private:
  bool given;
  int64_t at;
  std::vector<float> pictures, noise;
  std::vector<double> t;
  std::vector<int64_t> labels, samples;
};

/// The plan on a device, and its trainer.
struct Loaded {
  explicit Loaded(const TrainerOptions &options,
                  std::unique_ptr<Device> with = createCpuDevice(1))
      : hand(makeTrainPlan()), view{hand.metadata, hand.code, hand.weights, ""},
        device(std::move(with)),
        executor(llvm::cantFail(Executor::create(view, *device))),
        trainer(llvm::cantFail(Trainer::create(*executor, options))) {
    llvm::cantFail(trainer.initialise());
  }

  std::vector<float> values(const char *name) {
    llvm::cantFail(trainer.finishUpdate());
    std::vector<uint8_t> bytes = llvm::cantFail(readWhole(*executor, name));
    std::vector<float> result(bytes.size() / 4);
    std::memcpy(result.data(), bytes.data(), bytes.size());
    return result;
  }

  HandPlan hand;
  plan::PlanView view;
  std::unique_ptr<Device> device;
  std::unique_ptr<Executor> executor;
  Trainer trainer;
};

inline TrainerOptions optionsOf(int64_t globalBatch) {
  TrainerOptions options;
  options.globalBatch = globalBatch;
  options.seed = 5;
  options.rate = {LearningRate::Shape::Cosine, 0.01, 0.001, 3, 20};
  options.weightDecay = 0.1;
  options.emaDecay = 0.9;
  return options;
}

} // namespace dit::test

#endif // DIT_TEST_RUNTIME_TRAINING_TRAINERRUN_H
