//===- ParameterNamesTest.cpp - PyTorch's names of weights ----------------===//
#include "frontends/onnx/ParameterNames.h"
#include "test/frontends/onnx/ModelWriter.h"
#include "gtest/gtest.h"

#include <algorithm>

using namespace dit::onnx;
using namespace dit::onnx::test;

/// name_scopes of dynamo.
static std::string scopes(const std::string &list) {
  return bytes(9, bytes(1, "pkg.torch.onnx.name_scopes") + bytes(2, list));
}

/// What input 1 of node `index` is: "blocks.0.fc.weight trainable transposed".
static std::string identify(const GraphWriter &graph, unsigned index = 0) {
  std::string file = model(graph);
  auto parsed = OnnxModel::parse(file, "m");
  EXPECT_TRUE(bool(parsed)) << llvm::toString(parsed.takeError());
  const Graph &contents = (*parsed)->graph();
  const Node &user = contents.nodes[index];
  for (const Tensor &tensor : contents.initializers) {
    if (tensor.name != user.inputs[1])
      continue;
    auto identity = ParameterNames(contents).identify(tensor, user, 1);
    if (!identity.isParameter)
      return "constant";
    return identity.name + (identity.isTrainable ? " trainable" : "") +
           (identity.isTransposed ? " transposed" : "");
  }
  return "none";
}

/// x · w → y, w called `name`.
static GraphWriter product(const std::string &name,
                           const std::string &rest = "",
                           const std::string &nodeName = "") {
  GraphWriter graph;
  graph.input(value("x", ElementType::Float, {"2", "2"}))
      .initializer(floats(name, {2, 2}, {1, 2, 3, 4}))
      .node(node("MatMul", {"x", name}, {"m"}, rest, nodeName));
  return graph;
}

TEST(ParameterNames, ComeFromTheBiasThatIsAdded) {
  GraphWriter graph = product("onnx::MatMul_402");
  graph.initializer(floats("blocks.0.fc.bias", {2}, {1, 2}))
      .node(node("Add", {"blocks.0.fc.bias", "m"}, {"y"}))
      .result("y");
  EXPECT_EQ(identify(graph), "blocks.0.fc.weight trainable transposed");
  // onnxsim and ONNX Runtime put a Reshape between.
  GraphWriter reshaped = product("_v_806");
  reshaped.initializer(floats("fc.bias", {2}, {1, 2}))
      .initializer(integers("s", {1}, {4}))
      .node(node("Reshape", {"m", "s"}, {"r"}))
      .node(node("Add", {"r", "fc.bias"}, {"y"}))
      .result("y");
  EXPECT_EQ(identify(reshaped), "fc.weight trainable transposed");
}

TEST(ParameterNames, ComeFromDynamosScopes) {
  GraphWriter graph = product(
      "val_51", scopes("['', 'blocks.0', 'blocks.0.to_q', 'linear_3']"));
  EXPECT_EQ(identify(graph.result("m")),
            "blocks.0.to_q.weight trainable transposed");
  GraphWriter shallow = product("val_51", scopes("['', 'linear_3']"));
  EXPECT_EQ(identify(shallow.result("m")), "val_51 trainable");
}

/// Dynamo's metadata of a Linear called `path`.
static std::string linear(const std::string &path) {
  std::string mangled = path;
  std::replace(mangled.begin(), mangled.end(), '.', '_');
  return scopes("['', '" + path + "', 'linear_3']") +
         bytes(9, bytes(1, "pkg.torch.onnx.fx_node") +
                      bytes(2, "%linear_3 : [num_users=1] = "
                               "call_function[target=torch.ops.aten.linear."
                               "default](args = (%x, %p_" +
                                   mangled + "_weight, %p_" + mangled +
                                   "_bias), kwargs = {})"));
}

TEST(ParameterNames, TellMergedTensorsApart) {
  // All zero biases are one initializer, and so are equal small weights.
  GraphWriter graph = product("blocks.0.fc.weight", linear("blocks.1.fc"));
  graph.initializer(floats("blocks.0.fc.bias", {2}, {0, 0}))
      .node(
          node("Add", {"m", "blocks.0.fc.bias"}, {"y"}, linear("blocks.1.fc")))
      .result("y");
  EXPECT_EQ(identify(graph), "blocks.1.fc.weight trainable transposed");
  EXPECT_EQ(identify(graph, 1), "blocks.1.fc.bias trainable");
  // A generated name, and the bias of another: the op's own.
  GraphWriter other = product("val_13", linear("blocks.1.fc"));
  other.initializer(floats("blocks.0.fc.bias", {2}, {0, 0}))
      .node(
          node("Add", {"m", "blocks.0.fc.bias"}, {"y"}, linear("blocks.1.fc")))
      .result("y");
  EXPECT_EQ(identify(other), "blocks.1.fc.weight trainable transposed");
  // A module that two blocks share passes its own.
  GraphWriter shared = product("blocks.0.fc.weight", linear("blocks.0.fc"));
  EXPECT_EQ(identify(shared.result("m")), "blocks.0.fc.weight trainable");
}

