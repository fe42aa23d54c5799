//===- AttentionTest.cpp - Attention on a GPU against a double loop -------===//

#include "compiler/codegen/gpu/FlashAttention.h"
#include "runtime/plan/Failure.h"
#include "test/runtime/devices/cuda/CudaPlan.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::test;
using dit::plan::ElementType;
using dit::plan::Exit;
using dit::runtime::Executor;

static constexpr ElementType F16 = ElementType::F16, BF16 = ElementType::BF16;

namespace {

/// Along what a mask changes.
enum class Mask { None, Keys, QueriesAndKeys, All };

struct Case {
  const char *name;
  ElementType type;
  int64_t batch, heads, queries, keys, dim;
  int64_t group = 1;
  float scale = 0; // 0: 1 / sqrt(dim)
  bool logSumExp = false;
  uint64_t workspace = 1024;
  Mask mask = Mask::None;
  bool ours = false; // our kernel
};

class CudaAttentionTest : public ::testing::TestWithParam<Case> {};

/// Q in [batch, queries, heads, dim]; K and V side by side in [batch, keys, 2,
/// heads / group, dim], as a joined projection leaves them.
struct Problem {
  CudaPlan plan;
  proto::Attention attention;
  unsigned q, kv, output, logSumExp, mask;
  std::vector<float> valuesQ, valuesKv, valuesMask;
};

} // namespace

/// Adds the mask that a case asks for, and one value in five of it is -inf.
static void buildMask(const Case &test, Problem &p) {
  proto::Attention &attention = p.attention;
  int64_t size = test.batch * test.heads * test.queries * test.keys;
  p.mask = p.plan.addGlobal("mask", ElementType::F32, {size});
  p.valuesMask = randomValues(ElementType::F32, size, 3);
  for (int64_t i = 0; i < size; i += 5)
    p.valuesMask[i] = -INFINITY;
  if (test.mask == Mask::None)
    return;
  *attention.mutable_mask() = p.plan.place(p.mask);
  attention.set_mask_key_stride(1);
  if (test.mask == Mask::Keys)
    attention.set_mask_batch_stride(test.keys);
  else
    attention.set_mask_query_stride(test.keys);
  if (test.mask == Mask::All) {
    attention.set_mask_head_stride(test.queries * test.keys);
    attention.set_mask_batch_stride(test.heads * test.queries * test.keys);
  }
}

/// Has our kernel do it instead of the library.
static void takeOurKernel(const Case &test, Problem &p) {
  codegen::FlashKernel kernel = codegen::getFlashAttention(test.dim);
  proto::FlashAttention *flash = p.attention.mutable_flash();
  flash->set_part(kernel.part);
  flash->set_symbol(kernel.symbol);
  flash->set_query_block(codegen::flashQueryBlock);
  flash->set_shared_bytes(kernel.sharedBytes);
  p.plan.setPtx(kernel.ptx, "sm_90a", kernel.part);
}

static void build(const Case &test, Problem &p) {
  int64_t keyHeads = test.heads / test.group;
  int64_t sizeQ = test.batch * test.queries * test.heads * test.dim;
  int64_t sizeKv = test.batch * test.keys * 2 * keyHeads * test.dim;
  p.q = p.plan.addGlobal("q", test.type, {sizeQ});
  p.kv = p.plan.addGlobal("kv", test.type, {sizeKv});
  p.output = p.plan.addGlobal("output", test.type, {sizeQ});
  p.logSumExp = p.plan.addGlobal("log_sum_exp", ElementType::F32,
                                 {test.batch, test.heads, test.queries});
  p.valuesQ = randomValues(test.type, sizeQ, 1);
  p.valuesKv = randomValues(test.type, sizeKv, 2);
  proto::Attention &attention = p.attention;
  attention = makeAttention(test.type, test.batch, test.heads, test.queries,
                            test.keys, test.dim, test.group);
  if (test.scale)
    attention.set_scale(test.scale);
  buildMask(test, p);
  if (test.logSumExp)
    *attention.mutable_log_sum_exp() = p.plan.place(p.logSumExp);
  if (test.workspace)
    *attention.mutable_workspace() = p.plan.arena(test.workspace);
  *attention.mutable_q() =
      makeOperand(p.plan.place(p.q), test.queries, 1, test.heads, test.dim);
  *attention.mutable_k() =
      makeOperand(p.plan.place(p.kv), test.keys, 2, keyHeads, test.dim);
  *attention.mutable_v() = makeOperand(p.plan.place(p.kv, keyHeads * test.dim),
                                       test.keys, 2, keyHeads, test.dim);
  *attention.mutable_output() = makeOperand(
      p.plan.place(p.output), test.queries, 1, test.heads, test.dim);
  if (test.ours)
    takeOurKernel(test, p);
}

