//===- OpsAlgebraTest.cpp - Products, norms and attention: types, errors --===//
//
// What they become is in the lit tests beside this file; here are the shapes of
// their results, and what is refused.
//
//===----------------------------------------------------------------------===//
#include "test/frontends/onnx/Importing.h"

using namespace dit::onnx;
using namespace dit::onnx::test;

namespace {

/// An input of the model: "2x3", of fp32 unless said otherwise.
struct Input {
  Input(const char *dims, ElementType type = ElementType::Float)
      : dims(dims), type(type) {}
  llvm::StringRef dims;
  ElementType type;
};

} // namespace

/// One node on inputs of the model: the type of its output, or the error.
static std::string typeOf(const std::string &type,
                          const std::vector<Input> &inputs,
                          const std::string &attributes = "",
                          const std::string &domain = "") {
  GraphWriter graph;
  Names names;
  for (auto [index, input] : llvm::enumerate(inputs)) {
    llvm::SmallVector<llvm::StringRef> dims;
    if (!input.dims.empty())
      input.dims.split(dims, 'x');
    names.push_back("x" + std::to_string(index));
    graph.input(
        value(names.back(), input.type, Names(dims.begin(), dims.end())));
  }
  graph.node(node(type, names, {"y"}, attributes + bytes(7, domain)))
      .result("y");
  Imported imported;
  imported.import(model(graph, 23));
  if (!imported.error.empty())
    return imported.error;
  std::string text;
  llvm::raw_string_ostream(text) << imported.function().getResultTypes()[0];
  return text;
}

#define EXPECT_ERROR(call, part)                                               \
  do {                                                                         \
    std::string text = call;                                                   \
    EXPECT_NE(text.find(part), std::string::npos) << text;                     \
  } while (false)

static constexpr ElementType Long = ElementType::Int64;

TEST(Products, HaveNumpysShapes) {
  EXPECT_EQ(typeOf("MatMul", {"3", "3"}), "tensor<f32>");
  EXPECT_EQ(typeOf("MatMul", {"3", "3x4"}), "tensor<4xf32>");
  EXPECT_EQ(typeOf("MatMul", {"2x3", "3"}), "tensor<2xf32>");
  EXPECT_EQ(typeOf("MatMul", {"3", "5x3x4"}), "tensor<5x4xf32>");
  EXPECT_EQ(typeOf("MatMul", {"2x3", "5x3x4"}), "tensor<5x2x4xf32>");
  EXPECT_EQ(typeOf("MatMul", {"5x2x3", "1x3x4"}), "tensor<5x2x4xf32>");
  EXPECT_EQ(
      typeOf("Gemm", {"3x2", "4x3"},
             integerAttribute("transA", 1) + integerAttribute("transB", 1)),
      "tensor<2x4xf32>");
  EXPECT_EQ(typeOf("Gemm", {"2x3", "3x4", "4"}, realAttribute("beta", 0)),
            "tensor<2x4xf32>");
  EXPECT_EQ(typeOf("FusedMatMul", {"5x3x2", "5x4x3"},
                   integerAttribute("transA", 1) +
                       integerAttribute("transB", 1) +
                       realAttribute("alpha", 0.5),
                   "com.microsoft"),
            "tensor<5x2x4xf32>");
}

