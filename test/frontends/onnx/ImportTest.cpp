//===- ImportTest.cpp - Whole models: fixtures, options, names ------------===//
#include "frontends/onnx/FileMapping.h"
#include "test/frontends/onnx/Importing.h"

using namespace dit;
using namespace dit::onnx;
using namespace dit::onnx::test;

static std::string fixture(const std::string &name) {
  return std::string(DIT_FIXTURES) + "/" + name + ".onnx";
}

static ImportOptions withBatch(int64_t batch) {
  ImportOptions options;
  options.batch = batch;
  return options;
}

//===----------------------------------------------------------------------===//
// Fixtures
//===----------------------------------------------------------------------===//

namespace {
struct Fixture {
  const char *file;
  bool dynamic;
};
} // namespace

static const Fixture fixtures[] = {
    {"dit_diffusers_dynamo_op18_dyn_fp32", true},
    {"dit_diffusers_dynamo_op20_static_fp16", false},
    {"dit_diffusers_h48_dynamo_op23_static_fp32", false},
    {"dit_diffusers_ts_op14_dyn_fp32", true},
    {"dit_fb_dynamo_op18_static_bf16", false},
    {"dit_fb_dynamo_op20_dyn_fp32", true},
    {"dit_fb_dynamo_op23_dyn_fp32_ext", true},
    {"dit_fb_ts_op17_dyn_fp16", true},
    {"dit_fb_ts_op17_dyn_fp32", true},
    {"dit_fb_ts_op17_static_fp32_ortbasic", false},
    {"flux_dynamo_op18_dyn_fp32", true},
    {"latte_dynamo_op20_static_fp32", false},
    {"pixart_ts_op17_static_fp32", false},
    {"sd3_dynamo_op18_dyn_fp32", true},
};

TEST(Import, EveryFixtureBecomesFloatingPointTensors) {
  for (const Fixture &fixture : fixtures) {
    Imported imported;
    imported.open(::fixture(fixture.file),
                  fixture.dynamic ? withBatch(3) : ImportOptions());
    ASSERT_EQ(imported.error, "") << fixture.file;
    EXPECT_EQ(imported.warnings, "") << fixture.file;
    mlir::func::FuncOp function = imported.function();
    EXPECT_EQ(llvm::cast<mlir::RankedTensorType>(function.getResultTypes()[0])
                  .getDimSize(0),
              fixture.dynamic ? 3 : 2);
    // What is left of integers are the inputs on their way: no shapes.
    function.walk([&](mlir::Operation *op) {
      EXPECT_TRUE(llvm::isa<mlir::NameLoc>(op->getLoc()));
      if (op->getNumResults() == 1 && op->getNumOperands() > 0)
        EXPECT_TRUE(llvm::isa<mlir::FloatType>(
                        getTensorType(op->getResult(0)).getElementType()) ||
                    (llvm::isa<mlir::tensor::ExpandShapeOp,
                               mlir::tensor::CollapseShapeOp>(op)))
            << fixture.file << ": " << op->getName().getStringRef().str();
    });
  }
}

TEST(Import, EveryExportOfOneModelHasTheSameParameters) {
  std::vector<std::string> facebook, diffusers;
  for (const Fixture &fixture : fixtures) {
    llvm::StringRef name = fixture.file;
    if (!name.starts_with("dit_"))
      continue;
    Imported imported;
    imported.open(::fixture(fixture.file),
                  fixture.dynamic ? withBatch(2) : ImportOptions());
    std::vector<std::string> &expected =
        name.starts_with("dit_fb") ? facebook : diffusers;
    if (expected.empty())
      expected = parameters(imported);
    EXPECT_EQ(parameters(imported), expected) << fixture.file;
  }
  EXPECT_EQ(facebook.size(), 32u);
  EXPECT_TRUE(llvm::is_contained(facebook, "blocks.1.attn.qkv.weight"));
  EXPECT_TRUE(llvm::is_contained(facebook, "final_layer.linear.weight"));
  EXPECT_EQ(diffusers.size(), 44u);
  EXPECT_TRUE(llvm::is_contained(diffusers,
                                 "transformer_blocks.0.attn1.to_out.0.weight"));
}