/// One output row and its log-sum-exp, in double.
static std::pair<std::vector<double>, double>
reference(const Case &test, const Problem &p, int64_t batch, int64_t head,
          int64_t query) {
  int64_t keyHeads = test.heads / test.group;
  const float *q =
      &p.valuesQ[((batch * test.queries + query) * test.heads + head) *
                 test.dim];
  auto row = [&](int64_t key, int64_t part) {
    return &p.valuesKv[(((batch * test.keys + key) * 2 + part) * keyHeads +
                        head / test.group) *
                       test.dim];
  };
  std::vector<double> scores(test.keys);
  double largest = -INFINITY, sum = 0;
  for (int64_t key = 0; key != test.keys; ++key) {
    for (int64_t d = 0; d != test.dim; ++d)
      scores[key] += double(q[d]) * row(key, 0)[d];
    scores[key] *= p.attention.scale();
    if (test.mask != Mask::None)
      scores[key] +=
          p.valuesMask[batch * p.attention.mask_batch_stride() +
                       head * p.attention.mask_head_stride() +
                       query * p.attention.mask_query_stride() + key];
    largest = std::max(largest, scores[key]);
  }
  for (double &score : scores)
    sum += score = std::exp(score - largest);
  std::vector<double> output(test.dim);
  for (int64_t key = 0; key != test.keys; ++key)
    for (int64_t d = 0; d != test.dim; ++d)
      output[d] += scores[key] / sum * row(key, 1)[d];
  return {output, largest + std::log(sum)};
}

TEST_P(CudaAttentionTest, EqualsADoubleLoop) {
  if (!hasGpu())
    GTEST_SKIP() << "no GPU";
  const Case &test = GetParam();
  if (test.ours && !isHopper())
    GTEST_SKIP() << "no Hopper";
  Problem p;
  build(test, p);
  *p.plan.add().mutable_attention() = p.attention;
  llvm::Expected<Executor *> executor = p.plan.load();
  ASSERT_TRUE(static_cast<bool>(executor))
      << plan::describe(executor.takeError()).second;
  writeValues(**executor, p.q, p.valuesQ);
  writeValues(**executor, p.kv, p.valuesKv);
  writeValues(**executor, p.mask, p.valuesMask);
  poison(**executor, p.output);
  poison(**executor, p.logSumExp);
  runForward(**executor);
  std::vector<float> output = readValues(**executor, p.output);
  std::vector<float> logSumExp = readValues(**executor, p.logSumExp);
  double error = 0, norm = 0;
  int64_t rows = test.batch * test.heads * test.queries;
  // Every row of small problems, every 61st or so of large ones.
  int64_t step = std::max<int64_t>(rows / 2048, 1) | 1;
  for (float value : output)
    ASSERT_TRUE(std::isfinite(value)) << "an element was not written";
  for (int64_t n = 0; n < rows; n += step) {
    int64_t query = n % test.queries, head = n / test.queries % test.heads;
    int64_t batch = n / test.queries / test.heads;
    auto [exact, exactLog] = reference(test, p, batch, head, query);
    if (test.logSumExp)
      ASSERT_NEAR(logSumExp[n], exactLog, 1e-3) << "row " << n;
    for (int64_t d = 0; d != test.dim; ++d) {
      double actual =
          output[((batch * test.queries + query) * test.heads + head) *
                     test.dim +
                 d];
      error += (actual - exact[d]) * (actual - exact[d]);
      norm += exact[d] * exact[d];
    }
  }
  // Weights and outputs are rounded once each to the type.
  double allowed = test.type == BF16 ? 4e-3 : test.type == F16 ? 6e-4 : 3e-6;
  EXPECT_LE(std::sqrt(error / norm), allowed);
}

