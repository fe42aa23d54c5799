//===- ModelTest.cpp - The gradients of a whole DiT -----------------------===//
//
// A DiT of two blocks, as the builder makes it, with random parameters: its
// gradients by every parameter against central differences.
//
//===----------------------------------------------------------------------===//
#include "frontends/builder/BuildDit.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"
#include "passes/program/Differentiate.h"
#include "test/passes/program/differentiate/Differences.h"
#include "test/passes/program/differentiate/GlobalValues.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dit;

namespace {

/// Larger weights than a fresh model's, so that no gradient is nearly zero.
constexpr double amplitude = 0.5;
constexpr size_t entriesEach = 5;

GlobalNumbers drawGlobals(ModuleOp module, RandomNumbers &random) {
  GlobalNumbers globals;
  for (auto global : module.getOps<GlobalOp>())
    globals[global.getSymName()] =
        global.getRole() == Role::Parameter
            ? random.draw(global.getTensorType().getNumElements(), -amplitude,
                          amplitude)
            : getValues(global);
  return globals;
}

/// The values of all trainable globals that `function` reads, by name.
llvm::StringMap<Value> getParameters(ModuleOp module, func::FuncOp function) {
  llvm::StringMap<Value> parameters;
  function.walk([&](ReadOp read) {
    if (!module.lookupSymbol<GlobalOp>(read.getGlobal()).getTrainable())
      return;
    EXPECT_TRUE(parameters.try_emplace(read.getGlobal(), read).second)
        << "read twice: " << read.getGlobal().str();
  });
  return parameters;
}

TEST(ModelTest, GradientsOfAllParametersAgreeWithDifferences) {
  DialectRegistry registry;
  registerDifferentiableModels(registry);
  MLIRContext context(registry);
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  DitConfig config;
  config.depth = 2;
  config.hidden = 16;
  config.heads = 2;
  config.patch = 2;
  config.size = 4;
  config.channels = 2;
  config.classes = 3;
  config.mlpRatio = 2;
  auto built = buildDit(config, /*batch=*/2, *module, "forward", /*seed=*/0);
  ASSERT_TRUE(succeeded(built));
  func::FuncOp forward = *built;
  sumResults(forward);

  func::FuncOp backward = forward.clone();
  backward.setName("backward");
  module->push_back(backward);
  llvm::StringMap<Value> parameters = getParameters(*module, backward);
  // Two embedders, two blocks and the end: weights and biases.
  EXPECT_EQ(parameters.size(), 2u + 5u + 2 * 10u + 4u);
  std::vector<std::string> names;
  SmallVector<Value> wrt;
  for (auto &[name, value] : parameters) {
    names.push_back(name.str());
    wrt.push_back(value);
  }
  Operation *end = backward.getBody().front().getTerminator();
  OpBuilder builder(end);
  auto gradients = differentiate(builder, end->getOperand(0), wrt);
  ASSERT_TRUE(succeeded(gradients));
  for (auto [name, gradient] : llvm::zip(names, *gradients))
    ASSERT_TRUE(gradient) << name;
  end->setOperands(*gradients);
  backward.setType(builder.getFunctionType(backward.getArgumentTypes(),
                                           end->getOperandTypes()));
  ASSERT_TRUE(succeeded(verify(*module)));

  RandomNumbers random(1);
  GlobalNumbers globals = drawGlobals(*module, random);
  const Numbers timesteps = {3, 700}, labels = {1, 3};
  std::vector<Numbers> arguments = {random.draw(2 * 2 * 4 * 4, -1, 1),
                                    timesteps, labels,
                                    random.draw(2 * 4 * 4 * 4, -1, 1)};
  std::vector<Numbers> slopes = evaluate(backward, arguments, globals);
  ASSERT_EQ(slopes.size(), names.size());
  auto loss = [&] { return evaluate(forward, arguments, globals)[0][0]; };
  for (auto [name, slope] : llvm::zip(names, slopes)) {
    SCOPED_TRACE(name);
    Numbers &values = globals[name];
    expectDifferences(values, loss, random.choose(entriesEach, values.size()),
                      slope);
  }
}

} // namespace
