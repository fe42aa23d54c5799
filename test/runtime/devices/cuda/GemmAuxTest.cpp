//===- GemmAuxTest.cpp - GELU, and its gradient, in a GPU's products ------===//
//
// GELU with its input as a second result, and the product with GELU's
// derivative, against sums in double. How often the library rounds on the way
// is its own: once, or also before GELU or its derivative.
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Failure.h"
#include "test/runtime/devices/cuda/CudaPlan.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace dit;
using namespace dit::test;
using dit::plan::ElementType;
using dit::plan::Exit;
using dit::runtime::Executor;

namespace {

struct Case {
  const char *name;
  ElementType type;
  int64_t m, n, k;
  bool gradient = false, bias = false;
  int64_t gap = 0; // elements between the rows of aux
};

class CudaGemmAuxTest : public ::testing::TestWithParam<Case> {};

/// The product in a plan, its operands on the host. As in training: forward B
/// is [N, K], for the gradient the same weight as it is, [K, N].
struct Problem {
  explicit Problem(const Case &test);

  /// A[row] . B[:, column] + bias, in double.
  double sum(int64_t row, int64_t column) const;

  Case test;
  CudaPlan plan;
  unsigned a, b, c, aux, bias;
  std::vector<float> valuesA, valuesB, valuesAux, valuesBias;
};

} // namespace

static constexpr ElementType F32 = ElementType::F32, F16 = ElementType::F16,
                             BF16 = ElementType::BF16;

Problem::Problem(const Case &test) : test(test) {
  int64_t rows = test.m, auxStride = test.n + test.gap;
  a = plan.addGlobal("a", test.type, {rows, test.k});
  b = plan.addGlobal("b", test.type, {test.n * test.k});
  c = plan.addGlobal("c", test.type, {rows, test.n});
  aux = plan.addGlobal("aux", test.type, {rows, auxStride});
  bias = plan.addGlobal("bias", test.type, {test.n});
  valuesA = randomValues(test.type, rows * test.k, 1);
  valuesB = randomValues(test.type, test.n * test.k, 2, 1 / std::sqrt(test.k));
  if (test.gradient)
    valuesAux = randomValues(test.type, rows * auxStride, 3, 2);
  valuesBias = randomValues(test.type, test.n, 4);

  proto::Gemm &gemm = *plan.add().mutable_gemm();
  gemm = makeGemm(test.type, test.type, test.m, test.n, test.k);
  gemm.set_transpose_b(!test.gradient);
  gemm.set_ldb(test.gradient ? test.n : test.k);
  gemm.set_activation(test.gradient ? proto::Gemm::GELU_TANH_GRAD
                                    : proto::Gemm::GELU_TANH);
  gemm.set_aux_stride(auxStride);
  *gemm.mutable_a() = plan.place(a);
  *gemm.mutable_b() = plan.place(b);
  *gemm.mutable_c() = plan.place(c);
  *gemm.mutable_aux() = plan.place(aux);
  if (test.bias)
    *gemm.mutable_bias() = plan.place(bias);
  *gemm.mutable_workspace() = plan.arena(32 << 20);
}

double Problem::sum(int64_t row, int64_t column) const {
  double total = test.bias ? valuesBias[column] : 0;
  for (int64_t k = 0; k != test.k; ++k)
    total += double(valuesA[row * test.k + k]) *
             valuesB[test.gradient ? k * test.n + column : column * test.k + k];
  return total;
}

