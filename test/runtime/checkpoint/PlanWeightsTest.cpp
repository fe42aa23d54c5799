//===- PlanWeightsTest.cpp - A plan with the weights of a file ------------===//

#include "runtime/checkpoint/PlanWeights.h"

#include "runtime/checkpoint/RunFolder.h"
#include "runtime/devices/cpu/CpuDevice.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/OutputFile.h"
#include "runtime/plan/Placement.h"
#include "test/runtime/HandPlan.h"

#include "llvm/Support/FileSystem.h"

#include <cstring>
#include <gtest/gtest.h>
#include <numeric>

using namespace dit;
using namespace dit::runtime;
using dit::plan::ElementType;
using dit::plan::Exit;

/// A piece by its parts.
static proto::Piece piece(std::vector<int64_t> file, std::vector<int64_t> view,
                          std::vector<int64_t> permutation,
                          std::vector<int64_t> target,
                          std::vector<int64_t> offset) {
  proto::Piece result;
  result.set_name("w");
  result.mutable_file()->set_type(proto::F16);
  result.mutable_file()->mutable_shape()->Add(file.begin(), file.end());
  result.mutable_view()->Add(view.begin(), view.end());
  result.mutable_permutation()->Add(permutation.begin(), permutation.end());
  result.mutable_target_view()->Add(target.begin(), target.end());
  result.mutable_target_offset()->Add(offset.begin(), offset.end());
  return result;
}

static std::vector<int64_t> shapeOf(const proto::Piece &piece) {
  return {piece.file().shape().begin(), piece.file().shape().end()};
}

// ONNX has a Linear's weight as [in 3, out 8]; the global is [4 heads, 2 of q
// and k, 2, 3]; PyTorch has [8, 3], and row o of it is head o / 2, lane o % 2.
TEST(PlanWeightsTest, TurnsLinearsOfOnnx) {
  proto::Piece onnx =
      piece({3, 8}, {1, 3, 4, 2}, {2, 0, 3, 1}, {4, 2, 2, 3}, {0, 1, 0, 0});
  proto::Piece torch = torchPiece(onnx);
  EXPECT_EQ(shapeOf(torch), (std::vector<int64_t>{8, 3}));
  EXPECT_EQ(torch.file().type(), proto::F32);
  proto::Global global;
  global.mutable_type()->set_type(proto::F32);
  global.mutable_type()->add_shape(16);
  global.mutable_type()->add_shape(3);
  std::vector<float> values(24), placed(48, -1);
  std::iota(values.begin(), values.end(), 0);
  llvm::cantFail(plan::placePiece(
      torch, global,
      {reinterpret_cast<uint8_t *>(values.data()), values.size() * 4},
      {reinterpret_cast<uint8_t *>(placed.data()), placed.size() * 4}));
  for (int head = 0; head != 4; ++head)
    for (int part = 0; part != 2; ++part)
      for (int lane = 0; lane != 2; ++lane)
        for (int in = 0; in != 3; ++in)
          EXPECT_EQ(placed[((head * 2 + part) * 2 + lane) * 3 + in],
                    part == 1 ? (head * 2 + lane) * 3 + in : -1);
}

// What PyTorch has already, and what is no matrix, stays as it is.
TEST(PlanWeightsTest, LeavesOtherPieces) {
  for (const proto::Piece &same :
       {piece({8, 3}, {8, 3}, {0, 1}, {8, 3}, {0, 0}),
        piece({8, 3}, {4, 2, 3}, {0, 1, 2}, {4, 2, 3}, {0, 0, 0}),
        piece({8}, {4, 2}, {1, 0}, {2, 4}, {0, 0}),
        piece({2, 1, 2, 2}, {2, 1, 2, 2}, {0, 2, 3, 1}, {2, 2, 2, 1},
              {0, 0, 0, 0})}) {
    proto::Piece torch = torchPiece(same);
    EXPECT_EQ(shapeOf(torch), shapeOf(same));
    EXPECT_TRUE(std::equal(torch.permutation().begin(),
                           torch.permutation().end(),
                           same.permutation().begin()));
  }
  EXPECT_EQ(shapeOf(torchPiece(piece({3, 8}, {3, 8}, {1, 0}, {8, 3}, {0, 0}))),
            (std::vector<int64_t>{8, 3}));
}

namespace {

/// The forward plan, whose weights w[8, 16] and b[8] come from a file.
struct PlanWeightsFile : testing::Test {
  PlanWeightsFile() : hand(test::makeForwardPlan()) {
    llvm::cantFail(llvm::errorCodeToError(
        llvm::sys::fs::createUniqueDirectory("plan-weights", folder)));
  }
  ~PlanWeightsFile() override { llvm::sys::fs::remove_directories(folder); }

