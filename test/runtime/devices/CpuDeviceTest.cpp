//===- CpuDeviceTest.cpp - What a machine refuses -------------------------===//

#include "runtime/devices/cpu/CpuDevice.h"
#include "runtime/devices/cpu/CpuFeatures.h"
#include "runtime/devices/cpu/HostMemory.h"
#include "runtime/plan/Failure.h"
#include "test/runtime/HandPlan.h"

#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

static proto::Target makeTarget(llvm::StringRef kind) {
  proto::Target target;
  target.set_kind(kind.str());
  target.set_cpu("x86-64-v9");
  return target;
}

TEST(CpuFeaturesTest, AMissingFeatureNamesBothSides) {
  proto::Target target = makeTarget("cpu");
  target.add_features("+sse2");
  EXPECT_FALSE(checkTarget(target));
  target.add_features("avx1024");
  target.add_features("+amx-z");
  auto [code, text] = plan::describe(checkTarget(target));
  EXPECT_EQ(code, Exit::Unsupported);
  for (std::string part :
       {std::string("x86-64-v9"), std::string("avx1024, amx-z"), cpuName()})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_EQ(text.find("sse2"), std::string::npos) << text;
}

TEST(CpuFeaturesTest, OtherTargetsAndManyRanksAreRefused) {
  EXPECT_EQ(plan::describe(checkTarget(makeTarget("cuda"))).first,
            Exit::Unsupported);
  proto::Target target = makeTarget("cpu");
  target.set_world_size(4);
  EXPECT_EQ(plan::describe(checkTarget(target)).first, Exit::Unsupported);
}

TEST(CpuDeviceTest, TooLargeAPlanIsRefusedWithItsTable) {
  test::HandPlan hand = test::makeForwardPlan();
  hand.metadata.set_arena_bytes(uint64_t(1) << 44);
  std::unique_ptr<Device> device = createCpuDevice(1);
  auto [code, text] = plan::describe(
      device->load({hand.metadata, hand.code, hand.weights, ""}));
  EXPECT_EQ(code, Exit::Memory);
  EXPECT_NE(text.find("17592186044416 bytes"), std::string::npos) << text;
}

TEST(CpuDeviceTest, WhatOnlyGpusDoIsRefusedWithTheProduct) {
  test::HandPlan hand = test::makeForwardPlan();
  proto::Instruction &product =
      *hand.metadata.mutable_functions(0)->mutable_instructions(2);
  ASSERT_TRUE(product.has_gemm());
  proto::Gemm &gemm = *product.mutable_gemm();
  *gemm.mutable_aux() = gemm.c();
  gemm.set_aux_stride(gemm.ldc());
  gemm.set_activation(proto::Gemm::GELU_TANH);
  plan::PlanView view{hand.metadata, hand.code, hand.weights, ""};
  std::unique_ptr<Device> device = createCpuDevice(1);
  ASSERT_FALSE(device->load(view));
  auto [code, text] = plan::describe(device->prepare(product).takeError());
  EXPECT_EQ(code, Exit::Unsupported);
  EXPECT_NE(text.find("gemm 2x8x16"), std::string::npos) << text;
  EXPECT_NE(text.find("aux"), std::string::npos) << text;
}

TEST(CpuDeviceTest, HostCopiesStayInTheirGlobal) {
  test::HandPlan hand = test::makeForwardPlan();
  plan::PlanView view{hand.metadata, hand.code, hand.weights, ""};
  std::unique_ptr<Device> device = createCpuDevice(1);
  ASSERT_FALSE(device->load(view));
  std::vector<uint8_t> bytes(16, 7), back(16);
  EXPECT_FALSE(device->copyIn(1, 0, bytes));
  EXPECT_FALSE(device->copyOut(1, 0, back));
  EXPECT_EQ(back, bytes);
  auto codeOf = [](llvm::Error error) {
    return plan::describe(std::move(error)).first;
  };
  EXPECT_EQ(codeOf(device->copyIn(1, 1, bytes)), Exit::Internal);
  EXPECT_EQ(codeOf(device->copyOut(1, ~0ull, back)), Exit::Internal);
  EXPECT_EQ(codeOf(device->copyIn(4, 0, bytes)), Exit::Internal);
}

TEST(HostMemoryTest, ExactAndZero) {
  auto memory = HostMemory::allocate(5 << 20);
  ASSERT_TRUE(memory.has_value());
  EXPECT_EQ(memory->size(), 5u << 20);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->data()) % 64, 0u);
  EXPECT_EQ(memory->data()[(5 << 20) - 1], std::byte(0));
  EXPECT_FALSE(HostMemory::allocate(uint64_t(1) << 60).has_value());
  EXPECT_EQ(HostMemory::allocate(0)->size(), 0u);
  EXPECT_GT(availableMemory(), 0u);
}
