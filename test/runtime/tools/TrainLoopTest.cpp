//===- TrainLoopTest.cpp - The order of steps, looks and stops ------------===//
//
// The same runs on the CPU and on a device that does everything late, to which
// the loop is a step ahead: what is written and said must be the same.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/ditrun/TrainLoop.h"

#include "runtime/plan/Writer.h"
#include "test/runtime/HandPlan.h"
#include "test/runtime/devices/LateDevice.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <gtest/gtest.h>
#include <limits>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

static constexpr int64_t batch = 2, size = 64;

namespace {

/// Notes what is done, in order.
using Order = std::vector<std::string>;

/// Pictures by their number; one may be broken, or missing.
class NotedBatches : public BatchSource {
public:
  explicit NotedBatches(Order &order) : order(order) {}

  llvm::Error seek(int64_t sample) override {
    at = sample;
    return llvm::Error::success();
  }
  llvm::Expected<Batch> next() override {
    order.push_back("batch " + std::to_string(at / batch));
    if (at == missing)
      return plan::failure(Exit::Malformed, "there is no more");
    if (at == signalled)
      std::raise(SIGTERM);
    pictures.assign(batch * size, 0);
    samples.clear();
    for (int64_t n = 0; n != batch; ++n, ++at) {
      samples.push_back(at);
      for (int64_t i = 0; i != size; ++i)
        pictures[n * size + i] = at == broken
                                     ? std::numeric_limits<float>::quiet_NaN()
                                     : std::sin(0.37f * at + 0.11f * i);
    }
    return Batch{pictures, labels, samples, {}, {}};
  }
  std::string describe(int64_t sample) const override {
    return "sample " + std::to_string(sample);
  }

  int64_t broken = -1, missing = -1, signalled = -1;

private:
  Order &order;
  int64_t at = 0;
  std::vector<float> pictures;
  std::vector<int64_t> labels = {1, 3}, samples;
};

/// What a run left.
struct Outcome {
  Order order;
  Exit code = Exit::Done;
  std::string text;               // of the error
  std::vector<std::string> lines; // "STEP LOSS NORM", NaN as null
  std::string weights, optimizer; // bytes of the newest checkpoint's files
  int64_t saved = 0;              // its step
};

struct TrainLoopTest : testing::Test {
  TrainLoopTest() {
    llvm::cantFail(llvm::errorCodeToError(
        llvm::sys::fs::createUniqueDirectory("train-loop", folder)));
    test::HandPlan hand = test::makeTrainPlan();
    llvm::cantFail(plan::writePlan((folder + "/plan").str(), hand.metadata,
                                   hand.code, hand.weights));
    options.training.logEvery = 1;
    options.training.saveEvery = 3;
    options.training.keep = 1;
  }
  ~TrainLoopTest() override { llvm::sys::fs::remove_directories(folder); }

  Outcome run(bool late, int64_t steps);
  void expectSame(int64_t steps);

  llvm::SmallString<128> folder;
  Options options;
  int64_t watchEvery = 1000;
  int64_t broken = -1, missing = -1, signalled = -1;
};

} // namespace

static std::string bytesOf(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, false, false);
  return buffer ? (*buffer)->getBuffer().str() : "";
}

/// What a logged step and another run's have in common.
static std::vector<std::string> linesOf(const std::string &path) {
  std::vector<std::string> lines;
  std::string text = bytesOf(path);
  llvm::SmallVector<llvm::StringRef> parts;
  llvm::StringRef(text).split(parts, '\n', -1, false);
  for (llvm::StringRef part : parts) {
    llvm::json::Value value = llvm::cantFail(llvm::json::parse(part));
    std::string line;
    llvm::raw_string_ostream os(line);
    for (const char *name : {"step", "loss", "grad_norm", "lr", "skipped"})
      if (const llvm::json::Value *field = value.getAsObject()->get(name))
        os << *field << " ";
    lines.push_back(line);
  }
  return lines;
}

Outcome TrainLoopTest::run(bool late, int64_t steps) {
  Outcome outcome;
  NotedBatches source(outcome.order);
  source.broken = broken;
  source.missing = missing;
  source.signalled = signalled;
  std::string path = (folder + (late ? "/late" : "/plain")).str();
  llvm::sys::fs::remove_directories(path);
  {
    LoadedPlan loaded{
        llvm::cantFail(plan::PlanFile::open((folder + "/plan").str())),
        {},
        nullptr,
        nullptr};
    if (late) {
      auto device = std::make_unique<test::LateDevice>();
      // Of each step the losses are read, then the norm.
      device->onAwait = [&outcome, read = 0]() mutable {
        if (read++ % 2)
          outcome.order.push_back("read " + std::to_string(read / 2 - 1));
      };
      loaded.device = std::move(device);
    } else {
      loaded.device = createCpuDevice(1);
    }
    loaded.executor =
        llvm::cantFail(Executor::create(loaded.file.view(), *loaded.device));
    TrainerOptions with;
    with.globalBatch = batch;
    with.rate.peak = 0.01;
    Trainer trainer = llvm::cantFail(Trainer::create(*loaded.executor, with));
    llvm::cantFail(trainer.initialise());
    RunFolder run = llvm::cantFail(RunFolder::open(path));
    Terminal terminal(true, false);
    TrainLoop loop(options, loaded, trainer, source, run, terminal, {},
                   with.rate);
    loop.addWatcher(watchEvery, [&](int64_t step, MetricsFile &, EventFile &) {
      EXPECT_EQ(trainer.underWay(), 0);
      outcome.order.push_back("look " + std::to_string(step));
      return llvm::Error::success();
    });
    llvm::Expected<Exit> code = loop.train({}, steps, batch);
    // A process that is forked would say it again.
    llvm::outs().flush();
    if (code)
      outcome.code = *code;
    else
      std::tie(outcome.code, outcome.text) = plan::describe(code.takeError());
  }
  outcome.lines = linesOf(path + "/metrics.jsonl");
  std::vector<CheckpointEntry> entries = checkpointsIn(path);
  if (!entries.empty()) {
    outcome.saved = entries.front().step;
    outcome.weights = bytesOf(entries.front().path + "/model.safetensors");
    outcome.optimizer =
        bytesOf(entries.front().path + "/optimizer.safetensors");
  }
  // The folders differ by name.
  for (size_t at; (at = outcome.text.find(path)) != std::string::npos;)
    outcome.text.replace(at, path.size(), "RUN");
  return outcome;
}

