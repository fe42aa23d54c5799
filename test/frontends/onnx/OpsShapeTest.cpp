//===- OpsShapeTest.cpp - Ops that move, cut, repeat and look up ----------===//
//
// Expected values are ONNX's definitions worked out by hand.
//
//===----------------------------------------------------------------------===//
#include "test/frontends/onnx/Importing.h"

using namespace dit::onnx;
using namespace dit::onnx::test;

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
  EXPECT_EQ(take("", 1, integerAttribute("keepdims", 0)), "f32: 2");
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
