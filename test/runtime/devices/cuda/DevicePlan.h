//===- DevicePlan.h - Hand-written kernels, and plans that load -----------===//
#ifndef DIT_TEST_RUNTIME_DEVICES_CUDA_DEVICEPLAN_H
#define DIT_TEST_RUNTIME_DEVICES_CUDA_DEVICEPLAN_H

#include "runtime/plan/Failure.h"
#include "test/runtime/devices/cuda/CudaPlan.h"

#include <gtest/gtest.h>

namespace dit::test {

using runtime::Executor;

/// axpy: y[i] = 2 x[i] + y[i], a block 128 elements. count: adds 1 to an i64.
/// reverse: turns 8192 floats around through 32 KiB of dynamic shared memory,
/// more than 48 KiB of which a test asks for. stray: writes to address 16.
inline constexpr llvm::StringLiteral ptx = R"(
.version 7.0
.target sm_80
.address_size 64
.extern .shared .align 16 .b8 scratch[];

.visible .entry axpy(.param .u64 x, .param .u64 y)
{
  .reg .b32 %r<4>;
  .reg .f32 %f<4>;
  .reg .b64 %rd<6>;
  ld.param.u64 %rd0, [x];
  ld.param.u64 %rd1, [y];
  mov.u32 %r0, %ctaid.x;
  mov.u32 %r1, %ntid.x;
  mov.u32 %r2, %tid.x;
  mad.lo.s32 %r3, %r0, %r1, %r2;
  mul.wide.s32 %rd2, %r3, 4;
  add.s64 %rd3, %rd0, %rd2;
  add.s64 %rd4, %rd1, %rd2;
  ld.global.f32 %f0, [%rd3];
  ld.global.f32 %f1, [%rd4];
  fma.rn.f32 %f2, %f0, 0f40000000, %f1;
  st.global.f32 [%rd4], %f2;
  ret;
}

.visible .entry count(.param .u64 counter)
{
  .reg .b64 %rd<3>;
  ld.param.u64 %rd0, [counter];
  ld.global.u64 %rd1, [%rd0];
  add.s64 %rd2, %rd1, 1;
  st.global.u64 [%rd0], %rd2;
  ret;
}

.visible .entry reverse(.param .u64 x, .param .u64 y)
{
  .reg .pred %p<2>;
  .reg .b32 %r<8>;
  .reg .f32 %f<2>;
  .reg .b64 %rd<6>;
  ld.param.u64 %rd0, [x];
  ld.param.u64 %rd1, [y];
  mov.u32 %r0, %tid.x;
  mov.u32 %r4, scratch;
  mov.u32 %r1, %r0;
READ:
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd3, %rd0, %rd2;
  ld.global.f32 %f0, [%rd3];
  shl.b32 %r2, %r1, 2;
  add.u32 %r3, %r4, %r2;
  st.shared.f32 [%r3], %f0;
  add.u32 %r1, %r1, 1024;
  setp.lt.u32 %p0, %r1, 16384;
  @%p0 bra READ;
  bar.sync 0;
  mov.u32 %r1, %r0;
WRITE:
  sub.u32 %r5, 16383, %r1;
  shl.b32 %r2, %r5, 2;
  add.u32 %r3, %r4, %r2;
  ld.shared.f32 %f0, [%r3];
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd3, %rd1, %rd2;
  st.global.f32 [%rd3], %f0;
  add.u32 %r1, %r1, 1024;
  setp.lt.u32 %p0, %r1, 16384;
  @%p0 bra WRITE;
  ret;
}

.visible .entry stray(.param .u64 x)
{
  .reg .b64 %rd<2>;
  .reg .b32 %r<2>;
  mov.u64 %rd0, 16;
  mov.u32 %r0, 1;
  st.global.u32 [%rd0], %r0;
  ret;
}
)";

class CudaDeviceTest : public ::testing::Test {
protected:
  void SetUp() override {
    if (!hasGpu())
      GTEST_SKIP() << "no GPU";
  }

  /// The plan's executor; null, and a failure, where it does not load.
  Executor *loaded(CudaPlan &plan) {
    llvm::Expected<Executor *> executor = plan.load();
    if (executor)
      return *executor;
    ADD_FAILURE() << plan::describe(executor.takeError()).second;
    return nullptr;
  }
};

} // namespace dit::test

#endif // DIT_TEST_RUNTIME_DEVICES_CUDA_DEVICEPLAN_H
