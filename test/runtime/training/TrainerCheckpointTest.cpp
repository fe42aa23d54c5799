//===- TrainerCheckpointTest.cpp - States and files of a small train plan -===//

#include "runtime/checkpoint/CheckpointWriter.h"
#include "runtime/plan/Failure.h"
#include "test/runtime/training/TrainerRun.h"

#include "llvm/Support/FileSystem.h"

#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using namespace dit::test;
using dit::plan::Exit;

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