TEST(Import, WeightsAreSpansOfTheFile) {
  Imported imported;
  auto model = OnnxModel::open(fixture("dit_fb_ts_op17_dyn_fp32"));
  ASSERT_TRUE(bool(model));
  llvm::StringRef file = (*model)->mapping()->bytes();
  imported.note(importModel(**model, withBatch(1), *imported.module,
                            [](const llvm::Twine &) {}));
  model->reset(); // The mapping lives on.
  auto global =
      imported.module->lookupSymbol<GlobalOp>("blocks.0.attn.qkv.weight");
  ASSERT_TRUE(global);
  EXPECT_EQ(global.getTensorType().getShape(),
            (llvm::ArrayRef<int64_t>{64, 192}));
  EXPECT_TRUE(global.getTrainable());
  EXPECT_TRUE(global->hasAttr("dit.transposed"));
  auto source = llvm::cast<mlir::DenseResourceElementsAttr>(
      llvm::cast<PieceAttr>(global.getPieces()[0]).getSource());
  llvm::ArrayRef<char> data = source.getRawHandle().getBlob()->getData();
  EXPECT_EQ(data.size(), 64u * 192 * 4);
  EXPECT_GE(data.data(), file.begin());
  EXPECT_LE(data.end(), file.end());
  EXPECT_FALSE(
      imported.module->lookupSymbol<GlobalOp>("pos_embed").getTrainable());
  EXPECT_FALSE(
      imported.module->lookupSymbol<GlobalOp>("t_embedder.mlp.0.weight")
          ->hasAttr("dit.transposed"));
}

TEST(Import, TwiceWithAnotherBatchSharesTheGlobals) {
  Imported imported;
  imported.open(fixture("dit_diffusers_dynamo_op18_dyn_fp32"), withBatch(4));
  ASSERT_EQ(imported.error, "");
  size_t globals = llvm::range_size(imported.module->getOps<GlobalOp>());
  auto model = OnnxModel::open(fixture("dit_diffusers_dynamo_op18_dyn_fp32"));
  Imported twice;
  for (int64_t batch : {4, 2}) {
    ImportOptions options = withBatch(batch);
    options.functionName = "forward_" + std::to_string(batch);
    twice.note(importModel(**model, options, *twice.module,
                           [](const llvm::Twine &) {}));
    ASSERT_EQ(twice.error, "");
  }
  EXPECT_EQ(llvm::range_size(twice.module->getOps<GlobalOp>()),
            int64_t(globals));
  EXPECT_TRUE(twice.function("forward_2"));
  ImportOptions again;
  again.functionName = "forward_2";
  twice.note(
      importModel(**model, again, *twice.module, [](const llvm::Twine &) {}));
  EXPECT_EQ(twice.code, 78);
}

TEST(Import, DescribesTheModel) {
  auto model = OnnxModel::open(fixture("dit_fb_dynamo_op20_dyn_fp32"));
  ASSERT_TRUE(bool(model));
  auto interface = describe(**model, {});
  ASSERT_TRUE(bool(interface));
  ASSERT_EQ(interface->inputs.size(), 3u);
  EXPECT_EQ(interface->inputs[0].name, "x");
  EXPECT_EQ(interface->inputs[0].kind, InputKind::Picture);
  EXPECT_EQ(interface->inputs[0].dims[0].symbol, "batch");
  EXPECT_TRUE(interface->inputs[0].dims[0].isBatch);
  EXPECT_EQ(interface->inputs[0].dims[0].size, std::nullopt);
  EXPECT_EQ(interface->inputs[0].dims[1].size, 4);
  EXPECT_EQ(interface->inputs[1].kind, InputKind::Timestep);
  EXPECT_EQ(interface->inputs[2].kind, InputKind::Labels);
  EXPECT_TRUE(interface->isDenoiser());
  auto kinds = [](const char *file) {
    std::string text;
    auto model = OnnxModel::open(fixture(file));
    auto interface = describe(**model, {});
    for (const ValueInterface &input : interface->inputs)
      text += "PTLXO"[int(input.kind)];
    return text;
  };
  EXPECT_EQ(kinds("pixart_ts_op17_static_fp32"), "PXTO");
  EXPECT_EQ(kinds("sd3_dynamo_op18_dyn_fp32"), "PXXT");
  EXPECT_EQ(kinds("flux_dynamo_op18_dyn_fp32"), "PXXTOO");
  EXPECT_EQ(kinds("latte_dynamo_op20_static_fp32"), "PTX");
  EXPECT_EQ(kinds("dit_diffusers_ts_op14_dyn_fp32"), "PTL");
}

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

