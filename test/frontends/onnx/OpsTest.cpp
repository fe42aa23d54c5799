//===- OpsTest.cpp - The table of ops, by numbers and by IR ---------------===//
//
// Expected values are ONNX's definitions worked out by hand.
//
//===----------------------------------------------------------------------===//
#include "test/frontends/onnx/Importing.h"

using namespace dit::onnx;
using namespace dit::onnx::test;

static std::string keep(int64_t value) {
  return integerAttribute("keepdims", value);
}

//===----------------------------------------------------------------------===//
// Pointwise
//===----------------------------------------------------------------------===//

TEST(Pointwise, FunctionsOfOneInput) {
  auto of = [](const char *op, const std::vector<float> &x,
               const std::string &attributes = "") {
    return compute(op, {F({int64_t(x.size())}, x)}, attributes);
  };
  EXPECT_EQ(of("Abs", {-2, 3}), "2xf32: 2 3");
  EXPECT_EQ(of("Neg", {-2, 3}), "2xf32: 2 -3");
  EXPECT_EQ(of("Sign", {-2, 0, 5}), "3xf32: -1 0 1");
  EXPECT_EQ(of("Floor", {-1.5, 1.5}), "2xf32: -2 1");
  EXPECT_EQ(of("Ceil", {-1.5, 1.5}), "2xf32: -1 2");
  EXPECT_EQ(of("Round", {0.5, 1.5, 2.5}), "3xf32: 0 2 2");
  EXPECT_EQ(of("Sqrt", {4, 9}), "2xf32: 2 3");
  EXPECT_EQ(of("Reciprocal", {4, -2}), "2xf32: 0.25 -0.5");
  EXPECT_EQ(of("Exp", {0, 1}), "2xf32: 1 2.71828");
  EXPECT_EQ(of("Log", {1, 10}), "2xf32: 0 2.30259");
  EXPECT_EQ(of("Sin", {0, 1}), "2xf32: 0 0.841471");
  EXPECT_EQ(of("Cos", {0, 1}), "2xf32: 1 0.540302");
  EXPECT_EQ(of("Tan", {0, 1}), "2xf32: 0 1.55741");
  EXPECT_EQ(of("Atan", {0, 1}), "2xf32: 0 0.785398");
  EXPECT_EQ(of("Tanh", {0, 1}), "2xf32: 0 0.761594");
  EXPECT_EQ(of("Erf", {0, 1}), "2xf32: 0 0.842701");
  EXPECT_EQ(of("Sigmoid", {0, 2}), "2xf32: 0.5 0.880797");
  EXPECT_EQ(of("Relu", {-1, 2}), "2xf32: 0 2");
  EXPECT_EQ(of("LeakyRelu", {-1, 2}), "2xf32: -0.01 2");
  EXPECT_EQ(of("LeakyRelu", {-1, 2}, realAttribute("alpha", 0.5)),
            "2xf32: -0.5 2");
  EXPECT_EQ(of("ThresholdedRelu", {1, 2}), "2xf32: 0 2");
  EXPECT_EQ(of("Elu", {-1, 2}), "2xf32: -0.632121 2");
  EXPECT_EQ(of("Selu", {-1, 2}), "2xf32: -1.11133 2.1014");
  EXPECT_EQ(of("HardSigmoid", {-9, 0, 1, 9}), "4xf32: 0 0.5 0.7 1");
  EXPECT_EQ(of("HardSwish", {-9, 0, 1, 9}), "4xf32: -0 0 0.666667 9");
  EXPECT_EQ(of("Softplus", {-100, 0, 100}), "3xf32: 0 0.693147 100");
  EXPECT_EQ(of("Softsign", {-1, 3}), "2xf32: -0.5 0.75");
  EXPECT_EQ(of("Mish", {0, 1}), "2xf32: 0 0.865098");
  EXPECT_EQ(of("Swish", {0, 2}), "2xf32: 0 1.76159");
  EXPECT_EQ(of("Identity", {1, 2}), "2xf32: 1 2");
  float infinity = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  EXPECT_EQ(of("IsNaN", {1, nan}), "2xi1: 0 1");
  EXPECT_EQ(of("IsInf", {-infinity, infinity, 1}), "3xi1: 1 1 0");
  EXPECT_EQ(of("IsInf", {-infinity, infinity, 1},
               integerAttribute("detect_negative", 0)),
            "3xi1: 0 1 0");
  EXPECT_EQ(of("IsInf", {-infinity, infinity, 1},
               integerAttribute("detect_positive", 0)),
            "3xi1: 1 0 0");
}