  plan::PlanView view() { return {hand.metadata, hand.code, hand.weights, ""}; }
  /// A file of tensors whose values are all `value`.
  std::string write(llvm::StringRef name, std::vector<TensorEntry> entries,
                    float value) {
    std::string path = (folder + "/" + name).str();
    std::vector<uint8_t> bytes = encodeSafetensorsHeader(entries);
    for (uint64_t at = 0; at != entries.back().end; at += 4)
      bytes.insert(bytes.end(), reinterpret_cast<uint8_t *>(&value),
                   reinterpret_cast<uint8_t *>(&value) + 4);
    llvm::cantFail(plan::writeFile(path, bytes));
    return path;
  }
  /// y[0, 0] of the forward plan with these weights, for x = 0.
  float run(llvm::StringRef path) {
    PlanWeights weights = llvm::cantFail(PlanWeights::open(path, view()));
    plan::PlanView changed = view();
    changed.weights = weights.section();
    std::unique_ptr<Device> device = createCpuDevice(1);
    auto executor = llvm::cantFail(Executor::create(changed, *device));
    llvm::cantFail(weights.write(*executor));
    llvm::cantFail(executor->run(*executor->findStep("forward")));
    std::vector<uint8_t> y =
        llvm::cantFail(executor->read(*executor->findGlobal("y")));
    float first;
    std::memcpy(&first, y.data(), 4);
    return first;
  }
  std::pair<Exit, std::string> failureOf(llvm::StringRef path) {
    auto weights = PlanWeights::open(path, view());
    return weights ? std::pair(Exit::Done, std::string())
                   : plan::describe(weights.takeError());
  }

  std::vector<TensorEntry> both = {{"b", ElementType::F32, {8}},
                                   {"w", ElementType::F32, {8, 16}}};
  test::HandPlan hand;
  llvm::SmallString<128> folder;
};

} // namespace

// x = 0 gives 2 x + 1 = 1 in 16 places, so y = 16 w + b.
TEST_F(PlanWeightsFile, ReplacesTheSection) {
  EXPECT_EQ(run(write("a.safetensors", both, 0.5f)), 8.5f);
  // The same where they are not in the section.
  for (proto::Global &global : *hand.metadata.mutable_globals())
    if (global.mapped()) {
      global.set_mapped(false);
      global.set_offset(hand.metadata.globals_bytes());
      hand.metadata.set_globals_bytes(hand.metadata.globals_bytes() +
                                      (global.bytes() + 63) / 64 * 64);
    }
  hand.weights.clear();
  EXPECT_EQ(run(write("b.safetensors", both, 0.25f)), 4.25f);
}

TEST_F(PlanWeightsFile, ConvertsTypes) {
  for (TensorEntry &entry : both)
    entry.type = ElementType::F64;
  union {
    double value;
    float halves[2];
  } half = {0.5};
  std::string path = (folder + "/d.safetensors").str();
  std::vector<uint8_t> bytes = encodeSafetensorsHeader(both);
  for (int i = 0; i != 8 + 128; ++i)
    bytes.insert(bytes.end(), reinterpret_cast<uint8_t *>(&half),
                 reinterpret_cast<uint8_t *>(&half) + 8);
  llvm::cantFail(plan::writeFile(path, bytes));
  EXPECT_EQ(run(path), 8.5f);
}

TEST_F(PlanWeightsFile, ListsAllThatDoesNotFit) {
  auto [code, text] = failureOf(write(
      "a.safetensors",
      {{"w", ElementType::F32, {16, 8}}, {"extra", ElementType::F32, {1}}}, 1));
  EXPECT_EQ(code, Exit::Contradiction);
  for (const char *says :
       {"without a tensor: 'b'", "without a parameter: 'extra'",
        "'w' is f32[16, 8], the model's is f32[8, 16]"})
    EXPECT_NE(text.find(says), std::string::npos) << text;
}

TEST_F(PlanWeightsFile, DropsCopiesAndPositionTables) {
  both.push_back({"copy_of_b", ElementType::F32, {8}});
  both.push_back({"pos_embed", ElementType::F32, {3}});
  EXPECT_EQ(failureOf(write("a.safetensors", both, 1)).second, "");
  both.push_back({"other", ElementType::F32, {9}});
  EXPECT_EQ(failureOf(write("a.safetensors", both, 1)).first,
            Exit::Contradiction);
}

TEST_F(PlanWeightsFile, FindsTheFileOfAFolder) {
  std::string run = (folder + "/run").str();
  auto values = [](float value) {
    return [value](size_t, llvm::MutableArrayRef<uint8_t> bytes) {
      for (size_t at = 0; at != bytes.size(); at += 4)
        std::memcpy(bytes.data() + at, &value, 4);
      return llvm::Error::success();
    };
  };
  {
    RunFolder checkpoints = llvm::cantFail(RunFolder::open(run));
    Manifest manifest;
    manifest.step = 1;
    llvm::cantFail(
        checkpoints.write(manifest, {{"model.safetensors", both, values(1)},
                                     {"ema.safetensors", both, values(0.5f)}}));
    manifest.step = 2;
    llvm::cantFail(
        checkpoints.write(manifest, {{"model.safetensors", both, values(2)}}));
  }
  EXPECT_EQ(this->run(run), 34);
  EXPECT_EQ(this->run(run + "/latest"), 34);
  EXPECT_EQ(this->run(run + "/step-0000000001/"), 8.5f);
  EXPECT_EQ(this->run(run + "/step-0000000001/model.safetensors"), 17);
  EXPECT_EQ(failureOf(folder).first, Exit::Missing);
  // Nobody has touched a checkpoint's weights.
  both[0].name = "c";
  write("run/step-0000000001/ema.safetensors", both, 0.5f);
  EXPECT_EQ(failureOf(run + "/step-0000000001").first, Exit::Malformed);
  write("only.safetensors", both, 1);
  EXPECT_EQ(failureOf(folder).first, Exit::Contradiction); // 'c', not 'b'
  write("another.safetensors", both, 1);
  EXPECT_EQ(failureOf(folder).first, Exit::Missing);
}