TEST(Products, ThatAreRefused) {
  EXPECT_ERROR(typeOf("MatMul", {"2x3", "4x5"}),
               "the shapes contradict: 2x3 times 4x5");
  EXPECT_ERROR(typeOf("MatMul", {"2x2x3", "5x3x4"}), "does not broadcast");
  EXPECT_ERROR(typeOf("MatMul", {"", "3"}), "an operand is a scalar");
  EXPECT_ERROR(typeOf("MatMul", {{"2x2", Long}, {"2x2", Long}}),
               "not of one floating-point type");
  EXPECT_ERROR(typeOf("MatMul", {"2x2", {"2x2", ElementType::Double}}),
               "not of one floating-point type");
  EXPECT_ERROR(typeOf("MatMul", {"1099511627776x1", "1x2"}),
               "more than 2^40 elements");
  EXPECT_ERROR(typeOf("Gemm", {"2", "2x2"}), "its operands are not matrices");
  EXPECT_ERROR(typeOf("Gemm", {"2x2", "2x2", "3"}),
               "does not broadcast to 2x2");
  EXPECT_ERROR(typeOf("Gemm", {"2x2", "3x2"}), "the shapes contradict");
  EXPECT_ERROR(typeOf("Gemm", {{"2x2", Long}, {"2x2", Long}}),
               "not of one floating-point type");
  EXPECT_ERROR(typeOf("FusedMatMul", {"2x2x2", "2x2x2"},
                      integerAttribute("transBatchA", 1), "com.microsoft"),
               "with transposed batches or vectors");
  EXPECT_ERROR(typeOf("FusedMatMul", {"2x2", "3x2"}, "", "com.microsoft"),
               "the shapes contradict");
  EXPECT_ERROR(
      typeOf("FusedMatMul", {{"2", Long}, {"2", Long}}, "", "com.microsoft"),
      "not of one floating-point type");
}

TEST(Einsum, TakesOneOrTwoOperands) {
  auto of = [](const char *equation, const std::vector<Input> &inputs) {
    return typeOf("Einsum", inputs, textAttribute("equation", equation));
  };
  EXPECT_EQ(of("ij -> ji", {"2x3"}), "tensor<3x2xf32>");
  EXPECT_EQ(of("ijk->k", {"2x3x4"}), "tensor<4xf32>");
  EXPECT_EQ(of("ij->ji", {{"2x3", Long}}), "tensor<3x2xi64>");
  EXPECT_EQ(of("i,j->ji", {"2", "3"}), "tensor<3x2xf32>");
  EXPECT_EQ(of("ij,ij->", {"2x3", "2x3"}), "tensor<f32>");
  EXPECT_EQ(of("bik,bjk->bij", {"5x2x3", "5x4x3"}), "tensor<5x2x4xf32>");
  EXPECT_ERROR(of("ii->i", {"2x2"}),
               "the equation 'ii->i' (one or two operands, an explicit result, "
               "no diagonals, no '...')");
  EXPECT_ERROR(of("ij", {"2x2"}), "an explicit result");
  EXPECT_ERROR(of("...i->i", {"2x2"}), "no '...'");
  EXPECT_ERROR(of("i,j->ij", {"2"}), "has another number of operands");
  EXPECT_ERROR(of("ijk->k", {"2x2"}), "does not fit operand 0 of shape 2x2");
  EXPECT_ERROR(of("ij,jk->ik", {"2x3", "4x5"}),
               "the equation gives j two sizes");
  EXPECT_ERROR(of("ij->ik", {"2x3"}),
               "the equation's result has k, which no operand has");
  EXPECT_ERROR(of("ij,jk->ik", {{"2x3", Long}, {"3x2", Long}}),
               "not of one floating-point type");
  EXPECT_ERROR(of("i,j->ij", {"1099511627776", "2"}),
               "more than 2^40 elements");
}

