//===- MergedParametersTest.cpp - Parameters that exporters made one of ---===//
#include "test/frontends/onnx/Importing.h"

using namespace dit;
using namespace dit::onnx;
using namespace dit::onnx::test;

/// A bias, and another one that the exporter has made an Identity of it.
static GraphWriter makeAliases() {
  GraphWriter graph;
  graph.input(value("x", ElementType::Float, {"2"}))
      .initializer(floats("a.bias", {2}, {1, 2}))
      .node(node("Identity", {"a.bias"}, {"b.bias"}))
      .node(node("Add", {"x", "a.bias"}, {"y"}))
      .node(node("Add", {"y", "b.bias"}, {"z"}))
      .result("z");
  return graph;
}

TEST(Aliases, AreParametersOfTheirOwn) {
  GraphWriter graph = makeAliases();
  Imported imported;
  imported.import(model(graph));
  EXPECT_EQ(imported.error, "");
  EXPECT_EQ(parameters(imported),
            (std::vector<std::string>{"a.bias", "b.bias"}));
}

/// Dynamo drops a bias that is zero; a model that is trained has it.
TEST(Aliases, DroppedBiasesAreParametersOfZeros) {
  std::string metadata =
      bytes(9, bytes(1, "pkg.torch.onnx.name_scopes") +
                   bytes(2, "['', 'blocks.1.fc', 'linear_3']")) +
      bytes(9, bytes(1, "pkg.torch.onnx.fx_node") +
                   bytes(2, "%linear_3 : (args = (%x, %p_blocks_1_fc_weight, "
                            "%p_blocks_1_fc_bias), kwargs = {})"));
  GraphWriter graph;
  graph.input(value("x", ElementType::Float, {"4", "2"}))
      .initializer(floats("blocks.1.fc.weight", {2, 3}, {1, 2, 3, 4, 5, 6}))
      .node(node("Gemm", {"x", "blocks.1.fc.weight"}, {"y"}, metadata))
      .result("y");
  Imported imported;
  imported.import(model(graph));
  EXPECT_EQ(imported.error, "");
  EXPECT_EQ(
      parameters(imported),
      (std::vector<std::string>{"blocks.1.fc.bias", "blocks.1.fc.weight"}));
  auto bias = imported.module->lookupSymbol<GlobalOp>("blocks.1.fc.bias");
  ASSERT_TRUE(bias);
  EXPECT_EQ(bias.getTensorType().getShape(), llvm::ArrayRef<int64_t>{3});
  EXPECT_TRUE(bias.getTrainable());
}

/// Dynamo's metadata of a Linear called `path` that was passed `passed`.
static std::string calling(const std::string &path, const std::string &passed) {
  return bytes(9, bytes(1, "pkg.torch.onnx.name_scopes") +
                      bytes(2, "['', '" + path + "', 'linear_3']")) +
         bytes(9, bytes(1, "pkg.torch.onnx.fx_node") +
                      bytes(2, "%linear_3 : (args = (%x, " + passed +
                                   "), kwargs = {})"));
}

/// Two layers after each other, of these weights and biases.
static GraphWriter layers(const std::string &weight1, const std::string &bias1,
                          const std::string &weight2, const std::string &bias2,
                          const std::string &metadata2 = "") {
  GraphWriter graph;
  graph.input(value("x", ElementType::Float, {"1", "2"}))
      .initializer(floats("l.0.weight", {2, 2}, {1, 2, 3, 4}))
      .initializer(floats("l.1.weight", {2, 2}, {1, 2, 3, 5}))
      .initializer(floats("l.0.bias", {2}, {0, 0}))
      .initializer(floats("l.1.bias", {2}, {0, 1}))
      .node(node("MatMul", {"x", weight1}, {"m"}))
      .node(node("Add", {"m", bias1}, {"h"}))
      .node(node("Gemm", {"h", weight2, bias2}, {"y"}, metadata2, "second"))
      .result("y");
  return graph;
}

static Imported &importFor(Imported &imported, const GraphWriter &graph,
                           bool asIs = false) {
  ImportOptions options;
  options.refuseMerged = true;
  options.asIs = asIs;
  imported.import(model(graph), options);
  return imported;
}

