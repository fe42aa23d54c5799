//===- SpeedTest.cpp - How fast kernels run and compile -------------------===//
//
// Not run by default: --gtest_also_run_disabled_tests --gtest_filter='Speed*'.
//
//===----------------------------------------------------------------------===//
#include "test/compiler/codegen/KernelHarness.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FormatVariadic.h"
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

/// A gate, residual, layer norm and modulation of `lane` columns and a GELU,
/// in bf16 between kernels: two kernels.
static std::string layerNormModulateFunction(int lane) {
  return llvm::formatv(R"(
func.func @f{0}(%x: tensor<8x64x{0}xbf16>, %p: tensor<8x64x{0}xbf16>, %g: tensor<8x{0}xf32>, %s: tensor<8x{0}xf32>) {{
  %0:2 = dit.kernel "a" space = [8, 64, {0}] (%x, %p, %g, %s) : (tensor<8x64x{0}xbf16>, tensor<8x64x{0}xbf16>, tensor<8x{0}xf32>, tensor<8x{0}xf32>) -> (tensor<8x64x{0}xbf16>, tensor<8x64x{0}xbf16>) {{
  ^bb0(%a: tensor<8x64x{0}xbf16>, %b: tensor<8x64x{0}xbf16>, %c: tensor<8x{0}xf32>, %d: tensor<8x{0}xf32>):
    %a32 = arith.extf %a : tensor<8x64x{0}xbf16> to tensor<8x64x{0}xf32>
    %b32 = arith.extf %b : tensor<8x64x{0}xbf16> to tensor<8x64x{0}xf32>
    %gate = dit.broadcast %c dims = [0, 2] : tensor<8x{0}xf32> -> tensor<8x64x{0}xf32>
    %gp = arith.mulf %gate, %b32 : tensor<8x64x{0}xf32>
    %y32 = arith.addf %a32, %gp : tensor<8x64x{0}xf32>
    %y = arith.truncf %y32 : tensor<8x64x{0}xf32> to tensor<8x64x{0}xbf16>
    %z = arith.extf %y : tensor<8x64x{0}xbf16> to tensor<8x64x{0}xf32>
    %n, %mean, %rstd = dit.layer_norm %z eps = 1.0e-6 : tensor<8x64x{0}xf32>
    %one = arith.constant dense<1.0> : tensor<8x{0}xf32>
    %s1 = arith.addf %d, %one : tensor<8x{0}xf32>
    %scale = dit.broadcast %s1 dims = [0, 2] : tensor<8x{0}xf32> -> tensor<8x64x{0}xf32>
    %m = arith.mulf %n, %scale : tensor<8x64x{0}xf32>
    %h = arith.truncf %m : tensor<8x64x{0}xf32> to tensor<8x64x{0}xbf16>
    dit.yield %y, %h : tensor<8x64x{0}xbf16>, tensor<8x64x{0}xbf16>
  }
  %1 = dit.kernel "b" space = [8, {0}] (%g) : (tensor<8x{0}xf32>) -> tensor<8x{0}xf32> {{
  ^bb0(%a: tensor<8x{0}xf32>):
    %y = dit.gelu %a approximate = tanh : tensor<8x{0}xf32>
    dit.yield %y : tensor<8x{0}xf32>
  }
  return
})",
                       lane)
      .str();
}

TEST(Speed, DISABLED_compilingManyKernels) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  std::string text;
  for (int lane = 64; lane < 64 + 16 * 64; lane += 64)
    text += layerNormModulateFunction(lane);
  context.loadDialect<dit::DitDialect, mlir::arith::ArithDialect,
                      mlir::func::FuncDialect, mlir::math::MathDialect,
                      mlir::LLVM::LLVMDialect, mlir::scf::SCFDialect,
                      mlir::vector::VectorDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  std::vector<KernelSource> sources;
  module->walk([&](dit::KernelOp op) {
    sources.push_back({&op.getBody(), op.getSpace(), 4,
                       "kernel" + std::to_string(sources.size())});
  });
  CpuTarget target = llvm::cantFail(CpuTarget::resolve("native"));
  for (int turn = 0; turn < 3; ++turn) {
    mlir::OwningOpRef<mlir::ModuleOp> loops =
        mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
    llvm::LLVMContext llvmContext;
    double emission = milliseconds([&] {
      ASSERT_TRUE(
          succeeded(emitKernels(*loops, sources, target.getVectorTarget())));
    });
    double lowering =
        milliseconds([&] { (void)translateToLlvm(*loops, llvmContext); });
    double ir = milliseconds([&] {
      (void)llvm::cantFail(emitLlvm(llvmContext, context, sources, target));
    });
    double object = milliseconds(
        [&] { (void)llvm::cantFail(emitObject(context, sources, target)); });
    printf("%zu kernels: loops %.0f ms, to LLVM IR %.0f, optimised %.0f, "
           "object %.0f; together %.0f ms\n",
           sources.size(), emission, lowering, ir - emission - lowering,
           object - ir, object);
  }
}
