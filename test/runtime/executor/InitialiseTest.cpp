//===- InitialiseTest.cpp - Drawn parameters have their distribution ------===//

#include "runtime/executor/Initialise.h"

#include "runtime/devices/cpu/CpuDevice.h"
#include "runtime/diffusion/Philox.h"
#include "runtime/plan/Failure.h"
#include "test/runtime/HandPlan.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

static proto::Init makeInit(proto::Init::Kind kind, double value = 0) {
  proto::Init init;
  init.set_kind(kind);
  init.set_value(value);
  init.set_seed(1234567890123);
  init.set_stream(42);
  return init;
}

static std::vector<float> draw(llvm::ArrayRef<int64_t> shape,
                               const proto::Init &init) {
  proto::Global global = test::makeDrawnGlobal(shape, init);
  std::vector<float> values;
  llvm::cantFail(drawPiece(global.pieces(0), values));
  return values;
}

TEST(InitialiseTest, Constants) {
  EXPECT_EQ(draw({3}, makeInit(proto::Init::ZEROS, 5)),
            (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(draw({2}, makeInit(proto::Init::CONSTANT, 0.5)),
            (std::vector<float>{0.5, 0.5}));
}

TEST(InitialiseTest, NormalIsPhiloxAndHasItsMoments) {
  std::vector<float> values =
      draw({300, 1001}, makeInit(proto::Init::NORMAL, 0.02));
  for (uint32_t i : {0u, 1u, 2u, 3u, 77777u, 300299u})
    EXPECT_EQ(values[i],
              0.02f * normal(1234567890123, i, 42, 0, ParameterInit));
  double sum = 0, squares = 0;
  for (float value : values) {
    sum += value;
    squares += double(value) * value;
  }
  double count = values.size();
  // Five standard errors of the mean and of the variance.
  EXPECT_NEAR(sum / count, 0, 5 * 0.02 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 4e-4, 5 * 4e-4 * std::sqrt(2 / count));
}

TEST(InitialiseTest, XavierFillsItsIntervalEvenly) {
  proto::Init init = makeInit(proto::Init::XAVIER_UNIFORM);
  init.set_fan_in(300);
  init.set_fan_out(100);
  std::vector<float> values = draw({100, 300}, init);
  double bound = std::sqrt(6.0 / 400), sum = 0, squares = 0, largest = 0;
  for (float value : values) {
    sum += value;
    squares += double(value) * value;
    largest = std::max<double>(largest, std::fabs(value));
  }
  double count = values.size();
  EXPECT_LE(largest, bound * 1.000001);
  EXPECT_GT(largest, 0.999 * bound);
  EXPECT_NEAR(sum / count, 0, 5 * bound / std::sqrt(3 * count));
  EXPECT_NEAR(squares / count, bound * bound / 3, 0.02 * bound * bound / 3);
}

TEST(InitialiseTest, SinCosTableIsDiTs) {
  // grid 3, D 8: omega = 1, 10000^(-1/2).
  std::vector<float> table = draw({1, 9, 8}, makeInit(proto::Init::SINCOS_2D));
  for (int h = 0; h != 3; ++h)
    for (int w = 0; w != 3; ++w) {
      const float *row = &table[(3 * h + w) * 8];
      double expected[] = {
          std::sin(w), std::sin(w * 0.01), std::cos(w), std::cos(w * 0.01),
          std::sin(h), std::sin(h * 0.01), std::cos(h), std::cos(h * 0.01)};
      for (int d = 0; d != 8; ++d)
        EXPECT_NEAR(row[d], expected[d], 1e-7);
    }
  proto::Global global =
      test::makeDrawnGlobal({1, 8, 8}, makeInit(proto::Init::SINCOS_2D));
  EXPECT_EQ(plan::describe(drawPiece(global.pieces(0), table)).first,
            Exit::Malformed);
}

TEST(InitialiseTest, GlobalsAreDrawnPackedAndWithoutRegardToThreads) {
  test::HandPlan hand = test::makeForwardPlan();
  proto::Global drawn =
      test::makeDrawnGlobal({40, 5000}, makeInit(proto::Init::NORMAL, 1));
  drawn.mutable_packed()->set_columns(32);
  drawn.mutable_packed()->set_vnni(1);
  drawn.set_name("drawn");
  drawn.set_bytes(2 * 32 * 5000 * 4);
  drawn.set_offset(hand.metadata.globals_bytes());
  hand.metadata.set_globals_bytes(drawn.offset() + drawn.bytes());
  *hand.metadata.add_globals() = drawn;
  std::vector<uint8_t> first;
  for (unsigned threads : {1u, 3u}) {
    plan::PlanView view{hand.metadata, hand.code, hand.weights, ""};
    std::unique_ptr<Device> device = createCpuDevice(threads);
    auto executor = llvm::cantFail(Executor::create(view, *device));
    ASSERT_FALSE(initialiseParameters(*executor));
    std::vector<uint8_t> stored(drawn.bytes());
    ASSERT_FALSE(device->copyOut(6, 0, stored));
    // Panel 1, k 4999, column 7 is element (39, 4999).
    float value;
    std::memcpy(&value, &stored[((1 * 5000 + 4999) * 32 + 7) * 4], 4);
    EXPECT_EQ(value,
              normal(1234567890123, 39 * 5000 + 4999, 42, 0, ParameterInit));
    if (first.empty())
      first = stored;
    EXPECT_EQ(stored, first);
  }
}

TEST(InitialiseTest, FirstValuesAreCopied) {
  test::HandPlan hand = test::makeTrainPlan();
  // 64 numbers at 64 of the weights section, for the member that follows w.
  uint64_t begin = 64;
  hand.weights.resize(begin + 256);
  std::vector<float> values(64);
  for (size_t i = 0; i != values.size(); ++i)
    values[i] = 0.5f + i;
  std::memcpy(hand.weights.data() + begin, values.data(), 256);
  for (proto::Global &global : *hand.metadata.mutable_globals())
    if (global.name() == "b") {
      global.set_initial(begin);
      global.mutable_pieces(0)->clear_init();
    }
  plan::PlanView view{hand.metadata, hand.code, hand.weights, ""};
  std::unique_ptr<Device> device = createCpuDevice(1);
  std::unique_ptr<Executor> executor =
      llvm::cantFail(Executor::create(view, *device));
  llvm::cantFail(initialiseParameters(*executor));
  std::vector<uint8_t> flat =
      llvm::cantFail(executor->read(*executor->findGlobal("masters")));
  std::vector<float> masters(128);
  std::memcpy(masters.data(), flat.data(), flat.size());
  EXPECT_EQ(masters[63], 0);
  for (size_t i = 0; i != values.size(); ++i)
    EXPECT_EQ(masters[64 + i], values[i]) << i;
}

TEST(InitialiseTest, ParametersWithoutValuesAreListed) {
  test::HandPlan hand = test::makeForwardPlan();
  for (const char *name : {"lost", "gone"}) {
    proto::Global global = test::makeDrawnGlobal({16}, {});
    global.set_name(name);
    global.mutable_pieces(0)->clear_init();
    global.set_offset(hand.metadata.globals_bytes());
    hand.metadata.set_globals_bytes(global.offset() + 64);
    *hand.metadata.add_globals() = global;
  }
  plan::PlanView view{hand.metadata, hand.code, hand.weights, ""};
  std::unique_ptr<Device> device = createCpuDevice(1);
  auto executor = llvm::cantFail(Executor::create(view, *device));
  auto [code, text] = plan::describe(initialiseParameters(*executor));
  EXPECT_EQ(code, Exit::Missing);
  EXPECT_NE(text.find("no values for lost, gone"), std::string::npos) << text;
}
