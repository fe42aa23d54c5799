//===- GemmTest.cpp - Matrix products on a GPU against a double loop ------===//

#include "runtime/plan/Failure.h"
#include "test/runtime/devices/cuda/CudaPlan.h"

#include <cmath>
#include <cstdio>
#include <fstream>
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
  ElementType type, resultType;
  int64_t m, n, k, batch = 1;
  bool transposeA = false, transposeB = true;
  bool bias = false, gelu = false, residual = false;
  bool inPlace = false; // the residual is C
  float beta = 0;
  uint64_t workspace = 0;
  int64_t gap = 0; // elements between the rows of A, B and C
};

class CudaGemmTest : public ::testing::TestWithParam<Case> {};

/// A GEMM in a plan, its operands on the host.
struct Problem {
  CudaPlan plan;
  proto::Gemm gemm;
  unsigned a, b, c, bias, residual;
  std::vector<float> valuesA, valuesB, valuesC, valuesBias, valuesResidual;
};

} // namespace

static void build(const Case &test, Problem &p) {
  p.gemm = makeGemm(test.type, test.resultType, test.m, test.n, test.k);
  proto::Gemm &gemm = p.gemm;
  gemm.set_batch(test.batch);
  gemm.set_transpose_a(test.transposeA);
  gemm.set_transpose_b(test.transposeB);
  gemm.set_lda((test.transposeA ? test.m : test.k) + test.gap);
  gemm.set_ldb((test.transposeB ? test.k : test.n) + test.gap);
  gemm.set_ldc(test.n + test.gap);
  int64_t rowsA = test.transposeA ? test.k : test.m;
  int64_t rowsB = test.transposeB ? test.n : test.k;
  gemm.set_stride_a(rowsA * gemm.lda());
  gemm.set_stride_b(rowsB * gemm.ldb());
  gemm.set_stride_c(test.m * gemm.ldc());
  int64_t sizeA = test.batch * gemm.stride_a();
  int64_t sizeB = test.batch * gemm.stride_b();
  int64_t sizeC = test.batch * gemm.stride_c();
  p.a = p.plan.addGlobal("a", test.type, {sizeA});
  p.b = p.plan.addGlobal("b", test.type, {sizeB});
  p.c = p.plan.addGlobal("c", test.resultType, {sizeC});
  p.bias = p.plan.addGlobal("bias", test.resultType, {test.n});
  p.residual = p.plan.addGlobal("residual", test.resultType, {sizeC});
  p.valuesA = randomValues(test.type, sizeA, 1);
  p.valuesB = randomValues(test.type, sizeB, 2, 1 / std::sqrt(test.k));
  p.valuesC = randomValues(test.resultType, sizeC, 3);
  p.valuesBias = randomValues(test.resultType, test.n, 4);
  p.valuesResidual = randomValues(test.resultType, sizeC, 5);
  *gemm.mutable_a() = p.plan.place(p.a);
  *gemm.mutable_b() = p.plan.place(p.b);
  *gemm.mutable_c() = p.plan.place(p.c);
  if (test.bias)
    *gemm.mutable_bias() = p.plan.place(p.bias);
  if (test.gelu)
    gemm.set_activation(proto::Gemm::GELU_TANH);
  if (test.residual) {
    *gemm.mutable_residual() = p.plan.place(test.inPlace ? p.c : p.residual);
    if (test.inPlace)
      p.valuesResidual = p.valuesC;
    gemm.set_residual_stride(gemm.ldc());
  }
  gemm.set_beta(test.beta);
  if (test.workspace)
    *gemm.mutable_workspace() = p.plan.arena(test.workspace);
}

/// The exact element, and the sum of |a b| that bounds rounding errors.
static std::pair<double, double> reference(const Problem &p, int64_t batch,
                                           int64_t i, int64_t j) {
  const proto::Gemm &gemm = p.gemm;
  double sum = 0, magnitude = 0;
  for (int64_t k = 0; k != gemm.k(); ++k) {
    double a = p.valuesA[batch * gemm.stride_a() + (gemm.transpose_a()
                                                        ? k * gemm.lda() + i
                                                        : i * gemm.lda() + k)];
    double b = p.valuesB[batch * gemm.stride_b() + (gemm.transpose_b()
                                                        ? j * gemm.ldb() + k
                                                        : k * gemm.ldb() + j)];
    sum += a * b;
    magnitude += std::abs(a * b);
  }
  if (gemm.bias().space() != proto::Place::NONE)
    sum += p.valuesBias[j];
  if (gemm.activation() == proto::Gemm::GELU_TANH)
    sum = 0.5 * sum *
          (1 +
           std::tanh(std::sqrt(2 / M_PI) * (sum + 0.044715 * sum * sum * sum)));
  int64_t at = batch * gemm.stride_c() + i * gemm.ldc() + j;
  if (gemm.residual().space() != proto::Place::NONE)
    sum += p.valuesResidual[at];
  sum += gemm.beta() * p.valuesC[at];
  return {sum, magnitude};
}

