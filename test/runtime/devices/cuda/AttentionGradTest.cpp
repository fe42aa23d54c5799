//===- AttentionGradTest.cpp - Attention's gradient on a GPU --------------===//
//
// Forward and gradient as a training step has them, against a double loop.
//
//===----------------------------------------------------------------------===//

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

struct Case {
  const char *name;
  ElementType type;
  int64_t batch, heads, queries, keys, dim;
  int64_t group = 1;
  bool masked = false;
  bool ours = false; // by our kernel
};

class CudaAttentionGradTest : public ::testing::TestWithParam<Case> {};

/// Q and dQ in [batch, queries, heads, dim]; K and V side by side in [batch,
/// keys, 2, heads / group, dim], as a joined projection leaves them, and so
/// their gradients.
struct Problem {
  CudaPlan plan;
  proto::AttentionGrad gradient;
  unsigned q, kv, output, logSumExp, mask, outputGrad, queryGrad, kvGrad;
  std::vector<float> valuesQ, valuesKv, valuesMask, valuesGrad;
};

/// Sums in double, laid out as the problem's.
struct Expected {
  std::vector<double> queryGrad, kvGrad;
};

} // namespace

/// As much as the compiler gives.
static uint64_t workspaceOf(const Case &test) {
  auto roundUp = [](int64_t size, int64_t step) {
    return (size + step - 1) / step * step;
  };
  int64_t heads = test.batch * test.heads;
  int64_t bytes =
      roundUp(4 * heads * test.queries, 256) + 256 +
      2 * heads * roundUp(test.queries, 64) * roundUp(test.keys, 128);
  if (test.group != 1)
    bytes += 4 * heads * test.keys * test.dim;
  return bytes;
}

/// Has our kernel do it instead of the library.
static void takeOurKernel(const Case &test, Problem &p) {
  codegen::FlashKernel kernel =
      codegen::getFlashAttentionGrad(test.dim, test.keys);
  proto::FlashAttentionGrad *flash = p.gradient.mutable_flash();
  flash->set_part(kernel.part);
  flash->set_symbol(kernel.symbol);
  flash->set_threads(kernel.threads);
  flash->set_shared_bytes(kernel.sharedBytes);
  p.plan.setPtx(kernel.ptx, "sm_90a", kernel.part);
}

static void build(const Case &test, Problem &p, uint64_t workspace) {
  int64_t keyHeads = test.heads / test.group;
  int64_t sizeQ = test.batch * test.queries * test.heads * test.dim;
  int64_t sizeKv = test.batch * test.keys * 2 * keyHeads * test.dim;
  int64_t sizeMask = test.queries * test.keys;
  p.q = p.plan.addGlobal("q", test.type, {sizeQ});
  p.kv = p.plan.addGlobal("kv", test.type, {sizeKv});
  p.output = p.plan.addGlobal("output", test.type, {sizeQ});
  p.logSumExp = p.plan.addGlobal("log_sum_exp", ElementType::F32,
                                 {test.batch, test.heads, test.queries});
  p.mask = p.plan.addGlobal("mask", ElementType::F32, {sizeMask});
  p.outputGrad = p.plan.addGlobal("output_grad", test.type, {sizeQ});
  p.queryGrad = p.plan.addGlobal("query_grad", test.type, {sizeQ});
  p.kvGrad = p.plan.addGlobal("kv_grad", test.type, {sizeKv});
  p.valuesQ = randomValues(test.type, sizeQ, 1);
  p.valuesKv = randomValues(test.type, sizeKv, 2);
  p.valuesMask = randomValues(ElementType::F32, sizeMask, 3);
  p.valuesGrad = randomValues(test.type, sizeQ, 4);

  proto::Attention &forward = *p.gradient.mutable_forward();
  forward = makeAttention(test.type, test.batch, test.heads, test.queries,
                          test.keys, test.dim, test.group);
  if (test.masked) {
    *forward.mutable_mask() = p.plan.place(p.mask);
    forward.set_mask_query_stride(test.keys);
    forward.set_mask_key_stride(1);
  }
  auto queries = [&](unsigned global) {
    return makeOperand(p.plan.place(global), test.queries, 1, test.heads,
                       test.dim);
  };
  auto keys = [&](unsigned global, int64_t part) {
    return makeOperand(p.plan.place(global, part * keyHeads * test.dim),
                       test.keys, 2, keyHeads, test.dim);
  };
  *forward.mutable_log_sum_exp() = p.plan.place(p.logSumExp);
  *forward.mutable_q() = queries(p.q);
  *forward.mutable_k() = keys(p.kv, 0);
  *forward.mutable_v() = keys(p.kv, 1);
  *forward.mutable_output() = queries(p.output);
  *p.gradient.mutable_output_grad() = queries(p.outputGrad);
  *p.gradient.mutable_query_grad() = queries(p.queryGrad);
  *p.gradient.mutable_key_grad() = keys(p.kvGrad, 0);
  *p.gradient.mutable_value_grad() = keys(p.kvGrad, 1);
  proto::Attention &first = *p.plan.add().mutable_attention();
  first = forward;
  *first.mutable_workspace() = p.plan.arena(1024);
  if (test.ours)
    takeOurKernel(test, p);
  else if (workspace)
    *p.gradient.mutable_workspace() = p.plan.arena(workspace);
  *p.plan.add().mutable_attention_grad() = p.gradient;
}