/// x [batch, seq, 4] → Relu.
static std::string dynamicModel() {
  GraphWriter graph;
  graph.input(value("x", ElementType::Float, {"batch", "seq", "4"}))
      .node(node("Relu", {"x"}, {"y"}))
      .output(value("y", ElementType::Float, {"batch", "seq", "4"}));
  return model(graph);
}

TEST(Options, GiveSizesToSymbols) {
  ImportOptions options = withBatch(2);
  options.dims["seq"] = 7;
  Imported imported;
  imported.import(dynamicModel(), options);
  EXPECT_NE(imported.text().find("tensor<2x7x4xf32>"), std::string::npos)
      << imported.text();
  // --dim alone may name the batch.
  options.batch.reset();
  options.dims["batch"] = 3;
  Imported named;
  named.import(dynamicModel(), options);
  EXPECT_NE(named.text().find("tensor<3x7x4xf32>"), std::string::npos)
      << named.text();
}

TEST(Options, ThatContradict) {
  auto refused = [](const std::string &file, std::optional<int64_t> batch,
                    std::vector<std::pair<const char *, int64_t>> dims,
                    const char *part) {
    ImportOptions options;
    options.batch = batch;
    for (auto [name, size] : dims)
      options.dims[name] = size;
    Imported imported;
    imported.import(file, options);
    EXPECT_EQ(imported.code, 78);
    EXPECT_NE(imported.error.find(part), std::string::npos) << imported.error;
  };
  refused(dynamicModel(), 2, {},
          "dimension 1 of the input 'x', 'seq': give it with --dim seq=N");
  refused(dynamicModel(), {}, {{"seq", 2}},
          "dimension 0 of the input 'x', 'batch': give it with --batch N");
  refused(dynamicModel(), 2, {{"sequence", 2}},
          "no such symbolic dimension; it has 'batch', 'seq'");
  refused(dynamicModel(), 2, {{"batch", 3}},
          "--batch 2 and --dim batch=3 give the batch dimension two sizes");
  refused(dynamicModel(), 2, {{"seq", 0}}, "--dim seq=0 is not a size");
  refused(dynamicModel(), 0, {}, "--batch 0 is not a size");
  refused(model(reluGraph()), 5, {},
          "--batch 5: the model's batch is fixed at 2 (dimension 0 of the "
          "input 'in')");
  refused(model(reluGraph()), {}, {{"x", 1}}, "it has none");
  GraphWriter unnamed;
  unnamed.input(value("x", ElementType::Float, {"", ""}))
      .node(node("Relu", {"x"}, {"y"}))
      .result("y");
  refused(model(unnamed), 2, {},
          "dimension 1 of the input 'x', without a name");
}

TEST(Options, AStaticBatchMayBeRepeated) {
  Imported imported;
  imported.import(model(reluGraph()), withBatch(2));
  EXPECT_EQ(imported.error, "");
}

//===----------------------------------------------------------------------===//
// What cannot be imported
//===----------------------------------------------------------------------===//