/// Half a unit in the last place of the result, with room for one more
/// rounding on the way.
static double roundingOf(ElementType type) {
  return type == ElementType::BF16  ? 0x1p-8
         : type == ElementType::F16 ? 0x1p-10
                                    : 1e-6;
}

TEST_P(CudaGemmTest, EqualsADoubleLoop) {
  if (!hasGpu())
    GTEST_SKIP() << "no GPU";
  const Case &test = GetParam();
  Problem p;
  build(test, p);
  *p.plan.add().mutable_gemm() = p.gemm;
  llvm::Expected<Executor *> executor = p.plan.load();
  ASSERT_TRUE(static_cast<bool>(executor))
      << plan::describe(executor.takeError()).second;
  writeValues(**executor, p.a, p.valuesA);
  writeValues(**executor, p.b, p.valuesB);
  writeValues(**executor, p.bias, p.valuesBias);
  writeValues(**executor, p.residual, p.valuesResidual);
  if (test.beta || test.inPlace)
    writeValues(**executor, p.c, p.valuesC);
  else
    poison(**executor, p.c);
  runForward(**executor);
  std::vector<float> c = readValues(**executor, p.c);
  for (int64_t row = 0; row != test.batch * test.m; ++row)
    for (int64_t j = 0; j != test.n; ++j)
      ASSERT_TRUE(std::isfinite(c[row * p.gemm.ldc() + j]))
          << "element " << j << " of row " << row << " was not written";
  // All elements of small products, a random choice of large ones.
  constexpr int64_t most = 4096;
  std::mt19937_64 engine(7);
  int64_t elements = test.batch * test.m * test.n;
  double worst = 0;
  for (int64_t n = 0; n != std::min(elements, most); ++n) {
    int64_t element = elements <= most ? n : int64_t(engine() % elements);
    int64_t j = element % test.n, i = element / test.n % test.m;
    int64_t batch = element / test.n / test.m;
    auto [exact, magnitude] = reference(p, batch, i, j);
    double actual = c[batch * p.gemm.stride_c() + i * p.gemm.ldc() + j];
    double allowed = roundingOf(test.resultType) * std::abs(exact) +
                     // GELU's tanh is an approximation of the hardware.
                     (test.gelu ? 1e-3 : 0) * std::abs(exact) +
                     1e-6 * magnitude + (test.gelu ? 2e-4 : 1e-7);
    worst = std::max(worst, std::abs(actual - exact) / allowed);
  }
  EXPECT_LE(worst, 1) << "of what rounding allows";
}

static constexpr ElementType F32 = ElementType::F32, F16 = ElementType::F16,
                             BF16 = ElementType::BF16;
static constexpr uint64_t largeWorkspace = 32 << 20;