TEST(Pointwise, OfIntegersAndBooleans) {
  EXPECT_EQ(compute("Abs", {I({-2, 3})}), "2xi64: 2 3");
  EXPECT_EQ(compute("Neg", {I({-2, 3})}), "2xi64: 2 -3");
  EXPECT_EQ(compute("Sign", {I({-2, 0, 3})}), "3xi64: -1 0 1");
  EXPECT_EQ(compute("Relu", {I({-2, 3})}), "2xi64: 0 3");
  EXPECT_EQ(compute("Not", {B({1, 0})}), "2xi1: 0 1");
  EXPECT_EQ(compute("And", {B({1, 1, 0}), B({1, 0, 0})}), "3xi1: 1 0 0");
  EXPECT_EQ(compute("Or", {B({1, 1, 0}), B({1, 0, 0})}), "3xi1: 1 1 0");
  EXPECT_EQ(compute("Xor", {B({1, 1, 0}), B({1, 0, 0})}), "3xi1: 0 1 0");
  EXPECT_EQ(compute("Add", {I({1, 2}), I({3, 4})}), "2xi64: 4 6");
  EXPECT_EQ(compute("Sub", {I({1, 2}), I({3, 4})}), "2xi64: -2 -2");
  EXPECT_EQ(compute("Mul", {I({1, 2}), I({3, 4})}), "2xi64: 3 8");
  EXPECT_EQ(compute("Div", {I({7, -7}), I({2, 2})}), "2xi64: 3 -3");
  EXPECT_EQ(compute("Max", {I({7, -7}), I({2, 2})}), "2xi64: 7 2");
  EXPECT_EQ(compute("Min", {I({7, -7}), I({2, 2})}), "2xi64: 2 -7");
  EXPECT_EQ(compute("Mod", {I({7, -7, 7}), I({3, 3, -3})}), "3xi64: 1 2 -2");
  EXPECT_EQ(compute("Mod", {I({7, -7, 7}), I({3, 3, -3})},
                    integerAttribute("fmod", 1)),
            "3xi64: 1 -1 1");
  EXPECT_EQ(compute("Pow", {I({2, 3}), I({2})}), "2xi64: 4 9");
  EXPECT_EQ(compute("Equal", {I({1, 2}), I({1, 3})}), "2xi1: 1 0");
  EXPECT_EQ(compute("Less", {I({1, 2}), I({1, 3})}), "2xi1: 0 1");
  EXPECT_EQ(compute("LessOrEqual", {I({1, 4}), I({1, 3})}), "2xi1: 1 0");
  EXPECT_EQ(compute("Greater", {I({1, 4}), I({1, 3})}), "2xi1: 0 1");
  EXPECT_EQ(compute("GreaterOrEqual", {I({1, 2}), I({1, 3})}), "2xi1: 1 0");
}

TEST(Pointwise, BroadcastsByNumpysRule) {
  EXPECT_EQ(compute("Add", {F({2, 1}, {1, 2}), F({3}, {10, 20, 30})}),
            "2x3xf32: 11 21 31 12 22 32");
  EXPECT_EQ(compute("Sub", {F({2}, {1, 2}), F({}, {1})}), "2xf32: 0 1");
  EXPECT_EQ(compute("Mul", {F({2}, {1, 2}), F({1, 1}, {3})}), "1x2xf32: 3 6");
  EXPECT_EQ(compute("Div", {F({2}, {1, 2}), F({2}, {4, 4})}),
            "2xf32: 0.25 0.5");
  EXPECT_EQ(compute("Sum", {F({2}, {1, 2}), F({2}, {4, 4}), F({1}, {1})}),
            "2xf32: 6 7");
  EXPECT_EQ(compute("Mean", {F({2}, {1, 2}), F({2}, {3, 4})}), "2xf32: 2 3");
  EXPECT_EQ(compute("Max", {F({2}, {1, 5}), F({2}, {3, 4})}), "2xf32: 3 5");
  EXPECT_EQ(compute("Min", {F({2}, {1, 5}), F({2}, {3, 4})}), "2xf32: 1 4");
  EXPECT_EQ(compute("Mod", {F({2}, {5.5, -5.5}), F({1}, {2})},
                    integerAttribute("fmod", 1)),
            "2xf32: 1.5 -1.5");
  EXPECT_EQ(compute("PRelu", {F({2}, {-2, 3}), F({1}, {0.5})}), "2xf32: -1 3");
  EXPECT_EQ(compute("Equal", {F({2}, {1, 5}), F({2}, {1, 4})}), "2xi1: 1 0");
  EXPECT_EQ(compute("Less", {F({2}, {1, 3}), F({2}, {1, 4})}), "2xi1: 0 1");
  EXPECT_EQ(compute("LessOrEqual", {F({2}, {1, 5}), F({2}, {1, 4})}),
            "2xi1: 1 0");
  EXPECT_EQ(compute("Greater", {F({2}, {1, 5}), F({2}, {1, 4})}), "2xi1: 0 1");
  EXPECT_EQ(compute("GreaterOrEqual", {F({2}, {1, 3}), F({2}, {1, 4})}),
            "2xi1: 1 0");
  EXPECT_EQ(compute("Where", {B({1, 0}), F({2}, {1, 2}), F({1}, {9})}),
            "2xf32: 1 9");
  EXPECT_EQ(compute("Clip", {F({3}, {-5, 0, 5}), F({}, {-1}), F({}, {1})}),
            "3xf32: -1 0 1");
  EXPECT_EQ(compute("Clip", {F({3}, {-5, 0, 5}), "", F({}, {1})}),
            "3xf32: -5 0 1");
  EXPECT_EQ(compute("Clip", {I({-5, 0, 5}), I({}, {-1}), I({}, {1})}),
            "3xi64: -1 0 1");
}