TEST(Convolution, OfPatchesOnly) {
  auto of = [](const std::vector<Input> &inputs,
               const std::string &attributes) {
    return typeOf("Conv", inputs, attributes);
  };
  std::string two = integersAttribute("strides", {2, 2});
  EXPECT_EQ(of({"1x3x5x4", "7x3x2x2", "7"}, two), "tensor<1x7x2x2xf32>");
  EXPECT_EQ(of({"1x3x6", "7x3x2"}, integersAttribute("strides", {2})),
            "tensor<1x7x3xf32>");
  EXPECT_EQ(of({"1x3x4x4", "7x3x1x1"}, textAttribute("auto_pad", "VALID")),
            "tensor<1x7x4x4xf32>");
  const char *refused = "only convolutions whose kernel equals the stride, "
                        "without padding, dilation and groups (patches)";
  EXPECT_ERROR(of({"1x3x4x4", "7x3x3x3"}, ""), refused);
  EXPECT_ERROR(
      of({"1x3x4x4", "7x3x2x2"}, two + integersAttribute("pads", {1, 1, 1, 1})),
      refused);
  EXPECT_ERROR(
      of({"1x3x4x4", "7x3x2x2"}, two + integersAttribute("dilations", {2, 2})),
      refused);
  EXPECT_ERROR(of({"1x4x4x4", "4x2x2x2"}, two + integerAttribute("group", 2)),
               refused);
  EXPECT_ERROR(
      of({"1x3x4x4", "7x3x2x2"}, two + textAttribute("auto_pad", "SAME_UPPER")),
      refused);
  EXPECT_ERROR(of({"1x4x4x4", "7x3x2x2"}, two),
               "its kernel of shape 7x3x2x2 does not fit its attributes or the "
               "input 1x4x4x4");
  EXPECT_ERROR(of({"1x3x4x4", "7x3x2x2"},
                  two + integersAttribute("kernel_shape", {3, 3})),
               "does not fit its attributes");
  EXPECT_ERROR(of({"1x3x4x4", "7x3x2x2", "6"}, two),
               "does not fit its attributes");
  EXPECT_ERROR(of({"1x3", "7x3"}, ""),
               "its operands are not [batch, channels, …]");
  EXPECT_ERROR(of({{"1x3x4x4", Long}, {"7x3x2x2", Long}}, two),
               "not of one floating-point type");
}

TEST(Attention, ChecksItsShapes) {
  auto of = [](const std::vector<Input> &inputs,
               const std::string &attributes = "") {
    return typeOf("Attention", inputs, attributes);
  };
  std::string heads =
      integerAttribute("q_num_heads", 4) + integerAttribute("kv_num_heads", 2);
  EXPECT_EQ(of({"2x4x5x8", "2x2x6x8", "2x2x6x3"}), "tensor<2x4x5x3xf32>");
  EXPECT_EQ(of({"2x5x32", "2x6x16", "2x6x6"}, heads), "tensor<2x5x12xf32>");
  EXPECT_EQ(of({"2x4x5x8", "2x4x6x8", "2x4x6x8", "5x6"}),
            "tensor<2x4x5x8xf32>");
  EXPECT_ERROR(of({"2x4x5x8", "2x4x6x8", "2x4x6x8", "1x2x4x5x6"}),
               "its mask has rank 5");
  EXPECT_ERROR(
      of({"2x4x5x8", "2x4x6x8", "2x4x6x8", "5x7"}),
      "the shape of its mask is 5x7, which does not broadcast to 2x4x5x6");
  EXPECT_ERROR(of({{"2x4x5x8", Long}, {"2x4x6x8", Long}, {"2x4x6x8", Long}}),
               "not of one floating-point type");
  EXPECT_ERROR(of({"2x5x32", "2x6x16", "2x6x16"}), "with the number of heads");
  EXPECT_ERROR(of({"2x5x32", "2x6x16", "2x2x6x8"}, heads),
               "query, key and value are not");
  EXPECT_ERROR(of({"2x4x5x8", "2x3x6x8", "2x3x6x8"}),
               "query, key and value contradict each other: 2x5x4x8, 2x6x3x8 "
               "and 2x6x3x8");
  EXPECT_ERROR(of({"1x1x99999x8", "1x1x99999x8", "1x1x99999x8"},
                  integerAttribute("is_causal", 1)),
               "a causal mask of more than 2^24 elements");
}