INSTANTIATE_TEST_SUITE_P(
    All, CudaGemmTest,
    ::testing::Values(Case{.name = "f32",
                           .type = F32,
                           .resultType = F32,
                           .m = 49,
                           .n = 72,
                           .k = 64},
                      Case{.name = "bf16",
                           .type = BF16,
                           .resultType = BF16,
                           .m = 49,
                           .n = 72,
                           .k = 64},
                      Case{.name = "f16",
                           .type = F16,
                           .resultType = F16,
                           .m = 49,
                           .n = 72,
                           .k = 64},
                      Case{.name = "bf16_f32",
                           .type = BF16,
                           .resultType = F32,
                           .m = 256,
                           .n = 200,
                           .k = 1152},
                      Case{.name = "f16_f32",
                           .type = F16,
                           .resultType = F32,
                           .m = 256,
                           .n = 200,
                           .k = 1152},
                      Case{.name = "f32_bias",
                           .type = F32,
                           .resultType = F32,
                           .m = 256,
                           .n = 384,
                           .k = 200,
                           .bias = true},
                      Case{.name = "bf16_bias",
                           .type = BF16,
                           .resultType = BF16,
                           .m = 512,
                           .n = 3456,
                           .k = 1152,
                           .bias = true},
                      Case{.name = "bf16_f32_bias",
                           .type = BF16,
                           .resultType = F32,
                           .m = 512,
                           .n = 1152,
                           .k = 1152,
                           .bias = true},
                      Case{.name = "f16_bias",
                           .type = F16,
                           .resultType = F16,
                           .m = 512,
                           .n = 1152,
                           .k = 4608,
                           .bias = true},
                      Case{.name = "f32_gelu",
                           .type = F32,
                           .resultType = F32,
                           .m = 64,
                           .n = 72,
                           .k = 64,
                           .gelu = true},
                      Case{.name = "f32_gelu_bias",
                           .type = F32,
                           .resultType = F32,
                           .m = 256,
                           .n = 768,
                           .k = 192,
                           .bias = true,
                           .gelu = true},
                      Case{.name = "bf16_gelu_bias",
                           .type = BF16,
                           .resultType = BF16,
                           .m = 512,
                           .n = 4608,
                           .k = 1152,
                           .bias = true,
                           .gelu = true},
                      Case{.name = "f16_gelu_bias",
                           .type = F16,
                           .resultType = F16,
                           .m = 512,
                           .n = 4608,
                           .k = 1152,
                           .bias = true,
                           .gelu = true},
                      Case{.name = "bf16_bias_residual",
                           .type = BF16,
                           .resultType = BF16,
                           .m = 512,
                           .n = 1152,
                           .k = 4608,
                           .bias = true,
                           .residual = true},
                      Case{.name = "f32_beta",
                           .type = F32,
                           .resultType = F32,
                           .m = 128,
                           .n = 96,
                           .k = 80,
                           .beta = 1},
                      Case{.name = "bf16_one_row",
                           .type = BF16,
                           .resultType = BF16,
                           .m = 1,
                           .n = 6912,
                           .k = 1152,
                           .bias = true},
                      Case{.name = "bf16_two_rows_workspace",
                           .type = BF16,
                           .resultType = BF16,
                           .m = 2,
                           .n = 6912,
                           .k = 1152,
                           .bias = true,
                           .workspace = largeWorkspace},
                      Case{.name = "f32_one_row",
                           .type = F32,
                           .resultType = F32,
                           .m = 1,
                           .n = 1152,
                           .k = 256,
                           .bias = true},
                      Case{.name = "bf16_workspace",
                           .type = BF16,
                           .resultType = BF16,
                           .m = 512,
                           .n = 1152,
                           .k = 4608,
                           .bias = true,
                           .workspace = largeWorkspace},
                      Case{.name = "f32_b_not_transposed",
                           .type = F32,
                           .resultType = F32,
                           .m = 64,
                           .n = 80,
                           .k = 48,
                           .transposeB = false},
                      Case{.name = "bf16_a_transposed",
                           .type = BF16,
                           .resultType = BF16,
                           .m = 64,
                           .n = 80,
                           .k = 48,
                           .transposeA = true},
                      Case{.name = "bf16_both_other",
                           .type = BF16,
                           .resultType = F32,
                           .m = 64,
                           .n = 80,
                           .k = 48,
                           .transposeA = true,
                           .transposeB = false},
                      Case{.name = "bf16_sum_of_rows_added",
                           .type = BF16,
                           .resultType = F32,
                           .m = 192,
                           .n = 576,
                           .k = 512,
                           .transposeA = true,
                           .transposeB = false,
                           .residual = true,
                           .inPlace = true,
                           .workspace = largeWorkspace},
                      Case{.name = "bf16_batched",
                           .type = BF16,
                           .resultType = BF16,
                           .m = 49,
                           .n = 64,
                           .k = 72,
                           .batch = 6},
                      Case{.name = "f32_batched_bias",
                           .type = F32,
                           .resultType = F32,
                           .m = 49,
                           .n = 56,
                           .k = 72,
                           .batch = 3,
                           .bias = true},
                      Case{.name = "bf16_gaps",
                           .type = BF16,
                           .resultType = BF16,
                           .m = 100,
                           .n = 72,
                           .k = 64,
                           .bias = true,
                           .gap = 8},
                      Case{.name = "f32_odd",
                           .type = F32,
                           .resultType = F32,
                           .m = 33,
                           .n = 17,
                           .k = 13,
                           .bias = true,
                           .gap = 1},
                      Case{.name = "bf16_odd",
                           .type = BF16,
                           .resultType = BF16,
                           .m = 33,
                           .n = 17,
                           .k = 13,
                           .gap = 1}),
    [](const auto &info) { return std::string(info.param.name); });

static std::string refusalOf(proto::Gemm gemm, Exit expected) {
  CudaPlan plan;
  unsigned data = plan.addGlobal("data", F32, {1 << 16});
  for (proto::Place *place :
       {gemm.mutable_a(), gemm.mutable_b(), gemm.mutable_c()})
    *place = plan.place(data);
  for (proto::Place *place : {gemm.mutable_gate(), gemm.mutable_residual()})
    if (place->space() != proto::Place::NONE)
      *place = plan.place(data);
  *plan.add().mutable_gemm() = gemm;
  llvm::Expected<Executor *> executor = plan.load();
  if (executor)
    return "not refused";
  auto [code, text] = plan::describe(executor.takeError());
  EXPECT_EQ(code, expected) << text;
  return text;
}