TEST(Pointwise, Powers) {
  auto power = [](float exponent) {
    return compute("Pow", {F({2}, {4, 9}), F({}, {exponent})});
  };
  EXPECT_EQ(power(1), "2xf32: 4 9");
  EXPECT_EQ(power(2), "2xf32: 16 81");
  EXPECT_EQ(power(3), "2xf32: 64 729");
  EXPECT_EQ(power(0.5), "2xf32: 2 3");
  EXPECT_EQ(power(-1), "2xf32: 0.25 0.111111");
  EXPECT_EQ(power(1.5), "2xf32: 8 27");
  EXPECT_EQ(compute("Pow", {F({2}, {4, 9}), I({2})}), "2xf32: 16 81");
  EXPECT_EQ(compute("Pow", {I({2, 3}), I({5})}),
            "'m': these cannot be imported:\n  the Pow node of 'r0': integer "
            "powers other than 1, 2 and 3");
}

TEST(Pointwise, Casts) {
  auto to = [](const std::string &tensor, ElementType type) {
    return compute("Cast", {tensor}, integerAttribute("to", int(type)));
  };
  using E = ElementType;
  EXPECT_EQ(to(F({2}, {1.9, -1.9}), E::Int64), "2xi64: 1 -1");
  EXPECT_EQ(to(F({3}, {0, 0.5, -1}), E::Bool), "3xi1: 0 1 1");
  EXPECT_EQ(to(I({0, 5}), E::Bool), "2xi1: 0 1");
  EXPECT_EQ(to(I({3, -4}), E::Float), "2xf32: 3 -4");
  EXPECT_EQ(to(B({1, 0}), E::Float), "2xf32: 1 0");
  EXPECT_EQ(to(B({1, 0}), E::Int64), "2xi64: 1 0");
  EXPECT_EQ(to(I({1, 300}), E::Int8), "2xi8: 1 44");
  EXPECT_EQ(to(F({2}, {1, 0.1}), E::Double), "2xf64: 1 0.1");
  EXPECT_EQ(to(F({2}, {1, 2049}), E::Float16), "2xf16: 1 2048");
  EXPECT_EQ(to(F({2}, {1, 257}), E::BFloat16), "2xbf16: 1 256");
  EXPECT_EQ(compute("CastLike", {F({2}, {1.5, 2}), I({1})}), "2xi64: 1 2");
  EXPECT_EQ(to(F({1}, {1}), E::Uint8),
            "'m': these cannot be imported:\n  the Cast node of 'r0': it casts "
            "to uint8");
}

