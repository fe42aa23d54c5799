//===- SpeedTest.cpp - How fast kernels run and compile -------------------===//
//
// Not run by default: --gtest_also_run_disabled_tests --gtest_filter='Speed*'.
//
//===----------------------------------------------------------------------===//
#include "test/compiler/codegen/KernelHarness.h"

#include <chrono>

using namespace dit::codegen;

static double milliseconds(llvm::function_ref<void()> work) {
  auto start = std::chrono::steady_clock::now();
  work();
  std::chrono::duration<double, std::milli> time =
      std::chrono::steady_clock::now() - start;
  return time.count();
}

static double best(CompiledKernel &kernel) {
  double least = 1e9;
  for (int turn = 0; turn < 15; ++turn)
    least = std::min(
        least, milliseconds([&] { kernel.runBlocks(0, kernel.blocks()); }));
  return least;
}

TEST(Speed, DISABLED_layerNormModulateBf16) {
  for (const char *cpu : {"native", "x86-64-v4", "x86-64-v3"}) {
    std::unique_ptr<CompiledKernel> kernel;
    double compile = milliseconds([&] {
      kernel = std::make_unique<CompiledKernel>(
          R"(%0 = space = [16, 256, 1152] (%x0, %x1, %x2) : (tensor<16x256x1152xbf16>, tensor<16x1152xbf16>, tensor<16x1152xbf16>) -> tensor<16x256x1152xbf16> {
  ^bb0(%a: tensor<16x256x1152xbf16>, %s: tensor<16x1152xbf16>, %t: tensor<16x1152xbf16>):
    %x = arith.extf %a : tensor<16x256x1152xbf16> to tensor<16x256x1152xf32>
    %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : tensor<16x256x1152xf32>
    %s32 = arith.extf %s : tensor<16x1152xbf16> to tensor<16x1152xf32>
    %t32 = arith.extf %t : tensor<16x1152xbf16> to tensor<16x1152xf32>
    %one = arith.constant dense<1.0> : tensor<16x1152xf32>
    %s1 = arith.addf %s32, %one : tensor<16x1152xf32>
    %scale = dit.broadcast %s1 dims = [0, 2] : tensor<16x1152xf32> -> tensor<16x256x1152xf32>
    %shift = dit.broadcast %t32 dims = [0, 2] : tensor<16x1152xf32> -> tensor<16x256x1152xf32>
    %m = arith.mulf %n, %scale : tensor<16x256x1152xf32>
    %h = arith.addf %m, %shift : tensor<16x256x1152xf32>
    %r = arith.truncf %h : tensor<16x256x1152xf32> to tensor<16x256x1152xbf16>
    dit.yield %r : tensor<16x256x1152xbf16>
  })",
          cpu, 16);
    });
    for (size_t i = 0; i < 3; ++i)
      kernel->fill(i, randomFloats(i ? 16 * 1152 : 4096 * 1152, i));
    kernel->run();
    printf("%-10s layer norm + modulate, 4096 x 1152 bf16: %.3f ms, compiled "
           "in %.1f ms\n",
           cpu, best(*kernel), compile);
  }
}

TEST(Speed, DISABLED_gateResidualLayerNormModulateF32) {
  for (const char *cpu : {"native", "x86-64-v3"}) {
    std::unique_ptr<CompiledKernel> kernel;
    double compile = milliseconds([&] {
      kernel = std::make_unique<CompiledKernel>(
          R"(%0:2 = space = [8, 64, 192] (%x0, %x1, %x2, %x3, %x4) : (tensor<8x64x192xf32>, tensor<8x64x192xf32>, tensor<8x192xf32>, tensor<8x192xf32>, tensor<8x192xf32>) -> (tensor<8x64x192xf32>, tensor<8x64x192xf32>) {
  ^bb0(%x: tensor<8x64x192xf32>, %p: tensor<8x64x192xf32>, %g: tensor<8x192xf32>, %s: tensor<8x192xf32>, %t: tensor<8x192xf32>):
    %gate = dit.broadcast %g dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
    %gp = arith.mulf %gate, %p : tensor<8x64x192xf32>
    %y = arith.addf %x, %gp : tensor<8x64x192xf32>
    %n, %mean, %rstd = dit.layer_norm %y eps = 1.0e-6 : tensor<8x64x192xf32>
    %one = arith.constant dense<1.0> : tensor<8x192xf32>
    %s1 = arith.addf %s, %one : tensor<8x192xf32>
    %scale = dit.broadcast %s1 dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
    %shift = dit.broadcast %t dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
    %m = arith.mulf %n, %scale : tensor<8x64x192xf32>
    %h = arith.addf %m, %shift : tensor<8x64x192xf32>
    dit.yield %y, %h : tensor<8x64x192xf32>, tensor<8x64x192xf32>
  })",
          cpu, 16);
    });
    for (size_t i = 0; i < 5; ++i)
      kernel->fill(i, randomFloats(i < 2 ? 512 * 192 : 8 * 192, i));
    kernel->run();
    printf("%-10s gate + residual + layer norm + modulate, 512 x 192 fp32: "
           "%.4f ms, compiled in %.1f ms\n",
           cpu, best(*kernel), compile);
  }
}

TEST(Speed, DISABLED_gelu) {
  for (const char *approximate : {"tanh", "none"}) {
    std::string text =
        R"(%0 = space = [512, 768] (%x0) : (tensor<512x768xf32>) -> tensor<512x768xf32> {
  ^bb0(%x: tensor<512x768xf32>):
    %y = dit.gelu %x approximate = )" +
        std::string(approximate) + R"( : tensor<512x768xf32>
    dit.yield %y : tensor<512x768xf32>
  })";
    CompiledKernel kernel(text, "native", 16);
    kernel.fill(0, randomFloats(512 * 768, 1));
    kernel.run();
    printf("gelu %s, 512 x 768 fp32: %.4f ms\n", approximate, best(kernel));
  }
}