/// Adds what a query of a head gives to all three gradients.
static void addQuery(const Case &test, const Problem &p, int64_t batch,
                     int64_t head, int64_t query, Expected &sums) {
  int64_t keyHeads = test.heads / test.group;
  int64_t atQ = ((batch * test.queries + query) * test.heads + head) * test.dim;
  auto at = [&](int64_t key, int64_t part) {
    return (((batch * test.keys + key) * 2 + part) * keyHeads +
            head / test.group) *
           test.dim;
  };
  const float *q = &p.valuesQ[atQ], *g = &p.valuesGrad[atQ];
  double scale = p.gradient.forward().scale();
  std::vector<double> weights(test.keys), products(test.keys);
  double largest = -INFINITY, sum = 0, delta = 0;
  for (int64_t key = 0; key != test.keys; ++key) {
    const float *k = &p.valuesKv[at(key, 0)], *v = &p.valuesKv[at(key, 1)];
    for (int64_t d = 0; d != test.dim; ++d) {
      weights[key] += scale * q[d] * k[d];
      products[key] += double(g[d]) * v[d];
    }
    if (test.masked)
      weights[key] += p.valuesMask[query * test.keys + key];
    largest = std::max(largest, weights[key]);
  }
  for (double &weight : weights)
    sum += weight = std::exp(weight - largest);
  for (int64_t key = 0; key != test.keys; ++key)
    delta += (weights[key] /= sum) * products[key];
  for (int64_t key = 0; key != test.keys; ++key) {
    const float *k = &p.valuesKv[at(key, 0)];
    double score = scale * weights[key] * (products[key] - delta);
    for (int64_t d = 0; d != test.dim; ++d) {
      sums.queryGrad[atQ + d] += score * k[d];
      sums.kvGrad[at(key, 0) + d] += score * q[d];
      sums.kvGrad[at(key, 1) + d] += weights[key] * g[d];
    }
  }
}

static Expected reference(const Case &test, const Problem &p) {
  Expected sums{std::vector<double>(p.valuesQ.size()),
                std::vector<double>(p.valuesKv.size())};
  for (int64_t batch = 0; batch != test.batch; ++batch)
    for (int64_t head = 0; head != test.heads; ++head)
      for (int64_t query = 0; query != test.queries; ++query)
        addQuery(test, p, batch, head, query, sums);
  return sums;
}