TEST(CudaGemmRefusalTest, WhatTheLibraryCannotDoIsNamedWithTheShape) {
  if (!hasGpu())
    GTEST_SKIP() << "no GPU";
  auto expect = [](const proto::Gemm &gemm, std::string part) {
    std::string text = refusalOf(gemm, Exit::Unsupported);
    EXPECT_NE(text.find("gemm 64x32x16"), std::string::npos) << text;
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  proto::Gemm silu = makeGemm(BF16, BF16, 64, 32, 16);
  silu.set_activation(proto::Gemm::SILU);
  expect(silu, "silu");
  proto::Gemm erf = makeGemm(BF16, BF16, 64, 32, 16);
  erf.set_activation(proto::Gemm::GELU_ERF);
  expect(erf, "erf");
  proto::Gemm gate = makeGemm(BF16, BF16, 64, 32, 16);
  gate.mutable_gate()->set_space(proto::Place::GLOBAL);
  gate.set_gate_type(proto::BF16);
  gate.set_rows_per_gate(16);
  gate.set_gate_stride(32);
  expect(gate, "a gate");
  proto::Gemm sum = makeGemm(BF16, BF16, 64, 32, 16);
  sum.set_activation(proto::Gemm::GELU_TANH);
  sum.mutable_residual()->set_space(proto::Place::GLOBAL);
  sum.set_residual_stride(32);
  expect(sum, "after an activation");
  proto::Gemm packed = makeGemm(BF16, BF16, 64, 32, 16);
  packed.mutable_packed()->set_columns(16);
  packed.mutable_packed()->set_vnni(2);
  expect(packed, "packed");
  proto::Gemm mixed = makeGemm(BF16, BF16, 64, 32, 16);
  mixed.set_b_type(proto::F16);
  expect(mixed, "types");
}

static std::string readText(const std::string &file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(CudaGemmTuningTest, WhatWasMeasuredIsKeptAndTaken) {
  if (!hasGpu())
    GTEST_SKIP() << "no GPU";
  Case test{.name = "",
            .type = BF16,
            .resultType = BF16,
            .m = 512,
            .n = 1152,
            .k = 4608,
            .bias = true,
            .workspace = largeWorkspace};
  std::string file = ::testing::TempDir() + "plan.bin.tuning";
  std::remove(file.c_str());
  auto result = [&](const runtime::CudaOptions &options) {
    Problem p;
    build(test, p);
    *p.plan.add().mutable_gemm() = p.gemm;
    llvm::Expected<Executor *> executor = p.plan.load(options);
    if (!executor) {
      ADD_FAILURE() << plan::describe(executor.takeError()).second;
      return std::vector<float>();
    }
    // Measuring leaves no trace in the program's state.
    std::vector<float> before = readValues(**executor, p.c);
    EXPECT_EQ(before, std::vector<float>(before.size()));
    writeValues(**executor, p.a, p.valuesA);
    writeValues(**executor, p.b, p.valuesB);
    writeValues(**executor, p.bias, p.valuesBias);
    runForward(**executor);
    return readValues(**executor, p.c);
  };
  std::vector<float> untuned = result({});
  std::vector<float> tuned = result({0, file, true});
  std::string text = readText(file);
  EXPECT_NE(text.find("ditrun tuning 1\ncuBLASLt "), std::string::npos) << text;
  EXPECT_NE(text.find("gemm 512x1152x4608 bf16"), std::string::npos) << text;
  EXPECT_EQ(result({0, file, false}), tuned);
  EXPECT_EQ(result({0, file, true}), tuned);
  EXPECT_EQ(readText(file), text);
  double error = 0, norm = 0;
  for (size_t i = 0; i != untuned.size(); ++i) {
    error += std::pow(tuned[i] - untuned[i], 2);
    norm += std::pow(untuned[i], 2);
  }
  EXPECT_LE(std::sqrt(error / norm), 4e-3);

  std::ofstream(file) << "something else\n";
  Problem p;
  build(test, p);
  *p.plan.add().mutable_gemm() = p.gemm;
  auto [code, message] =
      plan::describe(p.plan.load({0, file, false}).takeError());
  EXPECT_EQ(code, Exit::Malformed);
  EXPECT_NE(message.find("plan.bin.tuning"), std::string::npos) << message;
}
