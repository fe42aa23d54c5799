//===- OpsTest.cpp - Pointwise ops and reductions, by numbers -------------===//
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
  EXPECT_NE(
      compute("ReduceLogSumExp", {I({1})}).find("floating-point tensors only"),
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
