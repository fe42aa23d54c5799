//===- TrainerTest.cpp - Steps, states and files of a small train plan ----===//
//
// The plan trains eps_hat = w x_t + b, of which the tests know everything.
//
//===----------------------------------------------------------------------===//

#include "runtime/training/Trainer.h"

#include "runtime/checkpoint/CheckpointWriter.h"
#include "runtime/devices/cpu/CpuDevice.h"
#include "runtime/plan/Failure.h"
#include "test/runtime/HandPlan.h"
#include "test/runtime/devices/LateDevice.h"

#include "llvm/Support/FileSystem.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

static constexpr int64_t batch = 2, size = 64, parameterCount = 128;

namespace {

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
      : hand(test::makeTrainPlan()),
        view{hand.metadata, hand.code, hand.weights, ""},
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

  test::HandPlan hand;
  plan::PlanView view;
  std::unique_ptr<Device> device;
  std::unique_ptr<Executor> executor;
  Trainer trainer;
};

/// The same training in double, written down from the formulas.
struct Reference {
  std::vector<double> p = std::vector<double>(parameterCount), m = p, v = p,
                      ema = p, abar;

  Reference() {
    double product = 1;
    for (int t = 0; t != 1000; ++t)
      abar.push_back(product *= 1 - (1e-4 + t * (0.02 - 1e-4) / 999));
  }
  /// Returns the loss and leaves the gradient's norm.
  double step(int64_t step, int64_t globalBatch, const TrainerOptions &o,
              double &norm) {
    std::vector<double> g(parameterCount);
    double loss = 0;
    for (int64_t n = step * globalBatch; n != (step + 1) * globalBatch; ++n) {
      double a = abar[NumberedBatches::timeOf(n)];
      for (int64_t i = 0; i != size; ++i) {
        double z = NumberedBatches::noiseOf(n, i);
        double x = std::sqrt(a) * (NumberedBatches::pixel(n, i) + n % 4 / 8.0) +
                   std::sqrt(1 - a) * z;
        double error = p[i] * x + p[size + i] - z;
        loss += error * error / size / globalBatch;
        g[i] += 2 * error * x / size / globalBatch;
        g[size + i] += 2 * error / size / globalBatch;
      }
    }
    norm = 0;
    for (double value : g)
      norm += value * value;
    norm = std::sqrt(norm);
    double scale = o.clip > 0 && norm > o.clip ? o.clip / norm : 1;
    for (int64_t i = 0; i != parameterCount; ++i) {
      double gradient = g[i] * scale;
      p[i] *= 1 - o.rate.at(step) * o.weightDecay;
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * gradient;
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * gradient * gradient;
      p[i] -= o.rate.at(step) * m[i] / (1 - std::pow(o.beta1, step + 1)) /
              (std::sqrt(v[i] / (1 - std::pow(o.beta2, step + 1))) + o.epsilon);
      ema[i] = o.emaDecay * ema[i] + (1 - o.emaDecay) * p[i];
    }
    return loss;
  }
};

} // namespace

static TrainerOptions optionsOf(int64_t globalBatch) {
  TrainerOptions options;
  options.globalBatch = globalBatch;
  options.seed = 5;
  options.rate = {LearningRate::Shape::Cosine, 0.01, 0.001, 3, 20};
  options.weightDecay = 0.1;
  options.emaDecay = 0.9;
  return options;
}

TEST(TrainerTest, FollowsTheFormulas) {
  for (int64_t globalBatch : {2, 6})
    for (double clip : {0.0, 0.05}) {
      TrainerOptions options = optionsOf(globalBatch);
      options.clip = clip;
      Loaded loaded(options);
      Reference reference;
      NumberedBatches source(true);
      for (int64_t step = 0; step != 20; ++step) {
        StepResult result = llvm::cantFail(loaded.trainer.step(step, source));
        double norm, loss = reference.step(step, globalBatch, options, norm);
        EXPECT_NEAR(result.mse, loss, 1e-5 * loss);
        EXPECT_EQ(result.vb, 0);
        EXPECT_NEAR(result.gradientNorm, norm, 1e-5 * norm);
        EXPECT_FALSE(result.skipped);
        EXPECT_FALSE(result.lossScale);
      }
      std::vector<float> masters = loaded.values("masters");
      std::vector<float> ema = loaded.values("ema");
      for (int64_t i = 0; i != parameterCount; ++i) {
        EXPECT_NEAR(masters[i], reference.p[i], 2e-5);
        EXPECT_NEAR(ema[i], reference.ema[i], 2e-5);
      }
    }
}

