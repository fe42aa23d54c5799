//===- CodeTextTest.cpp - What the generated code is made of --------------===//
#include "test/compiler/codegen/KernelHarness.h"

#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"

using namespace dit;
using namespace dit::codegen;

namespace {
class CodeText : public testing::Test {
protected:
  void SetUp() override {
    context.loadDialect<DitDialect, mlir::arith::ArithDialect,
                        mlir::func::FuncDialect, mlir::math::MathDialect,
                        mlir::tensor::TensorDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(R"(
!x = tensor<8x96xf32>
!n = tensor<1xi64>
!d = tensor<8x96xf64>
!h = tensor<8x96xbf16>
func.func @f(%x0: !x, %x1: !n, %x2: tensor<8xi64>, %x3: !h, %x4: !d) {
  %0:3 = dit.kernel "all" space = [8, 96] (%x0, %x1, %x2, %x3, %x4) : (!x, !n, tensor<8xi64>, !h, !d) -> (!x, !h, !d) {
  ^bb0(%x: !x, %s: !n, %p: tensor<8xi64>, %h: !h, %d: !d):
    %0 = math.exp %x : !x
    %1 = math.log %0 : !x
    %2 = math.sin %1 : !x
    %3 = math.cos %2 : !x
    %4 = math.tanh %3 : !x
    %5 = math.erf %4 : !x
    %6 = math.rsqrt %5 : !x
    %7 = math.powf %6, %x : !x
    %8 = math.round %7 : !x
    %9 = dit.gelu %8 approximate = tanh : !x
    %10 = dit.gelu %9 approximate = none : !x
    %11 = dit.sigmoid %10 : !x
    %z = dit.random normal stream = 1 at (%s, %s, %p) : !n, !n, tensor<8xi64> -> !x
    %12 = arith.addf %11, %z : !x
    %13 = dit.softmax %12 : !x
    %n, %m, %r = dit.layer_norm %13 eps = 1.0e-5 : !x
    %q = arith.truncf %n : !x to !h
    %t = arith.addf %q, %h : !h
    %s0 = math.sin %d : !d
    %c0 = math.cos %s0 : !d
    dit.yield %n, %t, %c0 : !x, !h, !d
  }
  return
})",
                                                     &context);
    module->walk([&](KernelOp op) {
      sources.push_back({&op.getBody(), op.getSpace(), 4, "all"});
    });
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::vector<KernelSource> sources;
};
} // namespace

TEST_F(CodeText, callsNothing) {
  for (const char *cpu : {"native", "x86-64-v4", "x86-64-v3"}) {
    std::string text = llvm::cantFail(emitAssembly(
        context, sources, llvm::cantFail(CpuTarget::resolve(cpu))));
    llvm::SmallVector<llvm::StringRef> lines;
    llvm::SplitString(text, lines, "\n");
    for (llvm::StringRef line : lines)
      EXPECT_FALSE(line.trim().starts_with("call")) << cpu << line.str();
  }
}

TEST_F(CodeText, usesTheTargetsVectors) {
  auto count = [&](const char *cpu, llvm::StringRef what) {
    std::string text = llvm::cantFail(emitAssembly(
        context, sources, llvm::cantFail(CpuTarget::resolve(cpu))));
    return llvm::StringRef(text).count(what);
  };
  EXPECT_GT(count("x86-64-v4", "zmm"), 100u);
  EXPECT_EQ(count("x86-64-v3", "zmm"), 0u);
  EXPECT_GT(count("x86-64-v3", "ymm"), 100u);
  EXPECT_GT(count("znver4", "vcvtneps2bf16"), 0u);
  EXPECT_EQ(count("x86-64-v4", "vcvtneps2bf16"), 0u);
  // Products and sums are fused.
  EXPECT_GT(count("x86-64-v4", "vfmadd"), 50u);
}

TEST_F(CodeText, sameSourcesSameBytes) {
  CpuTarget target = llvm::cantFail(CpuTarget::resolve("x86-64-v4"));
  auto first = llvm::cantFail(emitObject(context, sources, target));
  auto second = llvm::cantFail(emitObject(context, sources, target));
  EXPECT_EQ(first, second);
}

TEST_F(CodeText, irNamesTheKernel) {
  std::string text = llvm::cantFail(emitLlvmText(
      context, sources, llvm::cantFail(CpuTarget::resolve("x86-64-v4"))));
  EXPECT_NE(text.find("define void @all(ptr"), std::string::npos);
  EXPECT_NE(text.find("<16 x float>"), std::string::npos);
}

TEST(CpuTarget, namesWhatItDoesNotKnow) {
  auto message = [](const char *name) {
    auto target = CpuTarget::resolve(name);
    return target ? std::string() : llvm::toString(target.takeError());
  };
  EXPECT_NE(message("pentium9").find("'pentium9' is not a 64-bit x86 CPU"),
            std::string::npos);
  EXPECT_NE(message("x86-64-v2").find("x86-64-v2 has no avx2"),
            std::string::npos);
  EXPECT_EQ(message("x86-64-v3"), "");
  EXPECT_EQ(message("znver4"), "");
}

TEST(CpuTarget, listsWhatTheMachineMustHave) {
  CpuTarget target = llvm::cantFail(CpuTarget::resolve("x86-64-v4"));
  EXPECT_TRUE(llvm::is_sorted(target.features));
  EXPECT_TRUE(target.hasFeature("avx512vl"));
  EXPECT_FALSE(target.hasFeature("avx512bf16"));
  EXPECT_FALSE(target.hasFeature("x87"));
  EXPECT_EQ(target.getVectorTarget().lanes, 16);
  target = llvm::cantFail(CpuTarget::resolve("x86-64-v3"));
  EXPECT_FALSE(target.hasFeature("avx512vl"));
  EXPECT_EQ(target.getVectorTarget().lanes, 8);
}

TEST(Errors, nameTheOp) {
  mlir::MLIRContext context;
  context.loadDialect<DitDialect, mlir::arith::ArithDialect,
                      mlir::func::FuncDialect, mlir::math::MathDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(R"(
func.func @f(%x: tensor<4x8xf32>) {
  %0 = dit.kernel "k" space = [4, 8] (%x) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %y = math.atan %a : tensor<4x8xf32>
    dit.yield %y : tensor<4x8xf32>
  }
  return
})",
                                                        &context);
  KernelOp op;
  module->walk([&](KernelOp found) { op = found; });
  KernelSource source{&op.getBody(), op.getSpace(), 1, "k"};
  auto object = emitObject(context, source,
                           llvm::cantFail(CpuTarget::resolve("x86-64-v3")));
  ASSERT_FALSE(bool(object));
  std::string message = llvm::toString(object.takeError());
  EXPECT_NE(message.find("'math.atan' op no code can be generated"),
            std::string::npos)
      << message;
}