TEST(Unsupported, IsListedAllAtOnce) {
  GraphWriter graph;
  graph.input(value("x", ElementType::Float, {"2"}))
      .initializer(tensorHead("eight", ElementType::Uint8, {1}) + bytes(9, "a"))
      .node(node("NonMaxSuppression", {"x"}, {"a"}, "", "first"))
      .node(node("Relu", {"a"}, {"b"}))
      .node(node("Wobble", {"b"}, {"c"}, bytes(7, "org.other"), "second"))
      .node(node("Block", {"c"}, {"d"}, bytes(7, "local"), "third"))
      .node(node("Add", {"d", "eight"}, {"e"}))
      .node(node("Dead", {"x"}, {"unused"}))
      .result("e");
  Imported imported;
  imported.import(model(graph) + bytes(25, bytes(1, "Block")));
  EXPECT_EQ(imported.code, 69);
  EXPECT_EQ(imported.error,
            "'m': these cannot be imported:\n"
            "  the NonMaxSuppression node 'first': this op is not supported\n"
            "  the org.other Wobble node 'second': the domain 'org.other' is "
            "not known, or this op of it; ONNX's own ops are needed\n"
            "  the local Block node 'third': it calls a function of the model; "
            "export with functions inlined (onnx.inliner)\n"
            "  the initializer 'eight' has the element type uint8");
  EXPECT_FALSE(imported.function());
}

TEST(Unsupported, RandomNumbersComeFromTrainingMode) {
  GraphWriter graph = reluGraph();
  graph.node(node("RandomUniformLike", {"in"}, {"noise"}, "", "drop"))
      .result("noise");
  Imported imported;
  imported.import(model(graph));
  EXPECT_EQ(imported.code, 69);
  EXPECT_NE(
      imported.error.find(
          "'drop': it draws random numbers; export the model in eval mode"),
      std::string::npos);
}

TEST(Unsupported, InputsAndOutputs) {
  GraphWriter graph;
  graph.input(value("x", ElementType::Uint8, {"2"}))
      .node(node("Abs", {"x"}, {"y"}))
      .result("y");
  Imported typed;
  typed.import(model(graph));
  EXPECT_EQ(typed.code, 69);
  EXPECT_NE(typed.error.find("the input 'x' has the element type uint8"),
            std::string::npos);
  GraphWriter sequence;
  sequence.input(bytes(1, "x") + bytes(2, bytes(4, "")))
      .node(node("Abs", {"x"}, {"y"}))
      .result("y");
  Imported other;
  other.import(model(sequence));
  EXPECT_NE(other.error.find("the input 'x' has the element type undefined"),
            std::string::npos)
      << other.error;
  GraphWriter skip;
  skip.input(value("x", ElementType::Float, {"2", "4"}))
      .initializer(floats("g.g", {4}, {1, 2, 3, 4}))
      .node(node("SkipLayerNormalization", {"x", "x", "g.g"}, {"y", "mean"},
                 bytes(7, "com.microsoft")))
      .result("mean");
  Imported missing;
  missing.import(model(skip));
  EXPECT_EQ(missing.code, 69);
  EXPECT_EQ(missing.error, "'m': the output 'mean' cannot be computed");
}

TEST(Contradiction, OfShapesIsMalformed) {
  GraphWriter graph = reluGraph();
  graph.node(node("Relu", {"in"}, {"x"}))
      .output(value("x", ElementType::Float, {"2", "4"}));
  Imported imported;
  imported.import(model(graph));
  EXPECT_EQ(imported.code, 65);
  EXPECT_NE(
      imported.error.find(
          "the shape 2x3 of the output 'x' contradicts what the file declares"),
      std::string::npos);
}

TEST(Warnings, NameWeightsWithNan) {
  auto warnings = [](const std::string &tensor) {
    GraphWriter graph;
    graph.initializer(tensor)
        .node(node("Neg", {"layer.weight"}, {"y"}))
        .result("y");
    Imported imported;
    imported.import(model(graph));
    EXPECT_EQ(imported.error, "");
    return imported.warnings;
  };
  auto weight = [](ElementType type, const std::string &data) {
    return tensorHead("layer.weight", type, {1}) + bytes(9, data);
  };
  std::string expected = "the weight 'layer.weight' contains NaN\n";
  EXPECT_EQ(
      warnings(weight(ElementType::Float, rawBytes<float>({std::nanf("")}))),
      expected);
  EXPECT_EQ(
      warnings(weight(ElementType::Double, rawBytes<double>({std::nan("")}))),
      expected);
  EXPECT_EQ(
      warnings(weight(ElementType::Float16, rawBytes<uint16_t>({0xfe00}))),
      expected);
  EXPECT_EQ(
      warnings(weight(ElementType::BFloat16, rawBytes<uint16_t>({0x7fc0}))),
      expected);
  EXPECT_EQ(warnings(weight(ElementType::Float, rawBytes<float>({INFINITY}))),
            "");
}