// The same samples in one micro-batch or three: the same numbers are drawn.
TEST(TrainerTest, DrawsDependOnSamplesAlone) {
  Loaded one(optionsOf(2)), again(optionsOf(2));
  NumberedBatches source(false, 8), same(false, 8), others(false, 10);
  StepResult a = llvm::cantFail(one.trainer.step(3, source));
  StepResult b = llvm::cantFail(again.trainer.step(3, same));
  EXPECT_EQ(a.mse, b.mse);
  StepResult c = llvm::cantFail(again.trainer.step(3, others));
  EXPECT_NE(a.mse, c.mse);
}

TEST(TrainerTest, LossesByTime) {
  Loaded loaded(optionsOf(20));
  NumberedBatches source(true);
  StepResult result = llvm::cantFail(loaded.trainer.step(0, source));
  double sum = 0;
  int64_t count = 0;
  for (int64_t part = 0; part != LossByTime::parts; ++part) {
    int64_t expected = 0;
    for (int64_t n = 0; n != 20; ++n)
      expected += NumberedBatches::timeOf(n) / 100 == part;
    EXPECT_EQ(result.byTime.count[part], expected);
    count += result.byTime.count[part];
    sum += result.byTime.sum[part];
  }
  EXPECT_EQ(count, 20);
  EXPECT_NEAR(sum / 20, result.mse, 1e-12);
}

TEST(TrainerTest, LeavesTheStateAtALossThatIsNotFinite) {
  Loaded loaded(optionsOf(6));
  NumberedBatches source(true);
  llvm::cantFail(loaded.trainer.step(0, source));
  std::vector<float> masters = loaded.values("masters");
  source.broken = 9;
  StepResult result = llvm::cantFail(loaded.trainer.step(1, source));
  EXPECT_TRUE(result.isBad());
  EXPECT_TRUE(result.skipped);
  EXPECT_EQ(result.badSamples, (std::vector<int64_t>{9}));
  EXPECT_EQ(loaded.values("masters"), masters);
  result = llvm::cantFail(loaded.trainer.step(2, source));
  EXPECT_FALSE(result.isBad());
  EXPECT_FALSE(result.skipped);
  EXPECT_NE(loaded.values("masters"), masters);
}

namespace {

void expectSame(const StepResult &a, const StepResult &b) {
  // NaN is the same as NaN here.
  EXPECT_EQ(std::bit_cast<uint64_t>(a.mse), std::bit_cast<uint64_t>(b.mse));
  EXPECT_EQ(std::bit_cast<uint64_t>(a.gradientNorm),
            std::bit_cast<uint64_t>(b.gradientNorm));
  EXPECT_EQ(a.byTime.count, b.byTime.count);
  EXPECT_EQ(a.skipped, b.skipped);
  EXPECT_EQ(a.badSamples, b.badSamples);
}

} // namespace

// However far the host is ahead, a step has the inputs that were written for it
// and gives its own results, in one micro-batch or in three.
TEST(TrainerTest, ResultsAreThoseOfTheirStep) {
  for (int64_t globalBatch : {2, 6}) {
    Loaded plain(optionsOf(globalBatch));
    Loaded late(optionsOf(globalBatch), std::make_unique<test::LateDevice>());
    auto &device = static_cast<test::LateDevice &>(*late.device);
    NumberedBatches source(true), same(true);
    source.broken = same.broken = 3 * globalBatch + 1;
    constexpr int64_t steps = 5;
    uint64_t before = device.commands;
    for (int64_t step = 0; step != steps; ++step) {
      llvm::cantFail(late.trainer.start(step, same));
      // The host has waited for no more than the queue's length demands.
      EXPECT_EQ(device.commandsDone + Executor::mostUnderWay,
                std::max(before + Executor::mostUnderWay, device.commands));
    }
    EXPECT_EQ(late.trainer.underWay(), steps);
    for (int64_t step = 0; step != steps; ++step) {
      StepResult expected = llvm::cantFail(plain.trainer.step(step, source));
      StepResult result = llvm::cantFail(late.trainer.finish());
      expectSame(result, expected);
      EXPECT_EQ(result.skipped, step == 3);
      if (step == 3)
        EXPECT_EQ(result.badSamples,
                  (std::vector<int64_t>{3 * globalBatch + 1}));
    }
    for (const char *flat : {"masters", "ema", "moment1", "moment2"})
      EXPECT_EQ(late.values(flat), plain.values(flat)) << flat;
  }
}

