//===- PictureSamplerTest.cpp - Whole runs against a plain loop -----------===//

#include "runtime/diffusion/PictureSampler.h"

#include "runtime/devices/cpu/CpuDevice.h"
#include "runtime/diffusion/Philox.h"
#include "runtime/plan/Failure.h"
#include "test/runtime/HandPlan.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

namespace {

/// The sample plan made by hand, loaded.
struct Loaded {
  explicit Loaded(test::HandPlan plan = test::makeSamplePlan())
      : hand(std::move(plan)), view{hand.metadata, hand.code, hand.weights, ""},
        device(createCpuDevice(2)),
        executor(llvm::cantFail(Executor::create(view, *device))) {}

  test::HandPlan hand;
  plan::PlanView view;
  std::unique_ptr<Device> device;
  std::unique_ptr<Executor> executor;
};

/// All pictures of a request, batch after batch.
std::vector<double> sampleAll(Loaded &loaded, const SampleRequest &request) {
  PictureSampler sampler =
      llvm::cantFail(PictureSampler::create(*loaded.executor, request));
  std::vector<double> values;
  for (int64_t first = 0; first < sampler.pictures();
       first += sampler.batch()) {
    std::optional<Array> pictures =
        llvm::cantFail(sampler.sample(first, [](int64_t) { return true; }));
    for (double value : arrayValues(*pictures))
      values.push_back(value);
  }
  return values;
}

/// The same by the definitions, one element at a time, in double. `z` gives
/// the noise of (step word, picture, element).
std::vector<double>
byDefinition(const SampleRequest &request,
             llvm::function_ref<double(uint32_t, int64_t, int64_t)> z) {
  SamplerOptions options = request.sampler;
  options.learnedSigma = true;
  SamplerTable table = llvm::cantFail(makeSamplerTable(options));
  std::vector<double> values;
  for (size_t picture = 0; picture != request.labels.size(); ++picture)
    for (int64_t element = 0; element != 64; ++element) {
      double x = z(0, picture, element);
      for (size_t step = 0; step != table.timesteps.size(); ++step) {
        const SamplerTable::Row &row = table.coefficients[step];
        double label = request.labels[picture] / 8.0, none = 4 / 8.0;
        double eps = x / 2 + none + request.guidance * (label - none);
        double f = (x / (1 + std::fabs(x)) + 1) / 2;
        double logvar = f * row[5] + (1 - f) * row[4];
        x = row[0] * x + row[1] * eps +
            (row[2] + row[3] * std::exp(logvar / 2)) *
                z(step + 1, picture, element);
      }
      values.push_back(x);
    }
  return values;
}

void expectNear(llvm::ArrayRef<double> actual,
                llvm::ArrayRef<double> expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i != actual.size(); ++i)
    // fp32 against double over some ten steps.
    ASSERT_NEAR(actual[i], expected[i], 2e-4 * (1 + std::fabs(expected[i])))
        << i;
}

SampleRequest makeRequest(Sampler sampler, double eta, double guidance) {
  SampleRequest request;
  request.sampler = {sampler, 10, eta, false};
  request.guidance = guidance;
  request.seed = 0x123456789abcdef;
  request.labels = {0, 3, 1, 2, 2}; // the last batch is half used
  return request;
}

/// A device that works behind the host's back: commands are done when somebody
/// waits, and one of them fails.
class LaggingDevice : public Device {
public:
  std::string description() const override { return "a device that lags"; }
  llvm::Error load(const plan::PlanView &plan) override {
    metadata = &plan.metadata;
    return llvm::Error::success();
  }
  llvm::Expected<std::unique_ptr<Command>>
  prepare(const proto::Instruction &) override {
    return std::make_unique<Command>();
  }
  llvm::Expected<std::unique_ptr<Command>> record(llvm::ArrayRef<Command *>,
                                                  size_t) override {
    return std::make_unique<Command>();
  }
  llvm::Error enqueue(Command &) override {
    ++enqueued;
    return llvm::Error::success();
  }
  llvm::Error waitFor(uint64_t pending) override {
    waits.push_back(pending);
    if (failing && enqueued - std::min(pending, enqueued) >= failing)
      return plan::failure(Exit::Internal, "it broke");
    return llvm::Error::success();
  }
  llvm::Error copyIn(unsigned, uint64_t, llvm::ArrayRef<uint8_t>) override {
    return llvm::Error::success();
  }
  llvm::Error copyOut(unsigned, uint64_t,
                      llvm::MutableArrayRef<uint8_t>) override {
    return llvm::Error::success();
  }
  void hostParallel(int64_t count,
                    llvm::function_ref<void(int64_t, int64_t)> body) override {
    body(0, count);
  }