/// A norm's weight has one dimension as its bias has.
TEST(ParameterNames, TellNormsApart) {
  std::string metadata =
      scopes("['', 'blocks.1.norm', 'layer_norm_3']") +
      bytes(9, bytes(1, "pkg.torch.onnx.fx_node") +
                   bytes(2, "%layer_norm_3 : (args = (%x, [2], "
                            "%p_blocks_1_norm_weight, %p_blocks_1_norm_bias)"));
  auto graph = [&] {
    GraphWriter graph;
    graph.input(value("x", ElementType::Float, {"2", "2"}))
        .initializer(floats("blocks.0.norm.weight", {2}, {1, 1}))
        .initializer(floats("blocks.0.norm.bias", {2}, {0, 0}))
        .node(node("LayerNormalization",
                   {"x", "blocks.0.norm.weight", "blocks.0.norm.bias"}, {"y"},
                   metadata))
        .result("y");
    return graph;
  };
  std::string file = model(graph());
  auto parsed = OnnxModel::parse(file, "m");
  ASSERT_TRUE(bool(parsed)) << llvm::toString(parsed.takeError());
  const Graph &contents = (*parsed)->graph();
  ParameterNames names(contents);
  const Node &norm = contents.nodes.front();
  EXPECT_EQ(names.identify(contents.initializers[0], norm, 1).name,
            "blocks.1.norm.weight");
  EXPECT_EQ(names.identify(contents.initializers[1], norm, 2).name,
            "blocks.1.norm.bias");
}

TEST(ParameterNames, KnowDroppedBiases) {
  auto dropped = [](const std::string &opType, const std::string &rest,
                    std::vector<std::string> inputs = {"x", "w"}) {
    GraphWriter graph;
    graph.input(value("x", ElementType::Float, {"2", "2"}))
        .initializer(floats("w", {2, 2}, {1, 2, 3, 4}))
        .initializer(floats("b", {2}, {1, 2}))
        .node(node(opType, inputs, {"y"}, rest))
        .result("y");
    std::string file = model(graph);
    auto parsed = OnnxModel::parse(file, "m");
    EXPECT_TRUE(bool(parsed)) << llvm::toString(parsed.takeError());
    const Graph &contents = (*parsed)->graph();
    return ParameterNames(contents).droppedBias(contents.nodes.front());
  };
  EXPECT_EQ(dropped("Gemm", linear("t.proj")), "t.proj.bias");
  EXPECT_EQ(dropped("MatMul", linear("t.proj")), "");
  EXPECT_EQ(dropped("Gemm", linear("t.proj"), {"x", "w", "b"}), "");
  EXPECT_EQ(dropped("Gemm", scopes("['', 't.proj', 'linear']")), "");
}

TEST(ParameterNames, ComeFromTorchScriptsNodes) {
  auto of = [](const std::string &name) {
    return identify(product("onnx::MatMul_7", "", name).result("m"));
  };
  EXPECT_EQ(of("/blocks.0/attn/qkv/MatMul"),
            "blocks.0.attn.qkv.weight trainable transposed");
  // Children of a Sequential or ModuleList repeat its name.
  EXPECT_EQ(of("/attn/to_out/to_out.0/MatMul"),
            "attn.to_out.0.weight trainable transposed");
  EXPECT_EQ(of("MatMul_3"), "onnx::MatMul_7 trainable");
}

TEST(ParameterNames, OfAGemmAreItsBiass) {
  GraphWriter graph;
  graph.input(value("x", ElementType::Float, {"2", "2"}))
      .initializer(floats("val_3", {2, 2}, {1, 2, 3, 4}))
      .initializer(floats("fc.bias", {2}, {1, 2}))
      .node(node("Gemm", {"x", "val_3", "fc.bias"}, {"y"},
                 integerAttribute("transB", 1)))
      .result("y");
  EXPECT_EQ(identify(graph), "fc.weight trainable");
}