// A state that is put back is not what steps under way make of it, and they
// give no results.
TEST(TrainerTest, AStateEndsStepsUnderWay) {
  Loaded plain(optionsOf(2));
  Loaded late(optionsOf(2), std::make_unique<test::LateDevice>());
  EXPECT_EQ(plain.trainer.stepsAhead(), 0);
  EXPECT_EQ(late.trainer.stepsAhead(), 1);
  NumberedBatches source(true), same(true);
  llvm::cantFail(plain.trainer.step(0, source));
  llvm::cantFail(late.trainer.step(0, same));
  auto state = llvm::cantFail(late.trainer.copyState());
  same.broken = 2;
  llvm::cantFail(late.trainer.start(1, same));
  llvm::cantFail(late.trainer.start(2, same));
  llvm::cantFail(late.trainer.restore(*state));
  EXPECT_EQ(late.trainer.underWay(), 0);
  for (int64_t step = 1; step != 4; ++step) {
    llvm::cantFail(source.seek(20 + 2 * step));
    llvm::cantFail(same.seek(20 + 2 * step));
    StepResult expected = llvm::cantFail(plain.trainer.step(step, source));
    expectSame(llvm::cantFail(late.trainer.step(step, same)), expected);
  }
  for (const char *flat : {"masters", "ema", "moment1", "moment2"})
    EXPECT_EQ(late.values(flat), plain.values(flat)) << flat;
}

// fp16's overflow with a scale to lower is no fault of the model.
TEST(TrainerTest, OverflowUnderALossScaleIsNotBad) {
  StepResult result;
  result.skipped = true;
  EXPECT_TRUE(result.isBad());
  result.lossScale = 1024;
  EXPECT_FALSE(result.isBad());
  result.lossScale = 1;
  EXPECT_TRUE(result.isBad());
}

TEST(TrainerTest, RefusesBatchesThatDoNotDivide) {
  test::HandPlan hand = test::makeTrainPlan();
  plan::PlanView view{hand.metadata, hand.code, hand.weights, ""};
  std::unique_ptr<Device> device = createCpuDevice(1);
  auto executor = llvm::cantFail(Executor::create(view, *device));
  for (int64_t globalBatch : {0, 1, 5}) {
    auto trainer = Trainer::create(*executor, optionsOf(globalBatch));
    ASSERT_FALSE(static_cast<bool>(trainer));
    EXPECT_EQ(plan::describe(trainer.takeError()).first, Exit::Contradiction);
  }
}

TEST(TrainerTest, EvaluatesTheAverages) {
  Loaded loaded(optionsOf(2));
  NumberedBatches source(false);
  for (int64_t step = 0; step != 5; ++step)
    llvm::cantFail(loaded.trainer.step(step, source));
  std::vector<float> masters = loaded.values("masters");
  NumberedBatches test(true), again(true);
  // Of three samples the last has no partner.
  auto [mse, vb] =
      *llvm::cantFail(loaded.trainer.evaluate(test, 3, [] { return true; }));
  EXPECT_EQ(loaded.values("masters"), masters);
  EXPECT_FALSE(
      llvm::cantFail(loaded.trainer.evaluate(again, 3, [] { return false; })));
  EXPECT_EQ(loaded.values("masters"), masters);
  Reference reference;
  std::vector<float> ema = loaded.values("ema");
  std::copy(ema.begin(), ema.end(), reference.p.begin());
  double norm, expected = 0;
  for (int64_t n = 0; n != 3; ++n) {
    Reference one = reference;
    expected += one.step(n, 1, optionsOf(2), norm) / 3;
  }
  EXPECT_NEAR(mse, expected, 1e-5 * expected);
  EXPECT_EQ(vb, 0);
}