  const proto::Plan *metadata = nullptr;
  uint64_t enqueued = 0, failing = 0; // number of the command, from 1
  std::vector<uint64_t> waits;
};

/// Samples two pictures in 20 steps on a device whose command `failing` fails;
/// gives the error's text, "" where there is none.
std::string sampleLagging(LaggingDevice &device, uint64_t failing) {
  device.failing = failing;
  test::HandPlan hand = test::makeSamplePlan();
  plan::PlanView view{hand.metadata, hand.code, hand.weights, ""};
  std::unique_ptr<Executor> executor =
      llvm::cantFail(Executor::create(view, device));
  SampleRequest request = makeRequest(Sampler::Ddim, 0, 4);
  request.sampler.steps = 20;
  PictureSampler sampler =
      llvm::cantFail(PictureSampler::create(*executor, request));
  auto pictures = sampler.sample(0, [](int64_t) { return true; });
  return pictures ? "" : plan::describe(pictures.takeError()).second;
}

} // namespace

TEST(PictureSamplerTest, TheHostWaitsForTheLastStepAlone) {
  LaggingDevice device;
  EXPECT_EQ(sampleLagging(device, 0), "");
  ASSERT_EQ(device.waits.size(), 21u);
  EXPECT_EQ(device.waits.back(), 0u);
  device.waits.pop_back();
  for (uint64_t pending : device.waits)
    EXPECT_EQ(pending, Executor::mostUnderWay);
}

TEST(PictureSamplerTest, ErrorsNameTheStepsUnderWay) {
  // Step 0 is two commands, those after it are recorded.
  for (int step : {1, 7, 15}) {
    LaggingDevice device;
    int last = step + static_cast<int>(Executor::mostUnderWay);
    EXPECT_EQ(sampleLagging(device, 2 + step),
              "one of the steps " + std::to_string(step) + " to " +
                  std::to_string(last) + " of 20: it broke");
  }
  LaggingDevice device;
  EXPECT_EQ(sampleLagging(device, 2 + 19),
            "one of the steps 16 to 19 of 20: it broke");
}

TEST(PictureSamplerTest, ThePrologueRunsBeforeEveryKthStep) {
  // It keeps the step that it ran before.
  test::HandPlan hand = test::makeSamplePlan();
  proto::Plan &metadata = hand.metadata;
  int counter = 0;
  while (metadata.globals(counter).name() != "step")
    ++counter;
  proto::Global &seen = *metadata.add_globals();
  seen = metadata.globals(counter);
  seen.set_name("seen");
  seen.set_offset(metadata.globals_bytes());
  metadata.set_globals_bytes(metadata.globals_bytes() + 64);
  proto::Function &prologue = *metadata.add_functions();
  prologue.set_name("prologue");
  prologue.set_step("prologue");
  prologue.set_flops(7);
  proto::Copy &copy = *prologue.add_instructions()->mutable_copy();
  for (auto [place, global] :
       {std::pair{copy.mutable_from(), counter},
        std::pair{copy.mutable_to(), metadata.globals_size() - 1}}) {
    place->set_space(proto::Place::GLOBAL);
    place->set_global(global);
    place->set_bytes(8);
  }
  // Ten steps: 0, 4, 8; 0, 9; 0 alone; and once an execution without a K.
  for (auto [every, last, runs] :
       {std::tuple(4, 8, 3), std::tuple(9, 9, 2), std::tuple(10, 0, 1),
        std::tuple(64, 0, 1), std::tuple(0, 0, 1)}) {
    metadata.mutable_sampling()->set_hoist_steps(every);
    Loaded loaded(hand);
    SampleRequest request = makeRequest(Sampler::Ddim, 0, 4);
    sampleAll(loaded, request);
    std::vector<uint8_t> bytes = llvm::cantFail(
        loaded.executor->read(*loaded.executor->findGlobal("seen")));
    EXPECT_EQ(bytes[0], last) << every;
    PictureSampler sampler =
        llvm::cantFail(PictureSampler::create(*loaded.executor, request));
    EXPECT_EQ(sampler.flops(), 10u * 2 * 64 * 10 + 7 * runs);
  }
}

