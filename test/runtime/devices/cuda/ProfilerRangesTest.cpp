//===- ProfilerRangesTest.cpp - A profiler sees our ranges ----------------===//
//
// A process looks for its profiler once, so this is a program of its own.
//
//===----------------------------------------------------------------------===//
#include "runtime/devices/cuda/ProfilerRanges.h"
#include "runtime/devices/cuda/CudaCommand.h"

#include <cstdlib>
#include <dlfcn.h>
#include <gtest/gtest.h>

using namespace dit::runtime::cuda;

/// FakeProfiler.cpp, built.
static const std::string library = FAKE_PROFILER;

namespace {
class NamedCommand : public CudaCommand {
public:
  llvm::Error enqueue(const CudaContext &) override {
    return llvm::Error::success();
  }
  std::string name() const override { return "a copy"; }
};
} // namespace

TEST(ProfilerRanges, NestAndAreNamedByNodeAndOp) {
  ::setenv("NVTX_INJECTION64_PATH", library.c_str(), 1);
  ASSERT_TRUE(isProfiled());
  void *handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(handle, nullptr);
  auto saw =
      reinterpret_cast<std::string *(*)()>(::dlsym(handle, "profilerSaw"));
  ASSERT_NE(saw, nullptr);
  EXPECT_EQ(*saw(), "");
  NamedCommand command;
  // Nothing of the context is touched by this command.
  auto &context = *reinterpret_cast<const CudaContext *>(&command);
  {
    ProfilerRange range("step");
    EXPECT_FALSE(command.enqueueInRange(context));
    command.location = "/blocks.3/attn/qkv";
    EXPECT_FALSE(command.enqueueInRange(context));
  }
  EXPECT_EQ(*saw(), "(step(a copy)(/blocks.3/attn/qkv: a copy))");
}