TEST(TrainerTest, WritesGradients) {
  Loaded loaded(optionsOf(4));
  NumberedBatches source(true);
  std::vector<float> weight(64), bias(64);
  llvm::cantFail(loaded.trainer.step(0, source, nullptr, [&] {
    TensorFile file = llvm::cantFail(loaded.trainer.gradients("g"));
    EXPECT_EQ(file.tensors.size(), 2u);
    EXPECT_EQ(file.tensors[0].name, "layer.weight");
    EXPECT_EQ(file.tensors[0].shape, (std::vector<int64_t>{16, 4}));
    for (auto [i, values] : {std::pair(0, &weight), {1, &bias}})
      llvm::cantFail(
          file.values(i, {reinterpret_cast<uint8_t *>(values->data()), 256}));
    return llvm::Error::success();
  }));
  // At zero weights the error is -z: dw = -2 z x / 64, mean over four.
  Reference reference;
  for (int64_t i = 0; i != size; ++i) {
    double expected = 0, expectedBias = 0;
    for (int64_t n = 0; n != 4; ++n) {
      double a = reference.abar[NumberedBatches::timeOf(n)];
      double z = NumberedBatches::noiseOf(n, i);
      double x = std::sqrt(a) * (NumberedBatches::pixel(n, i) + n % 4 / 8.0) +
                 std::sqrt(1 - a) * z;
      expected += -2 * z * x / size / 4;
      expectedBias += -2 * z / size / 4;
    }
    EXPECT_NEAR(weight[i], expected, 1e-7);
    EXPECT_NEAR(bias[i], expectedBias, 1e-7);
  }
}

namespace {

/// A folder for checkpoints.
struct TrainerFolder : testing::Test {
  TrainerFolder() {
    llvm::cantFail(llvm::errorCodeToError(
        llvm::sys::fs::createUniqueDirectory("trainer", folder)));
  }
  ~TrainerFolder() override { llvm::sys::fs::remove_directories(folder); }

  llvm::SmallString<128> folder;
};

} // namespace

// Stopped after 7 steps and gone on with on another device: the same bits.
TEST_F(TrainerFolder, GoesOnBitForBit) {
  TrainerOptions options = optionsOf(4);
  Loaded straight(options);
  NumberedBatches source(false);
  std::vector<double> losses;
  for (int64_t step = 0; step != 15; ++step)
    losses.push_back(llvm::cantFail(straight.trainer.step(step, source)).mse);

  {
    Loaded first(options);
    NumberedBatches half(false);
    for (int64_t step = 0; step != 7; ++step)
      EXPECT_EQ(llvm::cantFail(first.trainer.step(step, half)).mse,
                losses[step]);
    RunFolder run = llvm::cantFail(RunFolder::open(folder));
    CheckpointWriter writer(run, 0);
    Manifest manifest;
    manifest.step = 7;
    llvm::cantFail(writer.start(
        manifest,
        TrainingState::files(llvm::cantFail(first.trainer.copyState()),
                             first.hand.metadata, first.trainer.parameters())));
    // What is being written is a copy: the steps that go on do not change it.
    llvm::cantFail(first.trainer.step(7, half));
    llvm::cantFail(writer.finish());
  }

  Loaded second(options);
  NumberedBatches rest(false, 7 * 4);
  std::string path = (folder + "/latest").str();
  llvm::cantFail(verifyCheckpoint(path));
  llvm::cantFail(second.trainer.restore(*llvm::cantFail(TrainingState::load(
      path, second.hand.metadata, second.trainer.parameters()))));
  for (int64_t step = 7; step != 15; ++step)
    EXPECT_EQ(llvm::cantFail(second.trainer.step(step, rest)).mse,
              losses[step]);
  for (const char *flat : {"masters", "ema", "moment1", "moment2"})
    EXPECT_EQ(second.values(flat), straight.values(flat)) << flat;
}

