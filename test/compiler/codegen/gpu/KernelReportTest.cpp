//===- KernelReportTest.cpp - What the assembler says, and occupancy ------===//
#include "compiler/codegen/gpu/KernelReport.h"

#include <gtest/gtest.h>

using namespace dit::codegen;

// As ptxas 13.0 prints it.
static constexpr llvm::StringLiteral ptxasLog = R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'wide' for 'sm_90'
ptxas info    : Function properties for wide
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 56 registers, used 1 barriers, 32 bytes smem
ptxas info    : Compile time = 10.666 ms
ptxas info    : Compiling entry function 'spills' for 'sm_90'
ptxas info    : Function properties for spills
    208 bytes stack frame, 212 bytes spill stores, 216 bytes spill loads
ptxas info    : Used 64 registers, used 0 barriers
ptxas info    : Compile time = 22.209 ms
)";

TEST(KernelReport, ReadsTheAssemblersLog) {
  std::vector<KernelResources> kernels = parseResources(ptxasLog);
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels[0].symbol, "wide");
  EXPECT_EQ(kernels[0].registers, 56);
  EXPECT_EQ(kernels[0].sharedBytes, 32);
  EXPECT_EQ(kernels[0].spillStoreBytes, 0);
  EXPECT_EQ(kernels[1].symbol, "spills");
  EXPECT_EQ(kernels[1].registers, 64);
  EXPECT_EQ(kernels[1].sharedBytes, 0);
  EXPECT_EQ(kernels[1].spillStoreBytes, 212);
  EXPECT_EQ(kernels[1].spillLoadBytes, 216);
}

namespace {
struct Case {
  int64_t threads, registers, warps;
};
} // namespace

/// What cudaOccupancyMaxActiveBlocksPerMultiprocessor gave on an H100.
TEST(KernelReport, CountsWarpsAsTheDriverDoes) {
  for (Case c : {Case{128, 80, 24},
                 {128, 96, 20},
                 {128, 111, 16},
                 {128, 163, 12},
                 {256, 90, 16},
                 {64, 89, 20},
                 {64, 69, 28},
                 {160, 32, 60},
                 {160, 36, 45},
                 {128, 56, 36},
                 {32, 121, 16}})
    EXPECT_EQ(Multiprocessor::get("sm_90").getWarpsAtOnce(
                  {"k", 1, c.threads, 0}, {"k", c.registers, 0, 0, 0}),
              c.warps)
        << c.threads << " threads of " << c.registers << " registers";
}

TEST(KernelReport, SharedMemoryLimitsBlocks) {
  // 228 KB hold two blocks of 100 KB and 1 KB each; sm_89's 100 KB none.
  GpuKernel launch = {"k", 1, 128, 100 * 1024};
  KernelResources few = {"k", 16, 0, 0, 0};
  EXPECT_EQ(Multiprocessor::get("sm_90").getWarpsAtOnce(launch, few), 8);
  EXPECT_EQ(Multiprocessor::get("sm_80").getWarpsAtOnce(launch, few), 4);
  EXPECT_EQ(Multiprocessor::get("sm_89").getWarpsAtOnce(launch, few), 0);
}
