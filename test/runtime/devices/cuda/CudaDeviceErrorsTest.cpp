//===- CudaDeviceErrorsTest.cpp - Memory, refusals and a crash ------------===//

#include "runtime/devices/cuda/CudaContext.h"
#include "test/runtime/devices/cuda/DevicePlan.h"

#include <cstdio>
#include <cstdlib>

using namespace dit;
using namespace dit::test;
using dit::plan::ElementType;
using dit::plan::Exit;

static constexpr ElementType F32 = ElementType::F32;

TEST_F(CudaDeviceTest, MemoryIsAllocatedToTheByteAndFreed) {
  auto context = runtime::cuda::CudaContext::create();
  ASSERT_TRUE(static_cast<bool>(context));
  auto freeNow = [&] { return (*context)->memory()->first; };
  uint64_t before = freeNow();
  {
    CudaPlan plan;
    plan.addGlobal("large", ElementType::U8, {int64_t(3) << 30});
    proto::Place place = plan.arena(uint64_t(1) << 30);
    proto::Fill *fill = plan.add().mutable_fill();
    *fill->mutable_to() = place;
    Executor *made = loaded(plan);
    ASSERT_NE(made, nullptr);
    Executor &executor = *made;
    runForward(executor);
    uint64_t taken = before - freeNow();
    uint64_t planned = uint64_t(4) << 30;
    EXPECT_NEAR(double(taken), double(planned), 0.01 * planned);
  }
  EXPECT_NEAR(double(freeNow()), double(before), 64 << 20);
}

TEST_F(CudaDeviceTest, TooLargeAPlanIsRefusedWithItsTable) {
  CudaPlan plan;
  *plan.add().mutable_fill()->mutable_to() = plan.arena(uint64_t(1) << 42);
  auto executor = plan.load();
  ASSERT_FALSE(static_cast<bool>(executor));
  auto [code, text] = plan::describe(executor.takeError());
  EXPECT_EQ(code, Exit::Memory);
  EXPECT_NE(text.find("4398046511104 bytes"), std::string::npos) << text;
}

TEST_F(CudaDeviceTest, CodeForOtherGpusIsRefusedNamingBoth) {
  CudaPlan plan;
  plan.setPtx(ptx);
  plan.addKernel("axpy", 128);
  plan.metadata().mutable_images(0)->set_kind(proto::Image::CUBIN);
  plan.metadata().mutable_images(0)->set_arch("sm_30");
  auto [code, text] = plan::describe(plan.load().takeError());
  EXPECT_EQ(code, Exit::Unsupported);
  EXPECT_NE(text.find("sm_30 (cubin)"), std::string::npos) << text;
  EXPECT_NE(text.find("NVIDIA"), std::string::npos) << text;
}

TEST_F(CudaDeviceTest, DamagedCodeAndWrongKernelsAreNamed) {
  auto refusal = [](llvm::StringRef text, const char *symbol, int64_t threads,
                    int64_t shared) {
    CudaPlan plan;
    plan.setPtx(text);
    plan.addKernel(symbol, threads, shared);
    return plan::describe(plan.load().takeError());
  };
  auto broken = refusal("not ptx", "axpy", 128, 0);
  EXPECT_EQ(broken.first, Exit::Malformed) << broken.second;
  auto missing = refusal(ptx, "ghost", 128, 0);
  EXPECT_EQ(missing.first, Exit::Malformed);
  EXPECT_NE(missing.second.find("'ghost'"), std::string::npos);
  auto threads = refusal(ptx, "axpy", 4096, 0);
  EXPECT_EQ(threads.first, Exit::Unsupported);
  EXPECT_NE(threads.second.find("'axpy'"), std::string::npos);
  auto shared = refusal(ptx, "axpy", 128, 1 << 20);
  EXPECT_EQ(shared.first, Exit::Unsupported);
  EXPECT_NE(shared.second.find("shared memory"), std::string::npos);
}

/// Runs the stray kernel and exits with the error's code; the error is sticky,
/// so it happens in a process of its own.
[[noreturn]] static void runStray() {
  CudaPlan plan;
  plan.setPtx(ptx);
  unsigned x = plan.addGlobal("x", F32, {128});
  plan.addLaunch(plan.addKernel("stray", 1), 1, {plan.place(x)});
  auto executor = plan.load();
  if (!executor)
    std::_Exit(1);
  auto [code, text] = plan::describe((*executor)->run(0));
  std::fprintf(stderr, "%s\n", text.c_str());
  std::_Exit(static_cast<int>(code));
}

TEST_F(CudaDeviceTest, ACrashNamesTheKernel) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(runStray(), ::testing::ExitedWithCode(70),
              "kernel 'stray'.*CUDA_ERROR_ILLEGAL_ADDRESS");
}