//===----------------------------------------------------------------------===//
// Constants, branches, aliases
//===----------------------------------------------------------------------===//

TEST(Constants, OfEveryAttribute) {
  auto constant = [](const std::string &attribute) {
    GraphWriter graph;
    graph.node(node("Constant", {}, {"y"}, attribute)).result("y");
    Imported imported;
    imported.import(model(graph));
    return show(imported);
  };
  EXPECT_EQ(constant(bytes(5, bytes(1, "value") + bytes(5, I({1, 2})))),
            "2xi64: 1 2");
  EXPECT_EQ(constant(realAttribute("value_float", 1.5)), "f32: 1.5");
  EXPECT_EQ(constant(integerAttribute("value_int", 3)), "i64: 3");
  EXPECT_EQ(constant(integersAttribute("value_ints", {3, 4})), "2xi64: 3 4");
  EXPECT_EQ(constant(bytes(5, bytes(1, "value_floats") +
                                  bytes(7, rawBytes<float>({1, 2})))),
            "2xf32: 1 2");
  EXPECT_EQ(constant(textAttribute("value_string", "x")),
            "'m': these cannot be imported:\n  the Constant node of 'y': its "
            "value is of a kind or type that is not supported");
}

TEST(Constants, LargeOnesStayInTheFile) {
  std::vector<float> many(70000, 1);
  many[0] = 2;
  GraphWriter graph;
  graph.input(value("x", ElementType::Float, {"70000"}))
      .node(node("Constant", {}, {"table"},
                 bytes(5, bytes(1, "value") + bytes(5, F({70000}, many))),
                 "big"))
      .node(node("Add", {"x", "table"}, {"y"}))
      .result("y");
  Imported imported;
  imported.import(model(graph));
  auto global = imported.module->lookupSymbol<GlobalOp>("big");
  ASSERT_TRUE(global) << imported.text();
  EXPECT_EQ(global.getRole(), Role::Constant);
  EXPECT_TRUE(llvm::isa<mlir::DenseResourceElementsAttr>(
      llvm::cast<PieceAttr>(global.getPieces()[0]).getSource()));
}

TEST(Branches, OfAKnownConditionAreTaken) {
  auto choose = [](char condition) {
    auto branch = [](const char *name, const char *op) {
      GraphWriter graph;
      graph.node(node(op, {"c0"}, {std::string(op) + "_out"}))
          .result(std::string(op) + "_out");
      return bytes(5, bytes(1, name) + bytes(6, graph.content) + number(20, 5));
    };
    GraphWriter graph;
    graph.initializer(floats("c0", {1}, {4}))
        .initializer(booleans("c1", {}, {condition}))
        .node(
            node("If", {"c1"}, {"y"},
                 branch("then_branch", "Sqrt") + branch("else_branch", "Neg")))
        .result("y");
    Imported imported;
    imported.import(model(graph));
    return show(imported);
  };
  EXPECT_EQ(choose(1), "1xf32: 2");
  EXPECT_EQ(choose(0), "1xf32: -4");
}

TEST(Branches, OfAnUnknownConditionAreUnsupported) {
  GraphWriter branch, graph;
  branch.node(node("Neg", {"x"}, {"b"})).result("b");
  std::string attribute =
      bytes(5, bytes(1, "then_branch") + bytes(6, branch.content));
  graph.input(value("x", ElementType::Float, {"1"}))
      .input(value("c", ElementType::Bool, {}))
      .node(node("If", {"c"}, {"y"}, attribute, "choice"))
      .result("y");
  Imported imported;
  imported.import(model(graph));
  EXPECT_EQ(imported.code, 69);
  EXPECT_NE(
      imported.error.find(
          "the If node 'choice': its condition depends on the model's inputs"),
      std::string::npos);
}