INSTANTIATE_TEST_SUITE_P(
    All, CudaAttentionTest,
    ::testing::Values(
        Case{"bf16_d64", BF16, 2, 6, 64, 64, 64},
        Case{"f16_d64", F16, 2, 6, 64, 64, 64},
        Case{"bf16_d72", BF16, 2, 16, 256, 256, 72},
        Case{"f16_d72", F16, 2, 16, 256, 256, 72},
        Case{"bf16_d48", BF16, 1, 4, 49, 49, 48},
        Case{"bf16_d32", BF16, 2, 4, 196, 196, 32},
        Case{"bf16_d80", BF16, 1, 3, 100, 100, 80},
        Case{"bf16_d96", BF16, 1, 2, 128, 128, 96},
        Case{"bf16_d128", BF16, 1, 2, 300, 300, 128},
        Case{"bf16_cross", BF16, 2, 8, 300, 77, 64},
        Case{"bf16_cross_d72", BF16, 2, 8, 256, 13, 72},
        Case{"bf16_one_query", BF16, 3, 2, 1, 65, 64},
        Case{"bf16_groups", BF16, 2, 8, 64, 64, 64, 4},
        Case{"bf16_scale", BF16, 1, 2, 64, 64, 64, 1, 0.5},
        Case{"bf16_log_sum_exp", BF16, 2, 4, 100, 100, 72, 1, 0, true},
        Case{"bf16_no_workspace", BF16, 2, 4, 256, 256, 72, 1, 0, false, 0},
        Case{"f32_d64", ElementType::F32, 2, 6, 64, 64, 64},
        Case{"f32_d72", ElementType::F32, 2, 4, 100, 100, 72},
        Case{.name = "bf16_mask_keys",
             .type = BF16,
             .batch = 2,
             .heads = 4,
             .queries = 64,
             .keys = 77,
             .dim = 64,
             .mask = Mask::Keys},
        Case{.name = "bf16_mask_queries",
             .type = BF16,
             .batch = 2,
             .heads = 4,
             .queries = 100,
             .keys = 100,
             .dim = 72,
             .mask = Mask::QueriesAndKeys},
        Case{.name = "f16_mask_all",
             .type = F16,
             .batch = 2,
             .heads = 4,
             .queries = 49,
             .keys = 51,
             .dim = 72,
             .logSumExp = true,
             .mask = Mask::All},
        Case{.name = "f32_mask_keys",
             .type = ElementType::F32,
             .batch = 2,
             .heads = 4,
             .queries = 64,
             .keys = 80,
             .dim = 64,
             .mask = Mask::Keys},
        Case{"bf16_long", BF16, 1, 2, 4096, 4096, 72}),
    [](const auto &info) { return std::string(info.param.name); });

/// Every head dimension, with tokens that end within and at blocks of 64 keys
/// and of queries, as many keys as stages of copies and more.
static std::vector<Case> ourCases() {
  std::vector<Case> cases;
  constexpr std::pair<int64_t, int64_t> tokens[] = {
      {1, 1}, {49, 49}, {64, 64}, {65, 130}, {256, 256}, {300, 77}, {513, 449}};
  for (int64_t dim = 48; dim <= 128; dim += 8)
    for (auto [queries, keys] : tokens)
      cases.push_back({.name = "",
                       .type = BF16,
                       .batch = 2,
                       .heads = 3,
                       .queries = queries,
                       .keys = keys,
                       .dim = dim,
                       .logSumExp = true,
                       .workspace = 0,
                       .ours = true});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Ours, CudaAttentionTest,
                         ::testing::ValuesIn(ourCases()), [](const auto &info) {
                           const Case &test = info.param;
                           return "d" + std::to_string(test.dim) + "_" +
                                  std::to_string(test.queries) + "_" +
                                  std::to_string(test.keys);
                         });

TEST(CudaFlashAttentionTest, GivesTheSameBitsEachTime) {
  if (!hasGpu() || !isHopper())
    GTEST_SKIP() << "no Hopper";
  Problem p;
  build({.name = "",
         .type = BF16,
         .batch = 8,
         .heads = 16,
         .queries = 1000,
         .keys = 1000,
         .dim = 72,
         .ours = true},
        p);
  *p.plan.add().mutable_attention() = p.attention;
  llvm::Expected<Executor *> executor = p.plan.load();
  ASSERT_TRUE(static_cast<bool>(executor))
      << plan::describe(executor.takeError()).second;
  writeValues(**executor, p.q, p.valuesQ);
  writeValues(**executor, p.kv, p.valuesKv);
  runForward(**executor);
  std::vector<float> first = readValues(**executor, p.output);
  for (int run = 0; run != 5; ++run) {
    poison(**executor, p.output);
    runForward(**executor);
    EXPECT_EQ(readValues(**executor, p.output), first);
  }
}

TEST(CudaAttentionRefusalTest, WhatIsNotSupportedIsNamedWithTheShape) {
  if (!hasGpu())
    GTEST_SKIP() << "no GPU";
  auto refusal = [](Case test, auto change) {
    Problem p;
    build(test, p);
    change(p);
    *p.plan.add().mutable_attention() = p.attention;
    llvm::Expected<Executor *> executor = p.plan.load();
    if (executor)
      return std::string("not refused");
    auto [code, text] = plan::describe(executor.takeError());
    EXPECT_EQ(code, Exit::Unsupported) << text;
    EXPECT_NE(text.find("2 heads, 64 x 64 tokens"), std::string::npos) << text;
    return text;
  };
  auto none = [](Problem &) {};
  Case fp64{"", ElementType::F64, 1, 2, 64, 64, 64};
  EXPECT_NE(refusal(fp64, none).find("the type f64"), std::string::npos);
  Case odd{"", BF16, 1, 2, 64, 64, 20};
  EXPECT_NE(refusal(odd, none).find("16 bytes"), std::string::npos);
  Case plain{"", BF16, 1, 2, 64, 64, 64};
  auto mask = [](Problem &p) {
    *p.attention.mutable_mask() = p.plan.place(p.mask);
    p.attention.set_mask_key_stride(0);
  };
  EXPECT_NE(refusal(plain, mask).find("a mask"), std::string::npos);
}
