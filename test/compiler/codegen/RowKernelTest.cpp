//===- RowKernelTest.cpp - Kernels with reductions along their rows -------===//
//
// Against loops in double. Tolerances are for sums of D fp32 numbers around 1
// (1e-5), or one rounding to bf16 (2^-8).
//
//===----------------------------------------------------------------------===//
#include "test/compiler/codegen/KernelHarness.h"

#include "llvm/Support/FormatVariadic.h"

using namespace dit::codegen;

namespace {
struct Shape {
  int64_t batch, tokens, lane;
};

/// {0}, {1}, {2}: batch, tokens, lane; {3}: element type.
std::string layerNormModulate(Shape shape, const char *type) {
  return llvm::formatv(
             R"(%0:2 = space = [{0}, {1}, {2}] (%x0, %x1, %x2, %x3, %x4) : (tensor<{0}x{1}x{2}x{3}>, tensor<{0}x{1}x{2}x{3}>, tensor<{0}x{2}x{3}>, tensor<{0}x{2}x{3}>, tensor<{0}x{2}x{3}>) -> (tensor<{0}x{1}x{2}x{3}>, tensor<{0}x{1}x{2}x{3}>) {{
  ^bb0(%x: tensor<{0}x{1}x{2}x{3}>, %p: tensor<{0}x{1}x{2}x{3}>, %g: tensor<{0}x{2}x{3}>, %s: tensor<{0}x{2}x{3}>, %t: tensor<{0}x{2}x{3}>):
    %gate = dit.broadcast %g dims = [0, 2] : tensor<{0}x{2}x{3}> -> tensor<{0}x{1}x{2}x{3}>
    %gp = arith.mulf %gate, %p : tensor<{0}x{1}x{2}x{3}>
    %y = arith.addf %x, %gp : tensor<{0}x{1}x{2}x{3}>
    %n, %mean, %rstd = dit.layer_norm %y eps = 1.0e-6 : tensor<{0}x{1}x{2}x{3}>
    %one = arith.constant dense<1.0> : tensor<{0}x{2}x{3}>
    %s1 = arith.addf %s, %one : tensor<{0}x{2}x{3}>
    %scale = dit.broadcast %s1 dims = [0, 2] : tensor<{0}x{2}x{3}> -> tensor<{0}x{1}x{2}x{3}>
    %shift = dit.broadcast %t dims = [0, 2] : tensor<{0}x{2}x{3}> -> tensor<{0}x{1}x{2}x{3}>
    %m = arith.mulf %n, %scale : tensor<{0}x{1}x{2}x{3}>
    %h = arith.addf %m, %shift : tensor<{0}x{1}x{2}x{3}>
    dit.yield %y, %h : tensor<{0}x{1}x{2}x{3}>, tensor<{0}x{1}x{2}x{3}>
  })",
             shape.batch, shape.tokens, shape.lane, type)
      .str();
}

using Parameters = std::tuple<Shape, const char *>;
class RowKernel : public testing::TestWithParam<Parameters> {};
} // namespace

TEST_P(RowKernel, gateResidualLayerNormModulate) {
  auto [shape, cpu] = GetParam();
  auto [batch, tokens, lane] = shape;
  CompiledKernel kernel(layerNormModulate(shape, "f32"), cpu, 3);
  size_t full = batch * tokens * lane, sample = batch * lane;
  std::vector<float> in[5];
  for (int i = 0; i < 5; ++i) {
    in[i] = randomFloats(i < 2 ? full : sample, i + 1);
    kernel.fill(i, in[i]);
  }
  kernel.run();
  std::vector<double> sums(full), outputs(full);
  for (int64_t row = 0; row < batch * tokens; ++row) {
    double mean = 0, variance = 0;
    int64_t b = row / tokens;
    auto y = [&](int64_t d) {
      return in[0][row * lane + d] +
             double(in[2][b * lane + d]) * in[1][row * lane + d];
    };
    for (int64_t d = 0; d < lane; ++d)
      mean += y(d) / lane;
    for (int64_t d = 0; d < lane; ++d)
      variance += (y(d) - mean) * (y(d) - mean) / lane;
    for (int64_t d = 0; d < lane; ++d) {
      sums[row * lane + d] = y(d);
      outputs[row * lane + d] = (y(d) - mean) / std::sqrt(variance + 1e-6) *
                                    (1.0 + in[3][b * lane + d]) +
                                in[4][b * lane + d];
    }
  }
  EXPECT_LT(worstDifference(kernel.result(0), sums), 1e-6);
  EXPECT_LT(worstDifference(kernel.result(1), outputs), 1e-5);

  std::vector<double> whole = kernel.result(1);
  kernel.run(1);
  EXPECT_EQ(whole, kernel.result(1)) << "bits depend on how blocks are split";
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, RowKernel,
    testing::Combine(testing::Values(Shape{1, 1, 7}, Shape{2, 5, 72},
                                     Shape{1, 49, 200}, Shape{3, 4, 1152},
                                     Shape{1, 2, 4608}, Shape{2, 128, 16},
                                     Shape{1, 3, 33}),
                     testing::Values("native", "x86-64-v3", "x86-64-v4")));