TEST(Merged, WithoutMetadataIsRefusedWithTheList) {
  Imported bias;
  importFor(bias, layers("l.0.weight", "l.0.bias", "l.1.weight", "l.0.bias"));
  EXPECT_EQ(bias.code, 69);
  EXPECT_NE(
      bias.error.find("'l.0.bias' goes with 'l.0.weight', 'l.1.weight'\n"),
      std::string::npos)
      << bias.error;
  EXPECT_NE(bias.error.find("--as-is"), std::string::npos);
  EXPECT_FALSE(bias.function());
  Imported weight;
  importFor(weight, layers("l.0.weight", "l.0.bias", "l.0.weight", "l.1.bias"));
  EXPECT_NE(weight.error.find("'l.0.weight' goes with 'l.0.bias', 'l.1.bias'"),
            std::string::npos)
      << weight.error;

  // Whoever only runs the model does not care, and a user may want it so.
  Imported run;
  run.import(model(layers("l.0.weight", "l.0.bias", "l.1.weight", "l.0.bias")));
  EXPECT_EQ(run.error, "");
  Imported literal;
  importFor(literal, layers("l.0.weight", "l.0.bias", "l.1.weight", "l.0.bias"),
            /*asIs=*/true);
  EXPECT_EQ(literal.error, "");
  EXPECT_EQ(parameters(literal),
            (std::vector<std::string>{"l.0.bias", "l.0.weight", "l.1.weight"}));
}

TEST(Merged, SharedAndSeparateLayersAreNone) {
  Imported separate;
  importFor(separate,
            layers("l.0.weight", "l.0.bias", "l.1.weight", "l.1.bias"));
  EXPECT_EQ(separate.error, "");
  EXPECT_EQ(parameters(separate).size(), 4u);
  Imported shared;
  importFor(shared, layers("l.0.weight", "l.0.bias", "l.0.weight", "l.0.bias"));
  EXPECT_EQ(shared.error, "");
  EXPECT_EQ(parameters(shared),
            (std::vector<std::string>{"l.0.bias", "l.0.weight"}));
}

TEST(Merged, MetadataTellsApart) {
  GraphWriter graph =
      layers("l.0.weight", "l.0.bias", "l.1.weight", "l.0.bias",
             calling("adaLN.2", "%p_l_1_weight, %p_adaln_2_bias"));
  Imported apart;
  importFor(apart, graph);
  EXPECT_EQ(apart.error, "");
  EXPECT_EQ(parameters(apart),
            (std::vector<std::string>{"adaLN.2.bias", "l.0.bias", "l.0.weight",
                                      "l.1.weight"}));
  Imported literal;
  importFor(literal, graph, /*asIs=*/true);
  EXPECT_EQ(parameters(literal),
            (std::vector<std::string>{"l.0.bias", "l.0.weight", "l.1.weight"}));

  // It says that the bias was another one, but not which.
  Imported unknown;
  importFor(unknown, layers("l.0.weight", "l.0.bias", "l.1.weight", "l.1.bias",
                            calling("l.1", "%p_l_1_weight, %p_first_shift")));
  EXPECT_EQ(unknown.code, 69);
  EXPECT_NE(unknown.error.find("'l.1.bias' stands for another parameter at the "
                               "Gemm node 'second'"),
            std::string::npos)
      << unknown.error;
}

TEST(Merged, DroppedBiases) {
  auto graph = [](const std::string &passed) {
    GraphWriter graph;
    graph.input(value("x", ElementType::Float, {"4", "2"}))
        .initializer(floats("fc.weight", {2, 3}, {1, 2, 3, 4, 5, 6}))
        .node(node("Gemm", {"x", "fc.weight"}, {"y"}, calling("fc", passed),
                   "product"))
        .result("y");
    return graph;
  };
  Imported literal;
  importFor(literal, graph("%p_fc_weight, %p_fc_bias"), /*asIs=*/true);
  EXPECT_EQ(literal.error, "");
  EXPECT_EQ(parameters(literal), (std::vector<std::string>{"fc.weight"}));
  Imported unknown;
  importFor(unknown, graph("%p_fc_weight, %p_other_bias"));
  EXPECT_EQ(unknown.code, 69);
  EXPECT_NE(unknown.error.find("a bias was dropped at the Gemm node 'product'"),
            std::string::npos)
      << unknown.error;
}

TEST(Merged, AliasesAreLiterallyOne) {
  GraphWriter graph = makeAliases();
  Imported imported;
  importFor(imported, graph, /*asIs=*/true);
  EXPECT_EQ(imported.error, "");
  EXPECT_EQ(parameters(imported), (std::vector<std::string>{"a.bias"}));
}