void TrainLoopTest::expectSame(int64_t steps) {
  Outcome late = run(true, steps), plain = run(false, steps);
  EXPECT_EQ(late.code, plain.code);
  EXPECT_EQ(late.text, plain.text);
  EXPECT_EQ(late.lines, plain.lines);
  EXPECT_EQ(late.saved, plain.saved);
  EXPECT_EQ(late.weights, plain.weights);
  EXPECT_EQ(late.optimizer, plain.optimizer);
}

TEST_F(TrainLoopTest, ReadsAStepWhileTheNextIsUnderWay) {
  watchEvery = 5;
  Outcome late = run(true, 8);
  // Steps 3 and 6 are saved, 5 and 8 are looked at.
  EXPECT_EQ(late.order,
            (Order{"batch 0", "batch 1", "read 0", "batch 2", "read 1",
                   "read 2",                                 // saved
                   "batch 3", "batch 4", "read 3", "read 4", //
                   "look 5", "batch 5", "read 5",            // saved
                   "batch 6", "batch 7", "read 6", "read 7", "look 8"}));
  EXPECT_EQ(late.lines.size(), 8u);
  EXPECT_EQ(late.saved, 8);
  expectSame(8);
}

TEST_F(TrainLoopTest, StopsAtTheStepThatIsNotFinite) {
  broken = 9; // the second sample of step 5
  Outcome late = run(true, 8);
  EXPECT_EQ(late.code, Exit::Diverged);
  EXPECT_EQ(late.text,
            "step 5: the loss is nan, the gradient's norm nan; not finite for "
            "sample 9; --on-nan skip leaves such steps out; the last whole "
            "checkpoint is 'RUN/step-0000000003'");
  // The next one was under way, and is not heard of.
  EXPECT_EQ(late.order.back(), "read 4");
  EXPECT_EQ(late.order.end()[-2], "batch 5");
  ASSERT_EQ(late.lines.size(), 5u);
  EXPECT_EQ(late.lines.back().substr(0, 7), "5 null ");
  expectSame(8);
}

TEST_F(TrainLoopTest, LeavesOutTheStepThatIsNotFinite) {
  broken = 9;
  options.training.onNan = "skip";
  Outcome late = run(true, 8);
  EXPECT_EQ(late.code, Exit::Done);
  ASSERT_EQ(late.lines.size(), 8u);
  EXPECT_EQ(late.lines[4].substr(0, 7), "5 null ");
  EXPECT_EQ(late.lines[5].find("null"), std::string::npos);
  expectSame(8);
}

TEST_F(TrainLoopTest, GoesBackFromTheStepThatIsNotFinite) {
  broken = 9;
  options.training.onNan = "rewind";
  Outcome late = run(true, 8);
  EXPECT_EQ(late.code, Exit::Done);
  // Back to step 3, and on with the samples after those of step 5.
  auto bad = std::ranges::find(late.order, "read 4");
  ASSERT_NE(bad, late.order.end());
  EXPECT_EQ(bad[-1], "batch 5");
  EXPECT_EQ(bad[1], "batch 5");
  EXPECT_EQ(bad[2], "batch 6");
  EXPECT_EQ(late.lines.size(), 8u);
  expectSame(8);
}

TEST_F(TrainLoopTest, AStepCountsBeforeTheNextOnesBatchFails) {
  missing = 8; // the first sample of step 5
  Outcome late = run(true, 8);
  EXPECT_EQ(late.code, Exit::Malformed);
  EXPECT_EQ(late.text, "there is no more; the last whole checkpoint is "
                       "'RUN/step-0000000003'");
  EXPECT_EQ(late.lines.size(), 4u);
  expectSame(8);
  // Of two things that are wrong the earlier one ends the run.
  broken = 7;
  EXPECT_EQ(run(true, 8).code, Exit::Diverged);
  expectSame(8);
}

// In a process of its own: a signal stays caught.
TEST_F(TrainLoopTest, ASignalEndsTheRunAfterTheStepsUnderWay) {
  signalled = 8; // while step 5 is started and step 4 under way
  for (bool late : {true, false})
    EXPECT_EXIT(std::exit(static_cast<int>(run(late, 8).code)),
                testing::ExitedWithCode(75), "");
  std::string path = (folder + "/late").str(),
              other = (folder + "/plain").str();
  std::vector<CheckpointEntry> entries = checkpointsIn(path);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries.front().step, 5);
  EXPECT_EQ(linesOf(path + "/metrics.jsonl").size(), 5u);
  EXPECT_EQ(linesOf(path + "/metrics.jsonl"),
            linesOf(other + "/metrics.jsonl"));
  for (const char *file :
       {"/latest/model.safetensors", "/latest/optimizer.safetensors"})
    EXPECT_EQ(bytesOf(path + file), bytesOf(other + file)) << file;
}
