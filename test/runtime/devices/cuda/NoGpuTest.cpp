//===- NoGpuTest.cpp - What a machine without a GPU says ------------------===//

#include "runtime/devices/cuda/CodeImages.h"
#include "runtime/devices/cuda/CudaDevice.h"
#include "runtime/devices/cuda/SharedLibrary.h"
#include "runtime/plan/Failure.h"
#include "test/runtime/devices/cuda/CudaPlan.h"

#include <cstdlib>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using namespace dit::test;
using dit::plan::Exit;

TEST(NoGpuTest, APlanForAGpuNamesBothSides) {
  if (hasGpu())
    GTEST_SKIP() << "there is a GPU";
  CudaPlan plan;
  llvm::Expected<Executor *> executor = plan.load();
  ASSERT_FALSE(static_cast<bool>(executor));
  auto [code, text] = plan::describe(executor.takeError());
  EXPECT_EQ(code, Exit::Unsupported);
  EXPECT_NE(text.find("NVIDIA GPU (sm_80)"), std::string::npos) << text;
  EXPECT_NE(text.find("the NVIDIA driver"), std::string::npos) << text;
}

TEST(NoGpuTest, PlansOfOtherTargetsAreRefusedBeforeTheDriver) {
  CudaPlan hand;
  hand.metadata().mutable_target()->set_kind("cpu");
  std::unique_ptr<Device> device = createCudaDevice({});
  auto [code, text] = plan::describe(device->load(hand.finish()));
  EXPECT_EQ(code, Exit::Unsupported);
  EXPECT_NE(text.find("target 'cpu'"), std::string::npos) << text;
  hand.metadata().mutable_target()->set_kind("cuda");
  hand.metadata().mutable_target()->set_world_size(8);
  EXPECT_EQ(plan::describe(device->load(hand.finish())).first,
            Exit::Unsupported);
}

TEST(SharedLibraryTest, WhatIsMissingIsNamed) {
  auto library = cuda::SharedLibrary::open("cuFoo", {"libcufoo.so.7"});
  ASSERT_FALSE(static_cast<bool>(library));
  auto [code, text] = plan::describe(library.takeError());
  EXPECT_EQ(code, Exit::Unsupported);
  for (const char *part : {"cuFoo", "libcufoo.so.7", "DIT_CUDA_PATH"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(SharedLibraryTest, AFolderMayHoldDamagedLibraries) {
  // A file that is no library: the loader's words are passed on.
  std::string folder = ::testing::TempDir() + "damaged";
  ASSERT_EQ(std::system(("mkdir -p " + folder + "/lib64 && echo no > " +
                         folder + "/lib64/libcufoo.so.7")
                            .c_str()),
            0);
  ::setenv("DIT_CUDA_PATH", folder.c_str(), 1);
  auto library = cuda::SharedLibrary::open("cuFoo", {"libcufoo.so.7"});
  ::unsetenv("DIT_CUDA_PATH");
  ASSERT_FALSE(static_cast<bool>(library));
  EXPECT_EQ(plan::describe(library.takeError()).first, Exit::Unsupported);
}

TEST(SharedLibraryTest, AMissingFunctionMeansTooOld) {
  auto library = cuda::SharedLibrary::open("the C library", {"libc.so.6"});
  ASSERT_TRUE(static_cast<bool>(library));
  size_t (*length)(const char *) = nullptr;
  void (*none)() = nullptr;
  EXPECT_FALSE(library->resolve({cuda::symbol("strlen", length)}));
  EXPECT_EQ(length("four"), 4u);
  auto [code, text] = plan::describe(library->resolve(
      {cuda::symbol("strlen", length), cuda::symbol("cuNone", none)}));
  EXPECT_EQ(code, Exit::Unsupported);
  EXPECT_NE(text.find("cuNone"), std::string::npos) << text;
}

static void addImage(proto::Plan &plan, proto::Image::Kind kind,
                     const char *arch) {
  proto::Image *image = plan.add_images();
  image->set_kind(kind);
  image->set_arch(arch);
}

static std::string chosen(const proto::Plan &plan, int sm) {
  std::string archs;
  for (const proto::Image *image : cuda::chooseImages(plan, sm))
    archs += (archs.empty() ? "" : " ") + image->arch() +
             (image->kind() == proto::Image::CUBIN ? " cubin" : "");
  return archs;
}

TEST(CodeImagesTest, ACubinOfTheArchitectureThenTheNewestPtx) {
  proto::Plan plan;
  addImage(plan, proto::Image::PTX, "sm_80");
  addImage(plan, proto::Image::PTX, "sm_90");
  addImage(plan, proto::Image::CUBIN, "sm_90a");
  addImage(plan, proto::Image::PTX, "sm_90a");
  EXPECT_EQ(chosen(plan, 90), "sm_90a cubin sm_90");
  EXPECT_EQ(chosen(plan, 100), "sm_90");
  EXPECT_EQ(chosen(plan, 89), "sm_80");
  EXPECT_EQ(chosen(plan, 75), "");
  EXPECT_EQ(chosen(proto::Plan(), 90), "");
}

TEST(CudaMachineTest, SaysWhatIsThereOrWhyNot) {
  std::string text = describeCudaMachine();
  for (const char *part : {"gpu", "cuBLASLt", "cuDNN"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_EQ(text.find("gpu        none") == std::string::npos, hasGpu())
      << text;
}