static double gelu(double x) {
  return 0.5 * x *
         (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double geluGradient(double x) {
  double scale = std::sqrt(2 / M_PI);
  double t = std::tanh(scale * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) +
         0.5 * x * (1 - t * t) * scale * (1 + 3 * 0.044715 * x * x);
}

/// The largest error of one rounding, relative.
static double roundingOf(ElementType type) {
  return type == BF16 ? 0x1p-8 : 0x1p-11;
}

TEST_P(CudaGemmAuxTest, EqualsSumsInDouble) {
  if (!hasGpu())
    GTEST_SKIP() << "no GPU";
  const Case &test = GetParam();
  Problem p(test);
  llvm::Expected<Executor *> executor = p.plan.load();
  ASSERT_TRUE(static_cast<bool>(executor))
      << plan::describe(executor.takeError()).second;
  writeValues(**executor, p.a, p.valuesA);
  writeValues(**executor, p.b, p.valuesB);
  writeValues(**executor, p.bias, p.valuesBias);
  std::vector<float> c, aux;
  for (int run = 0; run != 2; ++run) {
    poison(**executor, p.c);
    if (test.gradient)
      writeValues(**executor, p.aux, p.valuesAux);
    else
      poison(**executor, p.aux);
    runForward(**executor);
    std::vector<float> again = readValues(**executor, p.c);
    std::vector<float> auxAgain = readValues(**executor, p.aux);
    // toBytes, because what lies between the rows of aux is still NaN.
    if (run) {
      EXPECT_TRUE(toBytes(F32, again) == toBytes(F32, c)) << "other bits";
      EXPECT_TRUE(toBytes(F32, auxAgain) == toBytes(F32, aux)) << "other bits";
    }
    c = again, aux = auxAgain;
  }

  int64_t rows = test.m, auxStride = test.n + test.gap;
  for (int64_t row = 0; row != rows; ++row)
    for (int64_t column = 0; column != auxStride; ++column) {
      bool isGap = column >= test.n;
      float value = aux[row * auxStride + column];
      ASSERT_TRUE(test.gradient ? value == p.valuesAux[row * auxStride + column]
                                : std::isfinite(value) != isGap)
          << "aux " << row << ", " << column;
      ASSERT_TRUE(isGap || std::isfinite(c[row * test.n + column]))
          << "element " << row << ", " << column << " was not written";
    }

  // All elements of small products, a random choice of large ones.
  constexpr int64_t most = 4096;
  const double rounding = roundingOf(test.type);
  std::mt19937_64 engine(7);
  double worst = 0, worstAux = 0;
  for (int64_t n = 0; n != std::min(rows * test.n, most); ++n) {
    int64_t element =
        rows * test.n <= most ? n : int64_t(engine() % (rows * test.n));
    int64_t row = element / test.n, column = element % test.n;
    double sum = p.sum(row, column), value = aux[row * auxStride + column];
    if (!test.gradient)
      worstAux = std::max(worstAux, std::abs(value - sum) /
                                        (rounding * std::abs(sum) + 3e-5));
    double exact = test.gradient ? sum * geluGradient(value) : gelu(sum);
    // GELU's slope is at most 1.13; its tanh is the hardware's, to 5e-4.
    double allowed = rounding * std::abs(exact) +
                     1.13 * rounding * std::abs(sum) + 5e-4 * std::abs(sum) +
                     1e-5;
    worst =
        std::max(worst, std::abs(c[row * test.n + column] - exact) / allowed);
  }
  EXPECT_LE(worstAux, 1) << "of what one rounding allows";
  EXPECT_LE(worst, 1) << "of what two roundings allow";
}

INSTANTIATE_TEST_SUITE_P(
    All, CudaGemmAuxTest,
    ::testing::Values(
        Case{.name = "xl_fc1",
             .type = BF16,
             .m = 1024,
             .n = 4608,
             .k = 1152,
             .bias = true},
        Case{.name = "xl_fc2",
             .type = BF16,
             .m = 1024,
             .n = 4608,
             .k = 1152,
             .gradient = true},
        Case{.name = "small",
             .type = BF16,
             .m = 256,
             .n = 192,
             .k = 64,
             .bias = true},
        Case{.name = "small_gradient",
             .type = BF16,
             .m = 256,
             .n = 192,
             .k = 64,
             .gradient = true},
        Case{.name = "ragged",
             .type = BF16,
             .m = 49,
             .n = 576,
             .k = 144,
             .bias = true},
        Case{.name = "ragged_gradient",
             .type = BF16,
             .m = 49,
             .n = 576,
             .k = 144,
             .gradient = true},
        Case{.name = "no_bias", .type = BF16, .m = 49, .n = 72, .k = 64},
        Case{.name = "f16",
             .type = F16,
             .m = 100,
             .n = 768,
             .k = 192,
             .bias = true},
        Case{.name = "f16_gradient",
             .type = F16,
             .m = 100,
             .n = 768,
             .k = 192,
             .gradient = true},
        Case{.name = "gap",
             .type = BF16,
             .m = 49,
             .n = 72,
             .k = 64,
             .bias = true,
             .gap = 8},
        Case{.name = "gap_gradient",
             .type = BF16,
             .m = 49,
             .n = 72,
             .k = 64,
             .gradient = true,
             .gap = 8}),
    [](const auto &info) { return std::string(info.param.name); });

TEST(CudaGemmAuxRefusalTest, WhatTheLibraryCannotDoIsNamed) {
  if (!hasGpu())
    GTEST_SKIP() << "no GPU";
  Problem biased({.name = "",
                  .type = BF16,
                  .m = 64,
                  .n = 64,
                  .k = 64,
                  .gradient = true,
                  .bias = true});
  auto [code, text] = plan::describe(biased.plan.load().takeError());
  EXPECT_EQ(code, Exit::Unsupported) << text;
  EXPECT_NE(text.find("gelu_grad: cuBLASLt does not support a bias"),
            std::string::npos)
      << text;
}
