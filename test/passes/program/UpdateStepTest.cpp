//===- UpdateStepTest.cpp - The update against AdamW's formulas -----------===//
//
// The program of a small model is built by its pass; its @update is evaluated
// in double and compared with torch.optim.AdamW's algorithm, written out.
//
//===----------------------------------------------------------------------===//
#include "passes/program/UpdateStep.h"
#include "compiler/Compiler.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/program/Passes.h"
#include "passes/program/StepBuilder.h"
#include "test/passes/program/differentiate/Differences.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace mlir;
using namespace dit;

namespace {

constexpr const char *model = R"(
  module attributes {dit.precision = "PRECISION"} {
  dit.global @table parameter : tensor<11x16xf32> trainable pieces [#dit.piece<
    name = "table", file = tensor<11x16xf32>, view = [11, 16],
    permutation = [0, 1], target = [11, 16], offset = [0, 0], source = unit>]
  func.func @forward(%x: tensor<2x1x4x4xf32>, %t: tensor<2xi64>,
                     %y: tensor<2xi64>) -> tensor<2x1x4x4xf32>
      attributes {dit.inputs = ["x", "t", "y"]} {
    %table = dit.read @table : tensor<11x16xf32>
    %e = dit.gather %table, %y : tensor<11x16xf32>, tensor<2xi64>
    %p = tensor.expand_shape %e [[0], [1, 2, 3]] output_shape [2, 1, 4, 4]
        : tensor<2x16xf32> into tensor<2x1x4x4xf32>
    return %p : tensor<2x1x4x4xf32>
  }
  })";

/// Elements of the flats: 176, in multiples of a row.
constexpr int64_t elements = flatRow;

/// Step functions whose writes can be seen.
class UpdateStepTest : public testing::Test {
protected:
  void build(StringRef precision) {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    std::string text = model;
    text.replace(text.find("PRECISION"), 9, precision);
    module = parseSourceString<ModuleOp>(text, &context);
    ASSERT_TRUE(module);
    PassManager manager(&context);
    manager.addPass(createProgramTrain());
    manager.addPass(createVerifyProgram());
    ASSERT_TRUE(succeeded(manager.run(*module)));
    for (const char *name : {"prepare_update", "update"}) {
      functions.push_back(findFunction(*module, name));
      ASSERT_TRUE(functions.back());
      written.push_back(returnWrites(functions.back()));
    }

    RandomNumbers random(5);
    globals["masters"] = random.draw(elements, -1, 1);
    globals["gradients"] = random.draw(elements, -3, 3);
    globals["moment1"] = Numbers(elements);
    globals["moment2"] = Numbers(elements);
    globals["ema"] = globals["masters"];
    globals["loss_scale"] = {1};
    globals["good_steps"] = globals["applied"] = globals["skipped"] = {0};
    set(Hyper::LearningRate, 0.01);
    set(Hyper::EmaDecay, 0.9);
    set(Hyper::BatchPart, 0.25);
    set(Hyper::Beta1, 0.9);
    set(Hyper::Beta2, 0.999);
    set(Hyper::Epsilon, 1e-8);
  }

  void set(Hyper which, double value) {
    globals["hyper"].resize(hyperCount);
    globals["hyper"][static_cast<size_t>(which)] = value;
  }

  /// Runs the steps: what they write is what globals are afterwards.
  void run() {
    for (auto [function, names] : llvm::zip(functions, written)) {
      std::vector<Numbers> results = evaluate(function, {}, globals);
      ASSERT_EQ(results.size(), names.size());
      for (auto [name, numbers] : llvm::zip(names, results))
        globals[name] = numbers;
    }
  }

  /// What AdamW makes of `globals`, with gradients times `factor`.
  GlobalNumbers expected(double factor, int64_t count, double rate,
                         double decay) {
    GlobalNumbers after = globals;
    for (int64_t i = 0; i < elements; ++i) {
      double g = factor * globals["gradients"][i];
      double m = 0.9 * globals["moment1"][i] + 0.1 * g;
      double v = 0.999 * globals["moment2"][i] + 0.001 * g * g;
      double p = globals["masters"][i] * (1 - rate * decay);
      double corrected = m / (1 - std::pow(0.9, count));
      double root = std::sqrt(v / (1 - std::pow(0.999, count))) + 1e-8;
      p -= rate * corrected / root;
      after["moment1"][i] = m;
      after["moment2"][i] = v;
      after["masters"][i] = p;
      after["ema"][i] = 0.9 * globals["ema"][i] + 0.1 * p;
    }
    return after;
  }

