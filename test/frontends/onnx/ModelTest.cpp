//===- ModelTest.cpp - Every bad ONNX file ends in a clear error ----------===//
#include "test/frontends/onnx/Reading.h"

using namespace dit::onnx;
using namespace dit::onnx::test;

//===----------------------------------------------------------------------===//
// Files that are right
//===----------------------------------------------------------------------===//

TEST(Model, ReadsASmallModel) {
  std::string bytes = model(reluGraph().initializer(floats("w", {2}, {1, 2})));
  auto parsed = OnnxModel::parse(bytes, "m");
  ASSERT_TRUE(bool(parsed)) << llvm::toString(parsed.takeError());
  const Graph &graph = (*parsed)->graph();
  EXPECT_EQ((*parsed)->opset(), 18);
  EXPECT_EQ((*parsed)->name(), "m");
  EXPECT_EQ((*parsed)->mapping(), nullptr);
  ASSERT_EQ(graph.nodes.size(), 1u);
  EXPECT_EQ(graph.nodes[0].opType, "Relu");
  EXPECT_EQ(graph.nodes[0].label(), "Relu node of 'out'");
  ASSERT_EQ(graph.initializers.size(), 1u);
  // The data is the file's, not a copy.
  const char *data = graph.initializers[0].data.data();
  EXPECT_GE(data, bytes.data());
  EXPECT_LT(data, bytes.data() + bytes.size());
  EXPECT_EQ(graph.inputs[0].shape->at(1).size, 3);
}

TEST(Model, ReadsTypedDataOfEveryKind) {
  auto read = [](const std::string &tensor) {
    std::string bytes = withTensor(tensor);
    auto parsed = OnnxModel::parse(bytes, "m");
    EXPECT_TRUE(bool(parsed)) << llvm::toString(parsed.takeError());
    return parsed ? (*parsed)->graph().initializers[0].data.str() : "";
  };
  using E = ElementType;
  std::string one = rawBytes<float>({1}), two = rawBytes<float>({2});
  EXPECT_EQ(read(tensorHead("w", E::Float, {2}) + bytes(4, one + two)),
            one + two);
  EXPECT_EQ(read(tensorHead("w", E::Float, {2}) + real(4, 1) + real(4, 2)),
            one + two);
  EXPECT_EQ(read(tensorHead("w", E::Double, {1}) +
                 bytes(10, rawBytes<double>({0.5}))),
            rawBytes<double>({0.5}));
  EXPECT_EQ(read(tensorHead("w", E::Int64, {2}) + number(7, -3) + number(7, 5)),
            rawBytes<int64_t>({-3, 5}));
  EXPECT_EQ(read(tensorHead("w", E::Int64, {2}) +
                 bytes(7, varint(uint64_t(-3)) + varint(5))),
            rawBytes<int64_t>({-3, 5}));
  EXPECT_EQ(read(tensorHead("w", E::Float16, {2}) +
                 bytes(5, varint(0x3c00) + varint(1))),
            rawBytes<uint16_t>({0x3c00, 1}));
  EXPECT_EQ(
      read(tensorHead("w", E::Bool, {2}) + bytes(5, "\1" + std::string(1, 0))),
      std::string("\1\0", 2));
  EXPECT_EQ(read(tensorHead("w", E::Uint64, {1}) + number(11, 7)),
            rawBytes<uint64_t>({7}));
  EXPECT_EQ(read(tensorHead("w", E::Float, {0, 3})), "");
}