/// The error's norm over that of what is right.
static double relativeError(llvm::ArrayRef<float> got,
                            llvm::ArrayRef<double> want) {
  double error = 0, norm = 0;
  for (size_t i = 0; i != got.size(); ++i) {
    error += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  return std::sqrt(error / norm);
}

static void writeOperands(Executor &executor, const Problem &p) {
  writeValues(executor, p.q, p.valuesQ);
  writeValues(executor, p.kv, p.valuesKv);
  writeValues(executor, p.mask, p.valuesMask);
  writeValues(executor, p.outputGrad, p.valuesGrad);
}

TEST_P(CudaAttentionGradTest, EqualsADoubleLoop) {
  if (!hasGpu())
    GTEST_SKIP() << "no GPU";
  const Case &test = GetParam();
  if (test.ours && !isHopper())
    GTEST_SKIP() << "no Hopper";
  Problem p;
  build(test, p, workspaceOf(test));
  llvm::Expected<Executor *> executor = p.plan.load();
  ASSERT_TRUE(static_cast<bool>(executor))
      << plan::describe(executor.takeError()).second;
  writeOperands(**executor, p);
  std::vector<float> first[2];
  for (int run = 0; run != 3; ++run) {
    poison(**executor, p.queryGrad);
    poison(**executor, p.kvGrad);
    runForward(**executor);
    std::vector<float> query = readValues(**executor, p.queryGrad),
                       kv = readValues(**executor, p.kvGrad);
    if (run == 0) {
      Expected want = reference(test, p);
      // P, dS, O and the results are rounded to the type.
      double allowed = test.type == BF16 ? 8e-3 : 1.2e-3;
      EXPECT_LE(relativeError(query, want.queryGrad), allowed);
      EXPECT_LE(relativeError(kv, want.kvGrad), allowed);
      first[0] = query;
      first[1] = kv;
    }
    EXPECT_TRUE(query == first[0] && kv == first[1])
        << "run " << run << " has other bits";
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, CudaAttentionGradTest,
    ::testing::Values(Case{"bf16_d64", BF16, 2, 6, 64, 64, 64},
                      Case{"f16_d64", F16, 2, 6, 64, 64, 64},
                      Case{"bf16_d72", BF16, 2, 16, 256, 256, 72},
                      Case{"f16_d72", F16, 2, 4, 256, 256, 72},
                      Case{"bf16_d48", BF16, 1, 4, 49, 49, 48},
                      Case{"bf16_d48_t64", BF16, 4, 4, 64, 64, 48},
                      Case{"bf16_d80", BF16, 1, 3, 100, 100, 80},
                      Case{"bf16_d96", BF16, 1, 2, 128, 128, 96},
                      Case{"bf16_d128", BF16, 1, 2, 300, 300, 128},
                      Case{"bf16_cross", BF16, 2, 8, 300, 77, 64},
                      Case{"bf16_cross_d72", BF16, 2, 8, 256, 120, 72},
                      Case{"bf16_groups", BF16, 2, 8, 64, 64, 64, 4},
                      Case{"bf16_groups_d72", BF16, 2, 8, 200, 200, 72, 2},
                      Case{"bf16_mask", BF16, 2, 4, 128, 128, 72, 1, true},
                      Case{"bf16_mask_odd", BF16, 2, 4, 100, 84, 64, 1, true},
                      Case{"bf16_long", BF16, 1, 2, 1024, 1024, 72}),
    [](const auto &info) { return std::string(info.param.name); });

static Case ours(const char *name, int64_t batch, int64_t heads, int64_t tokens,
                 int64_t dim) {
  return {name, BF16, batch, heads, tokens, tokens, dim, 1, false, true};
}

INSTANTIATE_TEST_SUITE_P(Ours, CudaAttentionGradTest,
                         ::testing::Values(ours("d48_t64", 3, 4, 64, 48),
                                           ours("d48_t128", 2, 3, 128, 48),
                                           ours("d48_t256", 2, 2, 256, 48),
                                           ours("d64_t64", 3, 4, 64, 64),
                                           ours("d64_t128", 2, 3, 128, 64),
                                           ours("d64_t256", 2, 2, 256, 64),
                                           ours("d72_t64", 3, 4, 64, 72),
                                           ours("d72_t128", 2, 3, 128, 72),
                                           ours("d72_t256", 9, 16, 256, 72)),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });

TEST(CudaAttentionGradRefusalTest, TypesThatTheLibraryLacks) {
  if (!hasGpu())
    GTEST_SKIP() << "no GPU";
  Case test{"", ElementType::F32, 2, 4, 64, 64, 64};
  Problem p;
  build(test, p, 2 * workspaceOf(test));
  llvm::Expected<Executor *> executor = p.plan.load();
  ASSERT_FALSE(static_cast<bool>(executor));
  auto [code, text] = plan::describe(executor.takeError());
  EXPECT_EQ(code, Exit::Unsupported) << text;
  EXPECT_NE(text.find("gradient of attention f32, batch 2, 4 heads"),
            std::string::npos)
      << text;
}

TEST(CudaAttentionGradRefusalTest, ASmallWorkspaceNamesWhatIsNeeded) {
  if (!hasGpu())
    GTEST_SKIP() << "no GPU";
  Problem p;
  build({"", BF16, 2, 4, 64, 64, 64}, p, 256);
  llvm::Expected<Executor *> executor = p.plan.load();
  ASSERT_FALSE(static_cast<bool>(executor));
  auto [code, text] = plan::describe(executor.takeError());
  EXPECT_EQ(code, Exit::Unsupported) << text;
  EXPECT_NE(text.find("needs a workspace of"), std::string::npos) << text;
  EXPECT_NE(text.find("the plan has 256"), std::string::npos) << text;
}