TEST(Norms, KeepTheirInputsShape) {
  EXPECT_EQ(typeOf("LayerNormalization", {"2x3x4", "3x4"},
                   integerAttribute("axis", 1)),
            "tensor<2x3x4xf32>");
  EXPECT_EQ(typeOf("SimplifiedLayerNormalization", {"2x3", "3"}),
            "tensor<2x3xf32>");
  EXPECT_EQ(typeOf("InstanceNormalization", {"2x4x3", "4", "4"}),
            "tensor<2x4x3xf32>");
  // One scale a group, as in operator set 18, and one a channel.
  EXPECT_EQ(typeOf("GroupNormalization", {"2x4x3", "2", "2"},
                   integerAttribute("num_groups", 2)),
            "tensor<2x4x3xf32>");
  EXPECT_EQ(typeOf("GroupNormalization", {"2x4x3", "4", "4"},
                   integerAttribute("num_groups", 2)),
            "tensor<2x4x3xf32>");
  EXPECT_EQ(typeOf("SkipLayerNormalization", {"2x3x4", "2x3x4", "4", "4", "4"},
                   "", "com.microsoft"),
            "tensor<2x3x4xf32>");
  EXPECT_EQ(typeOf("SkipSimplifiedLayerNormalization", {"2x3x4", "2x3x4", "4"},
                   "", "com.microsoft"),
            "tensor<2x3x4xf32>");
}

TEST(Norms, OfGivenStatisticsAreArithmetic) {
  // (x − mean) / √(variance + eps) · scale + shift = 2 · (3 − 1) / 2 + 5.
  EXPECT_EQ(compute("BatchNormalization",
                    {F({1, 1}, {3}), F({1}, {2}), F({1}, {5}), F({1}, {1}),
                     F({1}, {3.75})},
                    realAttribute("epsilon", 0.25)),
            "1x1xf32: 7");
}

TEST(Norms, ThatAreRefused) {
  EXPECT_ERROR(typeOf("LayerNormalization", {{"2x3", Long}, {"3", Long}}),
               "defined on floating-point tensors only");
  EXPECT_ERROR(
      typeOf("LayerNormalization", {"2x3", "3"}, integerAttribute("axis", 2)),
      "axis 2 is outside of a tensor of rank 2");
  EXPECT_ERROR(typeOf("LayerNormalization", {"2x3", "4"}),
               "shape 4 does not broadcast to 2x3");
  EXPECT_ERROR(typeOf("LayerNormalization", {"2x3", "3", "4"}),
               "shape 4 does not broadcast to 2x3");
  EXPECT_ERROR(typeOf("GroupNormalization", {"2x4x3", "4", "4"},
                      integerAttribute("num_groups", 3)),
               "3 groups do not divide the channels of 2x4x3");
  EXPECT_ERROR(typeOf("InstanceNormalization", {"2", "4", "4"}),
               "groups do not divide the channels of 2");
  EXPECT_ERROR(typeOf("InstanceNormalization", {{"2x4x3", Long}, "4", "4"}),
               "defined on floating-point tensors only");
  EXPECT_ERROR(typeOf("InstanceNormalization", {"2x4x3", "3", "4"}),
               "does not broadcast");
  EXPECT_ERROR(typeOf("BatchNormalization", {"2x4", "4", "4", "4", "4"},
                      integerAttribute("training_mode", 1)),
               "training mode");
  EXPECT_ERROR(typeOf("BatchNormalization", {"4", "4", "4", "4", "4"}),
               "its input has no channels");
  EXPECT_ERROR(typeOf("BatchNormalization", {"2x4", "3", "3", "3", "3"}),
               "does not broadcast");
  EXPECT_ERROR(typeOf("BatchNormalization", {"2x4", "3", "4", "4", "4"}),
               "do not have one shape");
  EXPECT_ERROR(
      typeOf("BatchNormalization", {{"2x4", Long}, "4", "4", "4", "4"}),
      "defined on floating-point tensors only");
  EXPECT_ERROR(typeOf("SkipLayerNormalization",
                      {{"2x4", Long}, {"2x4", Long}, "4"}, "", "com.microsoft"),
               "defined on floating-point tensors only");
  EXPECT_ERROR(typeOf("SkipLayerNormalization", {"2x4", "2x3", "4"}, "",
                      "com.microsoft"),
               "the shapes of its inputs contradict");
  EXPECT_ERROR(typeOf("SkipLayerNormalization", {"2x4", "2x4", "3"}, "",
                      "com.microsoft"),
               "does not broadcast");
  EXPECT_ERROR(
      typeOf("SkipLayerNormalization", {"", "", ""}, "", "com.microsoft"),
      "its input is a scalar");
  EXPECT_ERROR(typeOf("Softmax", {""}),
               "axis -1 is outside of a tensor of rank 0");
  EXPECT_ERROR(typeOf("Softmax", {{"2", Long}}),
               "defined on floating-point tensors only");
  EXPECT_ERROR(typeOf("LogSoftmax", {{"2", Long}}),
               "defined on floating-point tensors only");
  EXPECT_ERROR(typeOf("GlobalAveragePool", {{"1x2x2", Long}}),
               "defined on floating-point tensors only");
}