TEST(ParameterNames, OfTablesThatTorchScriptUnsqueezed) {
  auto of = [](const std::string &name) {
    GraphWriter graph;
    graph.input(value("x", ElementType::Float, {"1", "6", "2"}))
        .initializer(floats("onnx::Add_9", {1, 6, 2}, std::vector<float>(12)))
        .node(node("Add", {"x", "onnx::Add_9"}, {"y"}, "", name))
        .result("y");
    return identify(graph);
  };
  EXPECT_EQ(of("/transformer_blocks.0/Add"),
            "transformer_blocks.0.scale_shift_table trainable");
  EXPECT_EQ(of("/Add"), "scale_shift_table trainable");
}

TEST(ParameterNames, LeaveConstantsAlone) {
  auto of = [](const std::string &tensor, const std::string &name) {
    GraphWriter graph;
    graph.input(value("x", ElementType::Float, {"2"}))
        .initializer(tensor)
        .node(node("Mul", {"x", name}, {"y"}))
        .result("y");
    return identify(graph);
  };
  EXPECT_EQ(of(floats("val_48", {2}, {1, 1}), "val_48"), "constant");
  EXPECT_EQ(of(floats("/blocks.0/Constant_output_0", {2}, {1, 1}),
               "/blocks.0/Constant_output_0"),
            "constant");
  EXPECT_EQ(
      of(floats("scalar_tensor_default", {}, {1}), "scalar_tensor_default"),
      "constant");
  EXPECT_EQ(of(floats("scale", {}, {1}), "scale"), "constant");
  EXPECT_EQ(of(integers("fc.weight", {2}, {1, 1}), "fc.weight"), "constant");
  EXPECT_EQ(
      of(floats("pos_embed.pos_embed", {2}, {1, 1}), "pos_embed.pos_embed"),
      "constant");
  EXPECT_EQ(of(floats("fc.weight", {2}, {1, 1}), "fc.weight"),
            "fc.weight trainable");
  EXPECT_EQ(of(floats("pos_embed", {2}, {1, 1}), "pos_embed"), "pos_embed");
  EXPECT_EQ(of(floats("onnx::Mul_4", {2}, {1, 1}), "onnx::Mul_4"),
            "onnx::Mul_4 trainable");
}

TEST(ParameterNames, FollowWhatDynamoSaysOfThem) {
  auto of = [](const std::string &kind) {
    GraphWriter graph;
    graph.input(value("x", ElementType::Float, {"2"}))
        .initializer(floats("net.table", {2}, {1, 2}))
        .node(node("Mul", {"x", "net.table"}, {"y"}))
        .result("y");
    graph.add(13, value("net.table", ElementType::Float, {"2"}) +
                      bytes(4, bytes(1, kindKey.str()) + bytes(2, kind)));
    return identify(graph);
  };
  EXPECT_EQ(of("BUFFER"), "constant");
  EXPECT_EQ(of("PARAMETER"), "net.table trainable");
}

TEST(ParameterNames, DropAWrapperOfTheWholeModel) {
  auto graph = [](const std::string &wrapper, unsigned count) {
    GraphWriter graph = product(wrapper + "a.weight");
    for (unsigned index = 1; index < count; ++index)
      graph.initializer(
          floats(wrapper + "b" + std::to_string(index) + ".bias", {1}, {1}));
    return graph.result("m");
  };
  EXPECT_EQ(identify(graph("dit.", 4)), "a.weight trainable");
  EXPECT_EQ(identify(graph("dit.", 3)), "dit.a.weight trainable");
  // A list of modules does not wrap a model.
  GraphWriter list = product("blocks.0.weight");
  for (const char *name :
       {"blocks.1.weight", "blocks.2.weight", "blocks.3.weight"})
    list.initializer(floats(name, {1}, {1}));
  EXPECT_EQ(identify(list.result("m")), "blocks.0.weight trainable");
}

TEST(ParameterNames, OfASharedModuleAreItsFirstUsers) {
  GraphWriter graph =
      product("blocks.1.emb.weight",
              scopes("['', 'blocks.0', 'blocks.0.emb', 'linear']"));
  EXPECT_EQ(identify(graph.result("m")), "blocks.0.emb.weight trainable");
  GraphWriter other = product("blocks.1.emb.weight",
                              scopes("['', 'head', 'head.emb', 'linear']"));
  EXPECT_EQ(identify(other.result("m")), "blocks.1.emb.weight trainable");
}