TEST(PictureSamplerTest, DrawnNoiseIsPhilox) {
  Loaded loaded;
  for (const SampleRequest &request :
       {makeRequest(Sampler::Ddim, 0, 4), makeRequest(Sampler::Ddim, 1, 1),
        makeRequest(Sampler::Ddpm, 0, 1.5)}) {
    auto drawn = [&](uint32_t step, int64_t picture, int64_t element) {
      return normal(request.seed, element, picture, step,
                    step ? StepNoise : InitialNoise);
    };
    expectNear(sampleAll(loaded, request), byDefinition(request, drawn));
  }
}

TEST(PictureSamplerTest, GivenNoiseIsUsedInItsPlace) {
  Loaded loaded;
  SampleRequest request = makeRequest(Sampler::Ddpm, 0, 2);
  auto given = [](uint32_t step, int64_t picture, int64_t element) {
    return static_cast<float>(
        std::sin(1.0 * step + 10.0 * picture + 0.3 * element));
  };
  std::vector<float> start, noise;
  for (int step = 0; step <= 10; ++step)
    for (int picture = 0; picture != 5; ++picture)
      for (int element = 0; element != 64; ++element)
        (step ? noise : start).push_back(given(step, picture, element));
  request.initialNoise = makeArray({5, 1, 8, 8}, start);
  request.stepNoise = makeArray({10, 5, 1, 8, 8}, noise);
  expectNear(sampleAll(loaded, request), byDefinition(request, given));
  // And not kept for the next run.
  SampleRequest drawn = makeRequest(Sampler::Ddpm, 0, 2);
  EXPECT_NE(sampleAll(loaded, drawn), sampleAll(loaded, request));
}

TEST(PictureSamplerTest, TablesHoldWhatTheModelIsTold) {
  Loaded loaded;
  SampleRequest request = makeRequest(Sampler::Ddim, 0, 4);
  llvm::cantFail(PictureSampler::create(*loaded.executor, request));
  std::vector<uint8_t> bytes = llvm::cantFail(
      loaded.executor->read(*loaded.executor->findGlobal("timesteps")));
  const int64_t *timesteps = reinterpret_cast<const int64_t *>(bytes.data());
  for (int i = 0; i != 10; ++i)
    EXPECT_EQ(timesteps[i], 900 - 100 * i);
  EXPECT_EQ(timesteps[10], 0);
}

TEST(PictureSamplerTest, ItStopsWhenToldTo) {
  Loaded loaded;
  PictureSampler sampler = llvm::cantFail(PictureSampler::create(
      *loaded.executor, makeRequest(Sampler::Ddim, 0, 4)));
  int64_t seen = 0;
  std::optional<Array> pictures =
      llvm::cantFail(sampler.sample(0, [&](int64_t step) {
        seen = step;
        return step < 3;
      }));
  EXPECT_FALSE(pictures.has_value());
  EXPECT_EQ(seen, 3);
}

TEST(PictureSamplerTest, RequestsThatDoNotFitThePlan) {
  auto codeOf = [](test::HandPlan hand, SampleRequest request) {
    Loaded loaded(std::move(hand));
    return plan::describe(
               PictureSampler::create(*loaded.executor, request).takeError())
        .first;
  };
  SampleRequest good = makeRequest(Sampler::Ddim, 0, 4);
  test::HandPlan flow = test::makeSamplePlan();
  flow.metadata.mutable_sampling()->set_schedule("flow");
  EXPECT_EQ(codeOf(flow, good), Exit::Unsupported);
  test::HandPlan single = test::makeSamplePlan();
  single.metadata.mutable_functions(0)->set_step("");
  EXPECT_EQ(codeOf(single, good), Exit::Contradiction);
  SampleRequest label = good;
  label.labels = {4};
  EXPECT_EQ(codeOf(test::makeSamplePlan(), label), Exit::Contradiction);
  SampleRequest longer = good;
  longer.sampler.steps = 125;
  EXPECT_EQ(codeOf(test::makeSamplePlan(), longer), Exit::Contradiction);
}