  void expectFlats(GlobalNumbers &wanted) {
    for (const char *name : {"masters", "moment1", "moment2", "ema"})
      for (int64_t i = 0; i < elements; ++i)
        EXPECT_NEAR(globals[name][i], wanted[name][i], 1e-12)
            << name << " " << i;
  }

  double norm() {
    double sum = 0;
    for (double g : globals["gradients"])
      sum += g * g;
    return std::sqrt(sum);
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::vector<func::FuncOp> functions;
  std::vector<std::vector<std::string>> written; // by each
  GlobalNumbers globals;

private:
  /// Makes results of what is written, which the evaluator can tell.
  std::vector<std::string> returnWrites(func::FuncOp function) {
    std::vector<std::string> written;
    Operation *end = function.getBody().front().getTerminator();
    SmallVector<Type> types;
    for (auto write : llvm::make_early_inc_range(function.getOps<WriteOp>())) {
      written.push_back(write.getGlobal().str());
      end->insertOperands(end->getNumOperands(), write.getValue());
      types.push_back(write.getValue().getType());
      write.erase();
    }
    function.setType(FunctionType::get(&context, {}, types));
    return written;
  }
};

TEST_F(UpdateStepTest, IsAdamW) {
  build("fp32");
  set(Hyper::WeightDecay, 0.1);
  for (int64_t count : {1, 2, 3}) {
    GlobalNumbers wanted = expected(0.25, count, 0.01, 0.1);
    double length = 0.25 * norm();
    run();
    expectFlats(wanted);
    EXPECT_NEAR(globals["gradient_norm"][0], length, 1e-12);
    EXPECT_EQ(globals["applied"], Numbers{static_cast<double>(count)});
    EXPECT_EQ(globals["skipped"], Numbers{0});
    globals["gradients"] = RandomNumbers(count).draw(elements, -1, 1);
  }
}

TEST_F(UpdateStepTest, ClipsTheNorm) {
  build("fp32");
  double length = 0.25 * norm();
  for (double clip : {length / 3, 2 * length}) {
    set(Hyper::Clip, clip);
    double factor = 0.25 * std::min(1.0, clip / (length + 1e-6));
    int64_t count = static_cast<int64_t>(globals["applied"][0]) + 1;
    GlobalNumbers wanted = expected(factor, count, 0.01, 0);
    run();
    expectFlats(wanted);
    EXPECT_NEAR(globals["gradient_norm"][0], length, 1e-12);
  }
}

TEST_F(UpdateStepTest, LeavesAllAloneWhereANormIsNotFinite) {
  build("fp32");
  run();
  for (double bad : {std::nan(""), static_cast<double>(INFINITY)}) {
    globals["gradients"][7] = bad;
    GlobalNumbers before = globals;
    run();
    expectFlats(before);
    EXPECT_EQ(globals["applied"], Numbers{1});
  }
  EXPECT_EQ(globals["skipped"], Numbers{2});
}

TEST_F(UpdateStepTest, ScalesTheLossInFp16) {
  build("fp16");
  globals["loss_scale"] = {1024};
  globals["good_steps"] = {998};
  GlobalNumbers wanted = expected(0.25 / 1024, 1, 0.01, 0);
  run();
  expectFlats(wanted);
  EXPECT_EQ(globals["good_steps"], Numbers{999});
  EXPECT_EQ(globals["loss_scale"], Numbers{1024});
  run();
  EXPECT_EQ(globals["good_steps"], Numbers{0});
  EXPECT_EQ(globals["loss_scale"], Numbers{2048});
  globals["gradients"][0] = INFINITY;
  run();
  EXPECT_EQ(globals["good_steps"], Numbers{0});
  EXPECT_EQ(globals["loss_scale"], Numbers{1024});
  // Its bounds.
  globals["loss_scale"] = {1};
  run();
  EXPECT_EQ(globals["loss_scale"], Numbers{1});
}

} // namespace
