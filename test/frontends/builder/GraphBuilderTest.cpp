//===- GraphBuilderTest.cpp - Errors of the GraphBuilder ------------------===//
#include "frontends/builder/GraphBuilder.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dit;

namespace {
struct GraphBuilderTest : testing::Test {
  GraphBuilderTest()
      : handler(&context, [this](Diagnostic &diagnostic) {
          messages.push_back(diagnostic.str());
        }) {
    context.loadDialect<DitDialect, func::FuncDialect>();
    module = ModuleOp::create(UnknownLoc::get(&context));
    type = RankedTensorType::get({2, 8}, Float32Type::get(&context));
  }

  GraphBuilder start() {
    return GraphBuilder(*module, module->getLoc(), "forward", {{"x", type}});
  }

  MLIRContext context;
  std::vector<std::string> messages;
  ScopedDiagnosticHandler handler;
  OwningOpRef<ModuleOp> module;
  RankedTensorType type;
};
} // namespace

TEST_F(GraphBuilderTest, BuildsAFunction) {
  GraphBuilder graph = start();
  Tensor x = graph.input(0);
  Tensor y = graph.slice(graph.add(x, graph.splat(x, 1)), 1, 2, 3);
  auto function = graph.finish({{"y", y}});
  ASSERT_TRUE(succeeded(function));
  EXPECT_TRUE(succeeded(verify(*module)));
  EXPECT_EQ(cast<RankedTensorType>(function->getResultTypes()[0]).getShape(),
            llvm::ArrayRef<int64_t>({2, 3}));
  EXPECT_TRUE(messages.empty());
}

// One message a mistake: what follows from it is silent, and the function goes.
TEST_F(GraphBuilderTest, FirstMistakeIsToldOnce) {
  GraphBuilder graph = start();
  Tensor x = graph.input(0);
  Tensor wrong = graph.add(x, graph.slice(x, 1, 0, 4));
  EXPECT_FALSE(static_cast<bool>(wrong));
  Tensor after = graph.gelu(graph.mul(wrong, x), Approximate::Tanh);
  EXPECT_TRUE(failed(graph.finish({{"y", after}})));
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0], "cannot add tensor<2x8xf32> and tensor<2x4xf32>");
  EXPECT_TRUE(module->getOps<func::FuncOp>().empty());
}

TEST_F(GraphBuilderTest, EveryMisuseHasAMessage) {
  GraphBuilder graph = start();
  Tensor x = graph.input(0), w = graph.reshape(x, {4, 4});
  EXPECT_FALSE(graph.input(1));
  EXPECT_FALSE(graph.reshape(x, {3, 5}));
  EXPECT_FALSE(graph.transpose(x, {0, 0}));
  EXPECT_FALSE(graph.broadcast(x, {2, 4, 9}, {0, 2}));
  EXPECT_FALSE(graph.slice(x, 1, 4, 5));
  EXPECT_FALSE(graph.concat({x, w}, 0));
  EXPECT_FALSE(graph.concat({}, 0));
  EXPECT_FALSE(graph.linear(x, w, x));
  EXPECT_FALSE(graph.gather(x, x));
  EXPECT_FALSE(graph.attention(x, x, x, 1));
  EXPECT_FALSE(graph.constant("c", {3}, {1, 2}));
  EXPECT_EQ(messages.size(), 11u);
  EXPECT_TRUE(failed(graph.finish({{"x", x}})));
}

TEST_F(GraphBuilderTest, FunctionsShareParameters) {
  auto init =
      InitAttr::get(&context, InitKind::Zeros,
                    FloatAttr::get(Float64Type::get(&context), 0), 0, 0, 0, 8);
  for (llvm::StringRef name : {"a", "b"}) {
    GraphBuilder graph(*module, module->getLoc(), name, {{"x", type}});
    Tensor b = graph.parameter({"bias", {2, 8}, init});
    ASSERT_TRUE(succeeded(graph.finish({{"y", graph.add(graph.input(0), b)}})));
  }
  EXPECT_EQ(llvm::range_size(module->getOps<GlobalOp>()), 1u);
  GraphBuilder graph(*module, module->getLoc(), "c", {{"x", type}});
  EXPECT_FALSE(graph.parameter({"bias", {8}, init}));
  EXPECT_EQ(messages.size(), 1u);
}