TEST(Activations, OfOnnxRuntime) {
  EXPECT_EQ(typeOf("QuickGelu", {"2x3"}, "", "com.microsoft"),
            "tensor<2x3xf32>");
  EXPECT_EQ(typeOf("BiasGelu", {"2x3", "3"}, "", "com.microsoft"),
            "tensor<2x3xf32>");
  EXPECT_EQ(typeOf("FastGelu", {"2x3"}, "", "com.microsoft"),
            "tensor<2x3xf32>");
  EXPECT_ERROR(typeOf("BiasGelu", {"2x3", "4"}, "", "com.microsoft"),
               "the shapes of its inputs contradict");
  EXPECT_ERROR(
      typeOf("BiasGelu", {{"3", Long}, {"3", Long}}, "", "com.microsoft"),
      "defined on floating-point tensors only");
}

TEST(Known, AtCompileTimeIsWhatShapesMustBe) {
  // Each reads an input of the model where a constant must be.
  struct Case {
    const char *op;
    std::vector<Input> inputs;
  };
  const Input shape("2", Long), number("", Long);
  std::vector<Case> cases = {
      {"Reshape", {"2x3", shape}},
      {"Unsqueeze", {"2x3", shape}},
      {"Squeeze", {"2x3", shape}},
      {"Slice", {"2x3", shape, shape}},
      {"Split", {"2x3", shape}},
      {"SplitToSequence", {"2x3", shape}},
      {"Expand", {"2x3", shape}},
      {"Tile", {"2x3", shape}},
      {"Pad", {"2x3", shape}},
      {"ConstantOfShape", {shape}},
      {"Range", {number, number, number}},
      {"ReduceSum", {"2x3", shape}},
      {"OneHot", {{"2", Long}, number, "2"}},
      {"Trilu", {"2x3", number}},
      {"ScatterND", {"2", {"1x1", Long}, "1"}},
      {"Resize", {"2x3", "2", "2", {"2", Long}}},
  };
  for (const Case &test : cases) {
    std::string text = typeOf(test.op, test.inputs);
    EXPECT_NE(text.find("known at compile time"), std::string::npos)
        << test.op << ": " << text;
  }
}

TEST(Known, SizesAreBounded) {
  EXPECT_ERROR(typeOf("Add", {"1099511627776x1", "1x1099511627776"}),
               "more than 2^40 elements");
  EXPECT_ERROR(
      typeOf("Sqrt", {"9999999999x9999"}),
      "the input 'x0': its result 9999999999x9999 has more than 2^40 elements");
  EXPECT_ERROR(typeOf("ArgMax", {"70000"}),
               "along an axis of more than 65536 elements");
  EXPECT_ERROR(typeOf("Trilu", {"9999x9999"}),
               "a matrix of more than 2^24 elements");
  EXPECT_ERROR(typeOf("Flatten", {"2x3"}, integerAttribute("axis", 3)),
               "axis 3 is outside of a tensor of rank 2");
  EXPECT_EQ(
      typeOf("Add", {{"2", ElementType::Int32}, {"2", ElementType::Int32}}),
      "tensor<2xi32>");
  EXPECT_EQ(
      typeOf("Add", {{"2", ElementType::Int16}, {"2", ElementType::Int16}}),
      "tensor<2xi16>");
}