TEST(Pointwise, RefusesWhatIsNotDefined) {
  auto has = [](const std::string &text, const char *part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(compute("Sqrt", {I({1})}), "defined on floating-point tensors only");
  has(compute("Selu", {I({1})}), "defined on floating-point tensors only");
  has(compute("Gelu", {I({1})}), "defined on floating-point tensors only");
  has(compute("IsInf", {I({1})}), "defined on floating-point tensors only");
  has(compute("PRelu", {I({1}), I({1})}),
      "defined on floating-point tensors only");
  has(compute("Mean", {I({1}), I({1})}),
      "defined on floating-point tensors only");
  has(compute("Not", {I({1})}), "defined on booleans only");
  has(compute("And", {I({1}), I({1})}), "defined on booleans only");
  has(compute("Add", {I({1}), F({1}, {1})}),
      "its inputs have different element types");
  has(compute("Add", {I({1, 2}), I({1, 2, 3})}),
      "the shapes of its inputs contradict: 2 and 3");
  has(compute("Mod", {F({1}, {1}), F({1}, {1})}), "only with fmod = 1");
  has(compute("Where", {I({1}), I({1}), I({1})}), "needs a boolean condition");
  has(compute("Clip", {I({1}), F({}, {1})}),
      "its bounds have another element type");
  has(compute("Clip", {I({}, {1}), I({1, 2})}), "does not broadcast to scalar");
  has(compute("Gelu", {F({1}, {1})}, textAttribute("approximate", "x")),
      "approximate is 'x'");
  has(compute("Gelu", {F({1}, {1})}, integerAttribute("approximate", 1)),
      "its attribute 'approximate' has the wrong type");
  has(compute("IsInf", {F({1}, {1})},
              integerAttribute("detect_negative", 0) +
                  integerAttribute("detect_positive", 0)),
      "it detects nothing");
  has(compute("Dropout", {F({1}, {1}), F({}, {0.5}), booleans("", {}, {1})}),
      "training mode");
  has(compute("Sqrt", {}), "it has 0 inputs");
  has(compute("Sqrt", {F({1}, {1}), F({1}, {1})}), "it has 2 inputs");
  has(compute("Add", {"", F({1}, {1})}), "left out one that it needs");
}

TEST(Pointwise, DropoutIsNothing) {
  EXPECT_EQ(compute("Dropout", {F({2}, {1, 2})}, "", 2), "2xf32: 1 2");
  EXPECT_EQ(compute("Dropout", {F({2}, {1, 2})}, "", 2, 1), "2xi1: 1 1");
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

TEST(Shapes, Reshape) {
  std::string x = F({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(compute("Reshape", {x, I({3, 2})}), "3x2xf32: 1 2 3 4 5 6");
  EXPECT_EQ(compute("Reshape", {x, I({0, -1})}), "2x3xf32: 1 2 3 4 5 6");
  EXPECT_EQ(compute("Reshape", {x, I({-1, 2, 1})}), "3x2x1xf32: 1 2 3 4 5 6");
  EXPECT_EQ(compute("Reshape", {F({0, 3}, {}), I({0, 7})},
                    integerAttribute("allowzero", 1)),
            "0x7xf32:");
  auto refused = [&](const std::vector<int64_t> &shape) {
    std::string text = compute("Reshape", {x, I(shape)});
    return text.substr(text.find(": ", 5) + 2);
  };
  EXPECT_EQ(refused({4, 2}),
            "the shapes contradict: 2x3 has 6 elements and cannot become 4x2");
  EXPECT_EQ(refused({4, -1}),
            "the shapes contradict: 2x3 has 6 elements and cannot become 4x-1");
  EXPECT_EQ(refused({-1, -1}), "its shape is not one: -1x-1");
  EXPECT_EQ(refused({6, 1, 0}),
            "its shape copies dimension 2, which the input does not have");
  EXPECT_EQ(refused({1l << 40, 1l << 40}),
            "its shape overflows: 1099511627776x1099511627776");
  EXPECT_EQ(compute("Flatten", {F({1, 2, 3}, {1, 2, 3, 4, 5, 6})},
                    integerAttribute("axis", 2)),
            "2x3xf32: 1 2 3 4 5 6");
  EXPECT_EQ(compute("Flatten", {F({2}, {1, 2})}, integerAttribute("axis", -1)),
            "1x2xf32: 1 2");
}

TEST(Shapes, SqueezeAndUnsqueeze) {
  EXPECT_EQ(compute("Unsqueeze", {F({2}, {1, 2}), I({0, -1})}),
            "1x2x1xf32: 1 2");
  EXPECT_EQ(compute("Unsqueeze", {F({}, {1}), I({0})}), "1xf32: 1");
  EXPECT_EQ(compute("Squeeze", {F({1, 2, 1}, {1, 2}), I({-1})}),
            "1x2xf32: 1 2");
  EXPECT_EQ(compute("Squeeze", {F({1, 2, 1}, {1, 2})}), "2xf32: 1 2");
  // Dynamo writes this for torch's squeeze, which does nothing here.
  EXPECT_EQ(compute("Squeeze", {F({2}, {1, 2}), I({0})}), "2xf32: 1 2");
  EXPECT_NE(compute("Unsqueeze", {F({2}, {1, 2}), I({5})})
                .find("axis 5 is outside of a tensor of rank 2"),
            std::string::npos);
  EXPECT_NE(compute("Unsqueeze", {F({2}, {1, 2}), I({0, 0})})
                .find("an axis is named twice"),
            std::string::npos);
}

TEST(Shapes, Transposes) {
  std::string x = F({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(compute("Transpose", {x}), "3x2xf32: 1 4 2 5 3 6");
  EXPECT_EQ(compute("Transpose", {x}, integersAttribute("perm", {0, 1})),
            "2x3xf32: 1 2 3 4 5 6");
  EXPECT_NE(compute("Transpose", {x}, integersAttribute("perm", {0, 0}))
                .find("perm does not name each of the 2 dimensions once"),
            std::string::npos);
  std::string s = F({1, 4, 1, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(compute("DepthToSpace", {s}, integerAttribute("blocksize", 2)),
            "1x1x2x4xf32: 1 3 2 4 5 7 6 8");
  EXPECT_EQ(
      compute("DepthToSpace", {s},
              integerAttribute("blocksize", 2) + textAttribute("mode", "CRD")),
      "1x1x2x4xf32: 1 3 2 4 5 7 6 8");
  EXPECT_EQ(compute("SpaceToDepth", {F({1, 1, 2, 4}, {1, 3, 2, 4, 5, 7, 6, 8})},
                    integerAttribute("blocksize", 2)),
            "1x4x1x2xf32: 1 2 3 4 5 6 7 8");
  EXPECT_NE(compute("DepthToSpace", {s}, integerAttribute("blocksize", 3))
                .find("a block of 3 does not fit"),
            std::string::npos);
  EXPECT_NE(compute("SpaceToDepth", {s}, integerAttribute("blocksize", 3))
                .find("a block of 3 does not fit"),
            std::string::npos);
}

TEST(Shapes, Slices) {
  std::string x = F({2, 4}, {0, 1, 2, 3, 4, 5, 6, 7});
  auto slice = [&](const Names &rest) {
    Names inputs{x};
    llvm::append_range(inputs, rest);
    return compute("Slice", inputs);
  };
  EXPECT_EQ(slice({I({1}), I({3}), I({1})}), "2x2xf32: 1 2 5 6");
  EXPECT_EQ(slice({I({0, 1}), I({1, 9})}), "1x3xf32: 1 2 3");
  EXPECT_EQ(slice({I({-2}), I({INT64_MAX}), I({-1})}), "2x2xf32: 2 3 6 7");
  EXPECT_EQ(slice({I({INT64_MIN}), I({-3}), I({1})}), "2x1xf32: 0 4");
  EXPECT_EQ(slice({I({0}), I({4}), I({1}), I({2})}), "2x2xf32: 0 2 4 6");
  EXPECT_EQ(slice({I({1}), I({4}), I({1}), I({INT64_MAX})}), "2x1xf32: 1 5");
  EXPECT_EQ(slice({I({2}), I({2}), I({1})}), "2x0xf32:");
  EXPECT_EQ(slice({I({0}), I({2})}), "2x4xf32: 0 1 2 3 4 5 6 7");
  EXPECT_EQ(slice({I({-1}), I({INT64_MIN}), I({1}), I({-1})}),
            "2x4xf32: 3 2 1 0 7 6 5 4");
  EXPECT_EQ(slice({I({9}), I({0}), I({1}), I({-2})}), "2x2xf32: 3 1 7 5");
  EXPECT_NE(slice({I({0}), I({1}), I({1}), I({0})}).find("a slice with step 0"),
            std::string::npos);
  EXPECT_NE(slice({I({0}), I({1, 2})}).find("have different lengths"),
            std::string::npos);
  EXPECT_NE(slice({I({0}), I({1}), I({7})}).find("axis 7 is outside"),
            std::string::npos);
  EXPECT_NE(slice({F({1}, {1}), I({1})})
                .find("its starts are not a list of integers"),
            std::string::npos);
}

TEST(Shapes, Splits) {
  std::string x = F({5}, {1, 2, 3, 4, 5});
  EXPECT_EQ(compute("Split", {x}, "", 2, 0), "3xf32: 1 2 3");
  EXPECT_EQ(compute("Split", {x}, "", 2, 1), "2xf32: 4 5");
  // num_outputs is ONNX from opset 18 on; files have it at 17, too.
  EXPECT_EQ(compute("Split", {x}, integerAttribute("num_outputs", 3), 3, 2, 17),
            "1xf32: 5");
  EXPECT_EQ(compute("Split", {x, I({1, 4})}, "", 2, 1), "4xf32: 2 3 4 5");
  EXPECT_EQ(compute("Split", {x, I({5, 0})}, "", 2, 1), "0xf32:");
  EXPECT_NE(compute("Split", {x, I({1, 3})}, "", 2)
                .find("its sizes do not add up: 1x3 of a dimension of 5"),
            std::string::npos);
  EXPECT_NE(compute("Split", {x, I({INT64_MAX, INT64_MAX})}, "", 2)
                .find("its sizes do not add up"),
            std::string::npos);
  EXPECT_NE(compute("Split", {x}, integerAttribute("num_outputs", 3), 2)
                .find("num_outputs is not the number of its outputs"),
            std::string::npos);
}

TEST(Shapes, Concatenates) {
  std::string axis = integerAttribute("axis", 0),
              last = integerAttribute("axis", -1);
  EXPECT_EQ(compute("Concat", {I({1}), I({}), I({2, 3})}, axis),
            "3xi64: 1 2 3");
  EXPECT_EQ(compute("Concat", {I({}), I({})}, axis), "0xi64:");
  EXPECT_EQ(
      compute("Concat", {F({2, 1}, {1, 2}), F({2, 2}, {3, 4, 5, 6})}, last),
      "2x3xf32: 1 3 4 2 5 6");
  EXPECT_NE(compute("Concat", {F({2, 1}, {1, 2}), F({1, 2}, {3, 4})}, axis)
                .find("its inputs do not fit together: 2x1 and 1x2"),
            std::string::npos);
}

TEST(Shapes, Repeats) {
  EXPECT_EQ(compute("Expand", {I({2, 1}, {1, 2}), I({1, 3})}),
            "2x3xi64: 1 1 1 2 2 2");
  EXPECT_EQ(compute("Expand", {I({1, 2}), I({2, 1})}), "2x2xi64: 1 2 1 2");
  EXPECT_EQ(compute("Expand", {I({2, 1, 1}, {1, 2}), I({2})}),
            "2x1x2xi64: 1 1 2 2");
  EXPECT_EQ(compute("Tile", {I({1, 2}, {1, 2}), I({2, 2})}),
            "2x4xi64: 1 2 1 2 1 2 1 2");
  EXPECT_EQ(compute("Tile", {I({1, 2}), I({0})}), "0xi64:");
  EXPECT_NE(compute("Tile", {I({1, 2}), I({1, 1})})
                .find("2 repeats for a tensor of rank 1"),
            std::string::npos);
  EXPECT_NE(
      compute("Expand", {I({1, 2}), I({3})}).find("does not broadcast to 3"),
      std::string::npos);
  EXPECT_NE(compute("Expand", {I({1, 2}), I({1l << 41, 2})})
                .find("more than 2^40 elements"),
            std::string::npos);
  EXPECT_NE(compute("Expand", {I({1, 2}), I({-3, 2})})
                .find("a dimension of its result would be -3"),
            std::string::npos);
}

TEST(Shapes, Pads) {
  std::string x = I({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(compute("Pad", {x, I({0, 1, 0, 2})}),
            "2x5xi64: 0 1 2 0 0 0 3 4 0 0");
  EXPECT_EQ(compute("Pad", {x, I({1, 0}), I({}, {9}), I({0})}),
            "3x2xi64: 9 9 1 2 3 4");
  EXPECT_EQ(compute("Pad", {x, I({0, -1, 0, 0})}), "2x1xi64: 2 4");
  EXPECT_NE(
      compute("Pad", {x, I({0, -3, 0, 0})}).find("it pads 2x2 by -3 and 0"),
      std::string::npos);
  EXPECT_NE(compute("Pad", {x, I({1})}).find("it has 1 pads for 2 axes"),
            std::string::npos);
  EXPECT_NE(compute("Pad", {x, I({0, 0, 0, 0})}, textAttribute("mode", "wrap"))
                .find("its mode is 'wrap'"),
            std::string::npos);
}

TEST(Shapes, Resizes) {
  std::string x = I({1, 1, 1, 2}, {1, 2}), nothing = F({0}, {});
  EXPECT_EQ(compute("Resize", {x, "", F({4}, {1, 1, 2, 2})}),
            "1x1x2x4xi64: 1 1 2 2 1 1 2 2");
  EXPECT_EQ(compute("Resize", {x, "", nothing, I({1, 1, 1, 6})}),
            "1x1x1x6xi64: 1 1 1 2 2 2");
  EXPECT_NE(compute("Resize", {x, "", F({4}, {1, 1, 2, 1.5})})
                .find("only enlarging by whole factors"),
            std::string::npos);
  EXPECT_NE(compute("Resize", {x, "", F({4}, {1, 1, 2, 2})},
                    textAttribute("mode", "linear"))
                .find("only nearest-neighbour"),
            std::string::npos);
}

TEST(Shapes, ShapesAsValues) {
  std::string x = F({2, 3, 4}, std::vector<float>(24));
  EXPECT_EQ(compute("Shape", {x}), "3xi64: 2 3 4");
  EXPECT_EQ(compute("Shape", {x}, integerAttribute("start", -2)), "2xi64: 3 4");
  EXPECT_EQ(compute("Shape", {x},
                    integerAttribute("start", 1) + integerAttribute("end", 2)),
            "1xi64: 3");
  EXPECT_EQ(compute("Shape", {x},
                    integerAttribute("start", 2) + integerAttribute("end", 1)),
            "0xi64:");
  EXPECT_EQ(compute("Size", {x}), "i64: 24");
  EXPECT_EQ(compute("ConstantOfShape", {I({2})}), "2xf32: 0 0");
  std::string seven = bytes(5, bytes(1, "value") + bytes(5, I({7})));
  EXPECT_EQ(compute("ConstantOfShape", {I({2})}, seven), "2xi64: 7 7");
  EXPECT_NE(compute("ConstantOfShape", {I({2})}, integerAttribute("value", 1))
                .find("its value is not one number"),
            std::string::npos);
  EXPECT_EQ(compute("Range", {I({}, {1}), I({}, {8}), I({}, {3})}),
            "3xi64: 1 4 7");
  EXPECT_EQ(compute("Range", {F({}, {1}), F({}, {0}), F({}, {-0.5})}),
            "2xf32: 1 0.5");
  EXPECT_EQ(compute("Range", {I({}, {3}), I({}, {1}), I({}, {1})}), "0xi64:");
  EXPECT_NE(compute("Range", {I({}, {3}), I({}, {1}), I({}, {0})})
                .find("with a step of 0"),
            std::string::npos);
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

TEST(Reductions, OverAxes) {
  std::string x = F({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(compute("ReduceSum", {x, I({1})}), "2x1xf32: 6 15");
  EXPECT_EQ(compute("ReduceSum", {x, I({-1})}, keep(0)), "2xf32: 6 15");
  EXPECT_EQ(compute("ReduceSum", {x}, keep(0)), "f32: 21");
  EXPECT_EQ(compute("ReduceSum", {x, I({})},
                    integerAttribute("noop_with_empty_axes", 1)),
            "2x3xf32: 1 2 3 4 5 6");
  EXPECT_EQ(compute("ReduceMean", {x}, integersAttribute("axes", {0})),
            "1x3xf32: 2.5 3.5 4.5");
  EXPECT_EQ(compute("ReduceMax", {x, I({0})}), "1x3xf32: 4 5 6");
  EXPECT_EQ(compute("ReduceMin", {x, I({0})}), "1x3xf32: 1 2 3");
  EXPECT_EQ(compute("ReduceProd", {x, I({1})}), "2x1xf32: 6 120");
  EXPECT_EQ(compute("ReduceL1", {F({2}, {-1, 2}), I({0})}), "1xf32: 3");
  EXPECT_EQ(compute("ReduceL2", {F({2}, {3, 4}), I({0})}), "1xf32: 5");
  EXPECT_EQ(compute("ReduceSumSquare", {F({2}, {3, 4}), I({0})}), "1xf32: 25");
  EXPECT_EQ(compute("ReduceLogSum", {F({2}, {0.5, 0.5}), I({0})}), "1xf32: 0");
  EXPECT_EQ(compute("ReduceLogSumExp", {F({2}, {1000, 1000}), I({0})}),
            "1xf32: 1000.69");
  EXPECT_EQ(compute("LogSoftmax", {F({2}, {1000, 1000})}),
            "2xf32: -0.693147 -0.693147");
  EXPECT_EQ(compute("GlobalAveragePool", {F({1, 2, 2}, {1, 2, 3, 5})}),
            "1x2x1xf32: 1.5 4");
  EXPECT_EQ(compute("ReduceSum", {I({2, 2}, {1, 2, 3, 4}), I({0})}),
            "1x2xi64: 4 6");
  EXPECT_EQ(compute("ReduceProd", {I({2, 2}, {1, 2, 3, 4}), I({0})}),
            "1x2xi64: 3 8");
  EXPECT_EQ(compute("ReduceMax", {I({2, 2}, {1, 2, 3, 4}), I({0})}),
            "1x2xi64: 3 4");
  EXPECT_EQ(compute("ReduceMin", {I({2, 2}, {1, 2, 3, 4}), I({0})}),
            "1x2xi64: 1 2");
  EXPECT_NE(compute("ReduceMean", {I({1})}).find("on integers"),
            std::string::npos);
  EXPECT_NE(compute("ReduceLogSumExp", {I({1})}).find("on integers"),
            std::string::npos);
  EXPECT_NE(
      compute("ReduceMax", {F({0}, {})}).find("a dimension without elements"),
      std::string::npos);
  EXPECT_NE(
      compute("ReduceMax", {F({1}, {1}), I({3})}).find("axis 3 is outside"),
      std::string::npos);
}

TEST(Reductions, HalfPrecisionMeansDoNotOverflow) {
  // 1000 values of 500: their sum is no fp16 number.
  std::string bits;
  for (unsigned i = 0; i < 1000; ++i)
    bits += std::string("\xd0\x5f", 2);
  std::string x = tensorHead("", ElementType::Float16, {1000}) + bytes(9, bits);
  EXPECT_EQ(compute("ReduceMean", {x}, keep(0)), "f16: 500");
}

TEST(Reductions, PlacesOfExtremes) {
  std::string x = F({2, 3}, {1, 3, 3, 2, 0, 0});
  EXPECT_EQ(compute("ArgMax", {x}, integerAttribute("axis", 1)),
            "2x1xi64: 1 0");
  EXPECT_EQ(compute("ArgMin", {x}, integerAttribute("axis", 1) + keep(0)),
            "2xi64: 0 1");
  EXPECT_EQ(compute("ArgMax", {x},
                    integerAttribute("axis", 1) +
                        integerAttribute("select_last_index", 1)),
            "2x1xi64: 2 0");
  EXPECT_EQ(compute("ArgMax", {I({3, 9, 9})}), "1xi64: 1");
}

//===----------------------------------------------------------------------===//
// Indexing
//===----------------------------------------------------------------------===//

TEST(Indexing, Gathers) {
  std::string x = F({3, 2}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(compute("Gather", {x, I({}, {1})}), "2xf32: 3 4");
  EXPECT_EQ(compute("Gather", {x, I({-1, 0})}), "2x2xf32: 5 6 1 2");
  EXPECT_EQ(compute("Gather", {x, I({0, 2})}), "2x2xf32: 1 2 5 6");
  EXPECT_EQ(
      compute("Gather", {x, I({1, 2}, {1, 0})}, integerAttribute("axis", 1)),
      "3x1x2xf32: 2 1 4 3 6 5");
  EXPECT_EQ(compute("Gather", {x, I({})}), "0x2xf32:");
  EXPECT_NE(compute("Gather", {x, I({3})})
                .find("index 3 is outside of a dimension of 3"),
            std::string::npos);
  EXPECT_NE(compute("Gather", {x, F({1}, {0})})
                .find("its indices are not int32 or int64"),
            std::string::npos);
  EXPECT_NE(compute("Gather", {F({0, 2}, {}), I({0})}).find("without elements"),
            std::string::npos);
  EXPECT_EQ(compute("GatherND", {x, I({2, 2}, {0, 1, -1, 0})}), "2xf32: 2 5");
  EXPECT_EQ(compute("GatherND", {x, I({1, 1}, {2})}), "1x2xf32: 5 6");
  EXPECT_NE(compute("GatherND", {x, I({1, 3}, {0, 0, 0})})
                .find("do not fit data of shape 3x2"),
            std::string::npos);
  EXPECT_NE(compute("GatherND", {x, I({1, 1}, {0})},
                    integerAttribute("batch_dims", 1))
                .find("with batch_dims"),
            std::string::npos);
  EXPECT_EQ(compute("GatherElements", {x, I({1, 2}, {2, -3})}), "1x2xf32: 5 2");
  EXPECT_EQ(compute("GatherElements", {x, I({3, 1}, {1, 0, 1})},
                    integerAttribute("axis", 1)),
            "3x1xf32: 2 3 6");
  EXPECT_NE(compute("GatherElements", {x, I({1})}).find("do not fit data"),
            std::string::npos);
}

TEST(Indexing, Scatters) {
  std::string x = F({3, 2}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(
      compute("ScatterND", {x, I({2, 1}, {2, 0}), F({2, 2}, {7, 8, 9, 10})}),
      "3x2xf32: 9 10 3 4 7 8");
  EXPECT_EQ(compute("ScatterND", {x, I({1, 2}, {-1, 1}), F({1}, {7})}),
            "3x2xf32: 1 2 3 4 5 7");
  EXPECT_EQ(compute("ScatterND", {x, I({0, 1}, {}), F({0, 2}, {})}),
            "3x2xf32: 1 2 3 4 5 6");
  auto refused = [&](const Names &tensors, const char *part,
                     const std::string &attribute = "") {
    std::string text = compute("ScatterND", tensors, attribute);
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  refused({x, I({1, 1}, {3}), F({1, 2}, {7, 8})},
          "index 3 is outside of a dimension of 3");
  refused({x, I({1, 3}, {0, 0, 0}), F({1}, {7})},
          "do not fit data of shape 3x2");
  refused({x, I({1, 1}, {0}), F({1}, {7})}, "its updates are not of shape 1x2");
  refused({x, I({1, 1}, {0}), F({1, 2}, {7, 8})}, "with a reduction",
          textAttribute("reduction", "add"));
}

TEST(Shapes, Sequences) {
  auto take = [](const std::string &split, int64_t position,
                 const std::string &attributes = "") {
    GraphWriter graph;
    graph.initializer(floats("c0", {5}, {1, 2, 3, 4, 5}))
        .initializer(integers("c2", {}, {position}));
    Names inputs{"c0"};
    if (!split.empty()) {
      graph.initializer(split + bytes(8, "c1"));
      inputs.push_back("c1");
    }
    graph.node(node("SplitToSequence", inputs, {"s"}, attributes))
        .node(node("SequenceAt", {"s", "c2"}, {"y"}))
        .result("y");
    Imported imported;
    imported.import(model(graph));
    return show(imported);
  };
  EXPECT_EQ(take(I({}, {2}), 2), "1xf32: 5");
  EXPECT_EQ(take(I({2, 3}), -1), "3xf32: 3 4 5");
  EXPECT_EQ(take("", 1), "1xf32: 2");
  EXPECT_EQ(take("", 1, keep(0)), "f32: 2");
  EXPECT_NE(
      take(I({}, {2}), 3).find("position 3 is outside of a list of 3 tensors"),
      std::string::npos);
  EXPECT_NE(take(I({}, {0}), 0).find("parts of 0 of a dimension of 5"),
            std::string::npos);
  EXPECT_NE(take(I({2, 2}), 0).find("its sizes do not add up"),
            std::string::npos);
  EXPECT_NE(compute("SequenceAt", {F({1}, {1}), I({}, {0})})
                .find("its list or its position is not known"),
            std::string::npos);
}

TEST(Indexing, OneHotAndTriangles) {
  EXPECT_EQ(compute("OneHot", {I({1, -1}), I({}, {3}), F({2}, {0, 9})}),
            "2x3xf32: 0 9 0 0 0 9");
  EXPECT_EQ(compute("OneHot", {I({1, 0}), I({}, {3}), F({2}, {0, 1})},
                    integerAttribute("axis", 0)),
            "3x2xf32: 0 1 1 0 0 0");
  EXPECT_NE(compute("OneHot", {I({1}), I({}, {0}), F({2}, {0, 1})})
                .find("its depth is not from 1"),
            std::string::npos);
  std::string x = I({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(compute("Trilu", {x}), "2x3xi64: 1 2 3 0 5 6");
  EXPECT_EQ(compute("Trilu", {x, I({}, {1})}), "2x3xi64: 0 2 3 0 0 6");
  EXPECT_EQ(compute("Trilu", {x, I({}, {-1})}), "2x3xi64: 1 2 3 4 5 6");
  EXPECT_EQ(compute("Trilu", {x}, integerAttribute("upper", 0)),
            "2x3xi64: 1 0 0 4 5 0");
  EXPECT_NE(compute("Trilu", {I({1})}).find("its input is not a matrix"),
            std::string::npos);
}