TEST(Model, ReadsEveryKindOfAttribute) {
  GraphWriter graph = reluGraph();
  std::string list =
      bytes(5, bytes(1, "f") + bytes(7, rawBytes<float>({1, 2})));
  std::string texts = bytes(5, bytes(1, "s") + bytes(9, "a") + bytes(9, "b"));
  std::string tensor =
      bytes(5, bytes(1, "t") + bytes(5, integers("", {1}, {4})));
  std::string metadata = bytes(9, bytes(1, "key") + bytes(2, "value"));
  graph.node(node("Any", {"out"}, {"more"},
                  integerAttribute("i", -1) + realAttribute("r", 0.5) +
                      textAttribute("x", "text") +
                      integersAttribute("l", {1, 2}) + list + texts + tensor +
                      metadata + bytes(7, "ai.onnx"),
                  "any"));
  std::string bytes = model(graph);
  auto parsed = OnnxModel::parse(bytes, "m");
  ASSERT_TRUE(bool(parsed)) << llvm::toString(parsed.takeError());
  const Node &any = (*parsed)->graph().nodes[1];
  EXPECT_EQ(any.label(), "Any node 'any'");
  EXPECT_EQ(any.find("i")->integer, -1);
  EXPECT_EQ(any.find("r")->number, 0.5);
  EXPECT_EQ(any.find("x")->text, "text");
  EXPECT_EQ(any.find("l")->integers, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(any.find("f")->numbers, (std::vector<float>{1, 2}));
  EXPECT_EQ(any.find("s")->texts.size(), 2u);
  EXPECT_EQ(any.find("t")->tensor->size(), 1);
  EXPECT_EQ(any.find("none"), nullptr);
  EXPECT_EQ(findProperty(any.metadata, "key"), "value");
  EXPECT_EQ(findProperty(any.metadata, "no"), std::nullopt);
}

TEST(Model, SortsNodesThatStandBeforeTheirInputs) {
  GraphWriter graph;
  graph.input(value("in", ElementType::Float, {"2"}))
      .node(node("Tanh", {"b"}, {"c"}))
      .node(node("Sin", {"a"}, {"b"}))
      .node(node("Cos", {"in"}, {"a"}))
      .result("c");
  std::string bytes = model(graph);
  auto parsed = OnnxModel::parse(bytes, "m");
  ASSERT_TRUE(bool(parsed)) << llvm::toString(parsed.takeError());
  EXPECT_EQ((*parsed)->graph().nodes[0].opType, "Cos");
  EXPECT_EQ((*parsed)->graph().nodes[2].opType, "Tanh");
}

TEST(Model, DropsInputsThatRepeatAnInitializer) {
  GraphWriter graph = reluGraph();
  graph.initializer(floats("w", {1}, {1}))
      .input(value("w", ElementType::Float, {"1"}));
  std::string bytes = model(graph);
  auto parsed = OnnxModel::parse(bytes, "m");
  ASSERT_TRUE(bool(parsed));
  EXPECT_EQ((*parsed)->graph().inputs.size(), 1u);
}

TEST(Model, NamesElementTypes) {
  std::string names;
  for (int type = 0; type <= 17; ++type)
    names += nameOf(ElementType(type)) + ":" +
             std::to_string(sizeOf(ElementType(type))) + " ";
  EXPECT_EQ(names,
            "undefined:0 float32:4 uint8:1 int8:1 uint16:2 int16:2 "
            "int32:4 int64:8 string:0 bool:1 float16:2 float64:8 "
            "uint32:4 uint64:8 type 14:0 type 15:0 bfloat16:2 type 17:0 ");
}

//===----------------------------------------------------------------------===//
// Not a model
//===----------------------------------------------------------------------===//

TEST(BadModel, MissingFolderEmptyPipe) {
  Folder folder;
  EXPECT_REFUSED(open(folder.at("no.onnx")), 66, "No such file or directory");
  EXPECT_REFUSED(open(folder.path.str().str()), 66,
                 "is a folder; name the .onnx file itself");
  EXPECT_REFUSED(open(folder.write("empty.onnx", "")), 65, "the file is empty");
  ASSERT_EQ(mkfifo(folder.at("pipe").c_str(), 0600), 0);
  EXPECT_REFUSED(open(folder.at("pipe")), 66, "is not a regular file");
}

TEST(BadModel, OtherKindsOfFiles) {
  EXPECT_REFUSED(parse("PK\x03\x04xxxxarchive/data.pkl"), 77,
                 "this is a PyTorch file (.pt, .pth), not ONNX");
  EXPECT_REFUSED(parse("PK\x03\x04x.npy"), 65, "this is a zip archive");
  EXPECT_REFUSED(parse("\x80\x02}q"), 77, "this is a Python pickle");
  EXPECT_REFUSED(parse(std::string("\2\0\0\0\0\0\0\0{}", 10)), 65,
                 "this is a safetensors file: weights without a graph");
  EXPECT_REFUSED(parse("hello, world"), 65, "'m': byte ");
  EXPECT_REFUSED(parse(number(1, 8)), 65, "has no graph");
}

TEST(BadModel, TruncatedAnywhereIsAnErrorOrSmaller) {
  std::string whole = model(reluGraph().initializer(floats("w", {2}, {1, 2})));
  for (size_t size = 0; size < whole.size(); ++size) {
    Outcome outcome = parse(whole.substr(0, size));
    EXPECT_EQ(outcome.code, 65) << size;
    EXPECT_NE(outcome.text, "") << size;
  }
}

TEST(BadModel, RandomBytesNeverPass) {
  uint32_t state = 1;
  for (unsigned round = 0; round < 2000; ++round) {
    std::string junk;
    for (unsigned i = 0; i < 64; ++i)
      junk += static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    EXPECT_NE(parse(junk).code, 0);
  }
}

TEST(BadModel, AnyByteChangedIsReadOrRefused) {
  // No crash and no hang; sanitizers and the fuzzer look deeper.
  std::string whole = model(reluGraph().initializer(floats("w", {2}, {1, 2})));
  for (size_t place = 0; place < whole.size(); ++place)
    for (int value = 0; value < 256; value += 5) {
      std::string copy = whole;
      copy[place] = static_cast<char>(value);
      parse(copy);
    }
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

TEST(BadModel, WrongWireTypes) {
  EXPECT_REFUSED(parse(bytes(1, "x")), 65,
                 "ir_version has the wrong wire type");
  EXPECT_REFUSED(parse(number(7, 1)), 65, "a graph has the wrong wire type");
  EXPECT_REFUSED(parse(number(8, 1)), 65,
                 "opset_import has the wrong wire type");
  EXPECT_REFUSED(parse(number(25, 1)), 65,
                 "a function has the wrong wire type");
  EXPECT_REFUSED(parse(number(14, 1)), 65, "metadata has the wrong wire type");
  for (auto [field, what] : {std::pair(1, "a node"), std::pair(5, "a tensor"),
                             std::pair(11, "an input or output")})
    EXPECT_REFUSED(parse(bytes(7, number(field, 1))), 65, what);
  EXPECT_REFUSED(parse(bytes(7, bytes(1, number(5, 1)))), 65,
                 "an attribute has the wrong wire type");
  EXPECT_REFUSED(parse(bytes(7, bytes(11, number(2, 1)))), 65,
                 "a type has the wrong wire type");
  EXPECT_REFUSED(parse(bytes(7, bytes(11, bytes(2, number(1, 1))))), 65,
                 "a tensor type has the wrong wire type");
  EXPECT_REFUSED(parse(bytes(7, bytes(11, bytes(2, bytes(1, number(2, 1)))))),
                 65, "a shape has the wrong wire type");
  EXPECT_REFUSED(
      parse(bytes(7, bytes(11, bytes(2, bytes(1, bytes(2, number(1, 1))))))),
      65, "a dimension has the wrong wire type");
  EXPECT_REFUSED(parse(bytes(7, bytes(5, real(1, 1)))), 65,
                 "a list of integers has the wrong wire type");
  EXPECT_REFUSED(parse(bytes(7, bytes(5, number(4, 1)))), 65,
                 "typed data has the wrong wire type");
}

TEST(BadModel, TwoGraphs) {
  EXPECT_REFUSED(parse(model(reluGraph()) + bytes(7, reluGraph().content)), 65,
                 "the file has a second graph");
}

TEST(BadModel, NestedTooDeep) {
  // Each If holds a graph with the next: 10,000 of them.
  std::string graph = "";
  for (unsigned depth = 0; depth < 10000; ++depth)
    graph = bytes(1, bytes(4, "If") +
                         bytes(5, bytes(1, "then_branch") + bytes(6, graph)));
  EXPECT_REFUSED(parse(bytes(7, graph)), 65,
                 "graphs are nested more than 16 deep");
}

TEST(BadModel, OperatorSets) {
  std::string graph = bytes(7, reluGraph().content);
  EXPECT_REFUSED(parse(graph), 65,
                 "imports no version of the default operator set");
  EXPECT_REFUSED(parse(graph + opsetImport(1, "com.microsoft")), 65,
                 "imports no version of the default operator set");
  EXPECT_REFUSED(parse(graph + opsetImport(99)), 69,
                 "operator set 99 is not supported, only 13 to 25");
  EXPECT_REFUSED(parse(graph + opsetImport(12)), 69, "operator set 12");
  EXPECT_REFUSED(parse(graph + opsetImport(17) + opsetImport(18, "ai.onnx")),
                 65, "imported twice, with versions 17 and 18");
}

TEST(BadModel, Names) {
  auto graph = [](auto add) {
    GraphWriter writer = reluGraph();
    add(writer);
    return parse(model(writer));
  };
  EXPECT_REFUSED(
      graph([](GraphWriter &w) { w.node(node("Abs", {"in"}, {"out"})); }), 65,
      "the name 'out' is defined twice, the second time by the Abs node of "
      "'out'");
  EXPECT_REFUSED(
      graph([](GraphWriter &w) {
        w.initializer(floats("w", {1}, {1})).initializer(floats("w", {1}, {1}));
      }),
      65,
      "the name 'w' is defined twice, the second time by an initializer at "
      "byte ");
  EXPECT_REFUSED(
      graph([](GraphWriter &w) { w.node(node("Abs", {"in"}, {"o\xff"})); }), 65,
      "is not UTF-8");
  EXPECT_REFUSED(graph([](GraphWriter &w) {
                   w.input(value("in", ElementType::Float, {"1"}));
                 }),
                 65, "defined twice, the second time by an input");
  EXPECT_REFUSED(
      graph([](GraphWriter &w) { w.initializer(floats("", {1}, {1})); }), 65,
      "has no name");
  EXPECT_REFUSED(
      graph([](GraphWriter &w) {
        w.node(node("Abs", {"ghost"}, {"x"}, "", "reader"));
      }),
      65,
      "the Abs node 'reader' reads 'ghost', which nothing in the file defines");
  EXPECT_REFUSED(graph([](GraphWriter &w) { w.result("ghost"); }), 65,
                 "an output of the graph reads 'ghost'");
  EXPECT_REFUSED(graph([](GraphWriter &w) {
                   w.node(node("Abs", {"y"}, {"x"}, "", "one"))
                       .node(node("Neg", {"x"}, {"y"}, "", "two"));
                 }),
                 65,
                 "the graph has a cycle: the Abs node 'one', which needs the "
                 "Neg node 'two', which needs the first again");
  EXPECT_REFUSED(
      graph([](GraphWriter &w) { w.node(node("Abs", {"x"}, {"x"})); }), 65,
      "the graph has a cycle");
  EXPECT_REFUSED(graph([](GraphWriter &w) { w.node(bytes(1, "in")); }), 65,
                 "a node has no op_type");
  GraphWriter none;
  none.input(value("in", ElementType::Float, {"1"}));
  EXPECT_REFUSED(parse(model(none)), 65, "the graph has no outputs");
}

TEST(BadModel, BranchesAreCheckedToo) {
  GraphWriter branch;
  branch.node(node("Abs", {"ghost"}, {"b"})).result("b");
  GraphWriter graph = reluGraph();
  graph.node(node("If", {"in"}, {"x"},
                  bytes(5, bytes(1, "then_branch") + bytes(6, branch.content)),
                  "choice"));
  EXPECT_REFUSED(parse(model(graph)), 65,
                 "in the then_branch of the If node 'choice': the Abs node of "
                 "'b' reads 'ghost'");
}

TEST(BadModel, Attributes) {
  auto attribute = [](const std::string &content) {
    GraphWriter graph = reluGraph();
    graph.node(node("Abs", {"in"}, {"x"}, content));
    return parse(model(graph));
  };
  EXPECT_REFUSED(attribute(integerAttribute("a", 1) + integerAttribute("a", 2)),
                 65, "has the attribute 'a' twice");
  EXPECT_REFUSED(
      attribute(bytes(5, bytes(1, "a") + number(3, 1) + number(20, 1))), 65,
      "the attribute 'a' has another value than its type says");
  EXPECT_REFUSED(attribute(bytes(5, bytes(1, "a") + number(20, 4))), 65,
                 "the attribute 'a' has another value than its type says");
  EXPECT_REFUSED(attribute(bytes(5, bytes(7, "abc"))), 65,
                 "a list of floats is not made of 4-byte values");
  EXPECT_REFUSED(attribute(bytes(5, number(2, 1))), 65,
                 "a float attribute has the wrong wire type");
  // Sparse tensors, types and lists of graphs are only noted.
  EXPECT_EQ(attribute(bytes(5, bytes(1, "a") + bytes(22, ""))).code, 0);
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

TEST(BadModel, TensorShapes) {
  using E = ElementType;
  EXPECT_REFUSED(parse(withTensor(tensorHead("w", E::Float, {-1}))), 65,
                 "tensor 'w': byte ");
  EXPECT_REFUSED(parse(withTensor(tensorHead("w", E::Float, {-1}))), 65,
                 "a dimension is negative: -1");
  for (auto dims : {std::vector<int64_t>{1l << 32, 1l << 32},
                    std::vector<int64_t>{INT64_MAX, 4},
                    std::vector<int64_t>{0, INT64_MAX, 2}})
    EXPECT_REFUSED(parse(withTensor(tensorHead("w", E::Float, dims))), 65,
                   "the dimensions' product overflows");
  EXPECT_REFUSED(parse(withTensor(floats("w", {3}, {1, 2}))), 65,
                 "the data has 8 bytes, its type and shape need 12");
  EXPECT_REFUSED(parse(withTensor(floats("w", {1}, {1, 2}))), 65,
                 "the data has 8 bytes, its type and shape need 4");
  EXPECT_REFUSED(parse(withTensor(tensorHead("w", E::Float, {1}))), 65,
                 "the data has 0 bytes, its type and shape need 4");
  GraphWriter graph = reluGraph();
  graph.input(value("x", E::Float, {"-7"}));
  EXPECT_REFUSED(parse(model(graph)), 65,
                 "'x' has a negative or overflowing dimension: -7");
  GraphWriter large = reluGraph();
  large.input(value("x", E::Float, {"99999999999", "99999999999"}));
  EXPECT_REFUSED(parse(model(large)), 65, "negative or overflowing dimension");
}

TEST(BadModel, TensorData) {
  using E = ElementType;
  std::string head = tensorHead("w", E::Float, {1}),
              raw = bytes(9, rawBytes<float>({1}));
  EXPECT_REFUSED(parse(withTensor(head + raw + real(4, 1))), 65,
                 "it has its data twice");
  EXPECT_REFUSED(parse(withTensor(externalTensor("w", {1}, "x") + raw)), 65,
                 "it has its data twice");
  EXPECT_REFUSED(parse(withTensor(head + real(4, 1) + number(7, 1))), 65,
                 "a tensor has two kinds of typed data");
  EXPECT_REFUSED(parse(withTensor(head + number(7, 1))), 65,
                 "its data is stored as another type than float32");
  EXPECT_REFUSED(
      parse(withTensor(tensorHead("w", E::Int64, {2}) + number(7, 1))), 65,
      "it holds 1 values, its shape needs 2");
  EXPECT_REFUSED(parse(withTensor(head + bytes(4, "12345"))), 65,
                 "it holds 1 values, its shape needs 1");
  EXPECT_REFUSED(parse(withTensor(head + bytes(3, ""))), 65,
                 "stored in segments");
  EXPECT_REFUSED(
      parse(withTensor(tensorHead("w", E::Int64, {1}) + bytes(7, "\x80"))), 65,
      "the data ends inside a varint");
  EXPECT_REFUSED(parse(model(reluGraph().add(15, ""))), 69,
                 "sparse initializers are not supported");
  // Strings are skipped; who uses them is told so.
  EXPECT_EQ(
      parse(withTensor(tensorHead("w", E::String, {1}) + bytes(6, "s"))).code,
      0);
}

TEST(BadModel, MemoryIsBoundedByTheFile) {
  // Five bytes a node, millions of them: structs would take 50 times the file.
  std::string nodes;
  for (unsigned i = 0; i < 400000; ++i)
    nodes += std::string("\x0a\x03\x22\x01X", 5);
  EXPECT_REFUSED(parse(bytes(7, nodes)), 65,
                 "more nodes, names or typed values than its size allows");
  std::string head = tensorHead("w", ElementType::Int64, {8 << 20});
  EXPECT_REFUSED(parse(withTensor(head + bytes(7, std::string(8 << 20, 1)))),
                 65, "than its size allows");
#if !__has_feature(address_sanitizer) // which keeps what is freed
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  EXPECT_LT(usage.ru_maxrss, 400 << 10); // KiB
#endif
}