// What is in the files, by name and as PyTorch has it.
TEST_F(TrainerFolder, FilesAreAsPyTorchHasThem) {
  Loaded loaded(optionsOf(2));
  NumberedBatches source(false);
  for (int64_t step = 0; step != 3; ++step)
    llvm::cantFail(loaded.trainer.step(step, source));
  RunFolder run = llvm::cantFail(RunFolder::open(folder));
  llvm::cantFail(run.write(
      {},
      TrainingState::files(llvm::cantFail(loaded.trainer.copyState()),
                           loaded.hand.metadata, loaded.trainer.parameters())));
  auto floats = [&](llvm::StringRef file, llvm::StringRef name,
                    std::vector<int64_t> shape) {
    Safetensors tensors =
        llvm::cantFail(Safetensors::open((folder + "/latest/" + file).str()));
    const Safetensors::Tensor *tensor = tensors.find(name);
    EXPECT_TRUE(tensor);
    EXPECT_EQ(tensor->shape, shape);
    std::vector<float> values(tensor->bytes.size() / 4);
    std::memcpy(values.data(), tensor->bytes.data(), tensor->bytes.size());
    return values;
  };
  auto half = [&](const char *flat, int64_t begin) {
    std::vector<float> all = loaded.values(flat);
    return std::vector<float>(all.begin() + begin, all.begin() + begin + 64);
  };
  for (auto [file, suffix, flat] :
       {std::tuple("model.safetensors", "", "masters"),
        {"ema.safetensors", "", "ema"},
        {"optimizer.safetensors", ".moment1", "moment1"},
        {"optimizer.safetensors", ".moment2", "moment2"}}) {
    EXPECT_EQ(floats(file, std::string("layer.weight") + suffix, {16, 4}),
              half(flat, 0));
    EXPECT_EQ(floats(file, std::string("layer.bias") + suffix, {64}),
              half(flat, 64));
  }
  EXPECT_EQ(floats("model.safetensors", "table", {3}),
            (std::vector<float>{1, 2, 3}));
  Safetensors optimizer = llvm::cantFail(
      Safetensors::open((folder + "/latest/optimizer.safetensors").str()));
  EXPECT_EQ(optimizer.find("applied")->type, plan::ElementType::I64);
  EXPECT_EQ(optimizer.find("applied")->bytes[0], 3);
  EXPECT_EQ(optimizer.tensors().size(), 8u);
}

TEST_F(TrainerFolder, RefusesAnotherModelsCheckpoint) {
  Loaded loaded(optionsOf(2));
  RunFolder run = llvm::cantFail(RunFolder::open(folder));
  std::vector<TensorFile> files =
      TrainingState::files(llvm::cantFail(loaded.trainer.copyState()),
                           loaded.hand.metadata, loaded.trainer.parameters());
  files[0].tensors[0].shape = {4, 16};
  llvm::cantFail(run.write({}, files));
  auto state =
      TrainingState::load((folder + "/latest").str(), loaded.hand.metadata,
                          loaded.trainer.parameters());
  ASSERT_FALSE(static_cast<bool>(state));
  auto [code, text] = plan::describe(state.takeError());
  EXPECT_EQ(code, Exit::Contradiction);
  EXPECT_NE(text.find("'layer.weight' is f32[4, 16]"), std::string::npos);
}

// A parameter that is partly in no tensor could not be saved.
TEST(FlatParametersTest, RefusesWhatNoCheckpointHolds) {
  auto exitOf = [](const proto::Plan &plan) {
    auto flats = FlatParameters::find(plan);
    return flats ? Exit::Done : plan::describe(flats.takeError()).first;
  };
  test::HandPlan hand = test::makeTrainPlan();
  EXPECT_EQ(exitOf(hand.metadata), Exit::Done);
  for (proto::Global &global : *hand.metadata.mutable_globals())
    if (global.name() == "b")
      global.mutable_pieces(0)->set_name("layer.weight");
  EXPECT_EQ(exitOf(hand.metadata), Exit::Unsupported);
  hand = test::makeTrainPlan();
  for (proto::Global &global : *hand.metadata.mutable_globals())
    if (global.name() == "b") {
      global.mutable_pieces(0)->mutable_file()->set_shape(0, 32);
      global.mutable_pieces(0)->set_view(0, 32);
    }
  EXPECT_EQ(exitOf(hand.metadata), Exit::Unsupported);
}
