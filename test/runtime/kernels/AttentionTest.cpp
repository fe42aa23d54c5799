//===- AttentionTest.cpp - Attention against a loop in double -------------===//
//
// Tolerance: outputs are means of values in [-1, 1]. Scores are sums of d
// products (d 2^-24), and an error of a score is a relative error of its p;
// the sums over the keys add keys 2^-24. With 16-bit dot products p has 8 bits
// (2^-9 each, averaged), and storing adds the rounding of the type.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/attention/Attention.h"
#include "test/runtime/kernels/KernelData.h"

#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace dit::runtime;
using namespace dit::test;
using dit::plan::ElementType;

namespace {

constexpr ElementType F32 = ElementType::F32, F16 = ElementType::F16,
                      BF16 = ElementType::BF16;

AttentionShape shapeOf(int64_t queries, int64_t keys, int64_t dim,
                       ElementType type) {
  AttentionShape shape;
  shape.batch = 2;
  shape.heads = 3;
  shape.queryTokens = queries;
  shape.keyTokens = keys;
  shape.headDim = shape.valueDim = dim;
  shape.scale = 1 / std::sqrt(static_cast<float>(dim));
  shape.type = type;
  return shape;
}

/// [batch, token, head, dim] with a gap of 2 elements after each token.
AttentionShape::Operand operandOf(int64_t tokens, int64_t heads, int64_t dim) {
  int64_t token = heads * dim + 2;
  return {tokens * token, token, dim};
}

/// Operands of one attention, and the result by loops.
struct Problem {
  AttentionShape shape;
  Array q, k, v, mask;
  int64_t outputSize;

  Problem(AttentionShape given, unsigned seed) : shape(given) {
    std::mt19937 generator(seed);
    int64_t keyHeads = shape.heads / shape.keyHeadGroup;
    shape.q = operandOf(shape.queryTokens, shape.heads, shape.headDim);
    shape.k = operandOf(shape.keyTokens, keyHeads, shape.headDim);
    shape.v = operandOf(shape.keyTokens, keyHeads, shape.valueDim);
    shape.output = operandOf(shape.queryTokens, shape.heads, shape.valueDim);
    auto size = [&](const AttentionShape::Operand &operand) {
      return shape.batch * operand.batchStride;
    };
    q = Array::random(shape.type, size(shape.q), generator);
    for (int64_t i = 0; i != q.size(); ++i) // scores wide enough to matter
      q.set(i, 4 * q[i]);
    k = Array::random(shape.type, size(shape.k), generator);
    v = Array::random(shape.type, size(shape.v), generator);
    outputSize = size(shape.output);
    if (shape.hasMask)
      mask = Array::random(
          F32, shape.batch * shape.heads * shape.queryTokens * shape.keyTokens,
          generator);
  }

  static size_t index(const AttentionShape::Operand &operand, int64_t batch,
                      int64_t token, int64_t head, int64_t dim) {
    return static_cast<size_t>(batch * operand.batchStride +
                               token * operand.tokenStride +
                               head * operand.headStride + dim);
  }

  /// Copies of the operands that are fast to read.
  struct Doubles {
    std::vector<double> q, k, v;
  };

  /// The exponents of one query, then its row of the output and, last, the
  /// logarithm of its sum.
  std::vector<double> expected(const Doubles &from, int64_t batch, int64_t head,
                               int64_t query) const {
    std::vector<double> p(static_cast<size_t>(shape.keyTokens));
    int64_t keyHead = head / shape.keyHeadGroup;
    double largest = -INFINITY, sum = 0;
    for (int64_t s = 0; s != shape.keyTokens; ++s) {
      double score = 0;
      for (int64_t d = 0; d != shape.headDim; ++d)
        score += from.q[index(shape.q, batch, query, head, d)] *
                 from.k[index(shape.k, batch, s, keyHead, d)];
      score *= static_cast<double>(shape.scale);
      if (shape.hasMask)
        score = static_cast<float>(
            score +
            mask[batch * shape.maskBatchStride + head * shape.maskHeadStride +
                 query * shape.maskQueryStride + s * shape.maskKeyStride]);
      p[static_cast<size_t>(s)] = score;
      largest = std::max(largest, score);
    }
    for (double &value : p)
      sum += value = std::exp(value - largest);
    std::vector<double> row(static_cast<size_t>(shape.valueDim) + 1);
    for (int64_t d = 0; d != shape.valueDim; ++d) {
      double value = 0;
      for (int64_t s = 0; s != shape.keyTokens; ++s)
        value += p[static_cast<size_t>(s)] / sum *
                 from.v[index(shape.v, batch, s, keyHead, d)];
      row[static_cast<size_t>(d)] = value;
    }
    row.back() = std::isinf(largest) ? largest : largest + std::log(sum);
    return row;
  }

  std::pair<Array, Array> run(InstructionSet set, int64_t step) const {
    Array output = Array::poison(shape.type, outputSize);
    Array logSumExp =
        Array::poison(F32, shape.batch * shape.heads * shape.queryTokens);
    llvm::Expected<AttentionKernel> kernel =
        AttentionKernel::create(shape, set);
    if (!kernel) {
      ADD_FAILURE() << llvm::toString(kernel.takeError());
      return {output, logSumExp};
    }
    AttentionPointers pointers;
    pointers.q = q.data();
    pointers.k = k.data();
    pointers.v = v.data();
    pointers.output = output.data();
    pointers.mask =
        shape.hasMask ? static_cast<const float *>(mask.data()) : nullptr;
    pointers.logSumExp = static_cast<float *>(logSumExp.data());
    runInSteps(*kernel, pointers, step ? step : kernel->blocks());
    return {output, logSumExp};
  }

  void check(InstructionSet set = hostInstructionSet()) const {
    auto [output, logSumExp] = run(set, 0);
    const double scores = static_cast<double>(shape.headDim) * 4 *
                          static_cast<double>(shape.scale) * 0x1p-22;
    const double tolerance =
        scores + 4e-6 + static_cast<double>(shape.keyTokens) * 0x1p-24 +
        (shape.type == BF16 ? 0x1p-8 : 0) + roundingOf(shape.type);
    const Doubles from{q.doubles(), k.doubles(), v.doubles()};
    Array untouched = Array::poison(shape.type, outputSize);
    int64_t wrong = 0;
    auto expectNear = [&](double got, double want, double limit,
                          const char *what, int64_t i) {
      if (got == want) // infinities too
        return;
      if (std::isnan(want) ? !std::isnan(got)
                           : !(std::abs(got - want) <= limit))
        if (++wrong <= 3)
          ADD_FAILURE() << describe() << ": " << what << " " << i << " is "
                        << got << ", expected " << want;
    };
    for (int64_t batch = 0; batch != shape.batch; ++batch)
      for (int64_t head = 0; head != shape.heads; ++head)
        for (int64_t query = 0; query != shape.queryTokens; ++query) {
          std::vector<double> row = expected(from, batch, head, query);
          for (int64_t d = 0; d != shape.valueDim; ++d) {
            auto i = static_cast<int64_t>(
                index(shape.output, batch, query, head, d));
            expectNear(output[i], row[static_cast<size_t>(d)], tolerance,
                       "output", i);
            std::memcpy(
                untouched.at(i), output.at(i),
                static_cast<size_t>(dit::plan::elementBytes(shape.type)));
          }
          int64_t i = (batch * shape.heads + head) * shape.queryTokens + query;
          expectNear(logSumExp[i], row.back(),
                     tolerance + 1e-6 * std::abs(row.back()), "log sum", i);
        }
    EXPECT_EQ(wrong, 0) << describe();
    EXPECT_TRUE(untouched == output) << describe() << ": wrote between rows";
    for (int64_t step : {1, 2})
      EXPECT_TRUE(run(set, step) == std::make_pair(output, logSumExp))
          << describe() << " in steps of " << step;
  }

  std::string describe() const {
    std::string text;
    llvm::raw_string_ostream(text)
        << shape.queryTokens << " queries, " << shape.keyTokens << " keys, d "
        << shape.headDim << "/" << shape.valueDim << " "
        << elementName(shape.type) << (shape.hasMask ? " masked" : "");
    return text;
  }
};

TEST(Attention, SelfAttentionOfEveryType) {
  unsigned seed = 0;
  for (int64_t tokens : {1, 7, 64, 77, 256})
    for (int64_t dim : {16, 48, 72})
      for (ElementType type : {F32, F16, BF16})
        Problem(shapeOf(tokens, tokens, dim, type), ++seed).check();
}

TEST(Attention, CrossAttention) {
  unsigned seed = 50;
  for (auto [queries, keys] :
       {std::pair<int64_t, int64_t>{1, 300}, {64, 7}, {100, 129}, {33, 513}})
    for (ElementType type : {F32, F16, BF16}) {
      AttentionShape shape = shapeOf(queries, keys, 24, type);
      shape.valueDim = 40;
      Problem(shape, ++seed).check();
    }
}

TEST(Attention, EveryInstructionSet) {
  for (InstructionSet set : instructionSets())
    for (ElementType type : {F32, F16, BF16})
      for (bool masked : {false, true})
        for (int64_t dim : {5, 32}) {
          AttentionShape shape = shapeOf(70, 150, dim, type);
          shape.hasMask = masked;
          shape.maskQueryStride = 150;
          shape.maskKeyStride = 1;
          Problem(shape, 60).check(set);
        }
}

TEST(Attention, MaskBroadcasts) {
  for (int kind = 0; kind != 16; ++kind) {
    AttentionShape shape = shapeOf(40, 140, 16, kind % 3 ? F32 : BF16);
    shape.hasMask = true;
    shape.maskKeyStride = kind & 1 ? 1 : 0;
    shape.maskQueryStride = kind & 2 ? 140 : 0;
    shape.maskHeadStride = kind & 4 ? 140 * 40 : 0;
    shape.maskBatchStride = kind & 8 ? 140 * 40 * 3 : 0;
    Problem(shape, 70u + static_cast<unsigned>(kind)).check();
  }
}

TEST(Attention, LargeMasksHideKeys) {
  const float lowest = std::numeric_limits<float>::lowest();
  for (InstructionSet set : instructionSets())
    for (float hidden : {-1e4f, lowest, -INFINITY})
      for (ElementType type : {F32, BF16}) {
        AttentionShape shape = shapeOf(40, 300, 16, type);
        shape.hasMask = true;
        shape.maskQueryStride = 300;
        shape.maskKeyStride = 1;
        Problem problem(shape, 90);
        for (int64_t query = 0; query != 40; ++query)
          for (int64_t key = 0; key != 300; ++key) {
            // Row 0: all hidden; rows 1-9: the first block of keys hidden;
            // then causal.
            bool hide = query == 0 || (query < 10 && key < 200) ||
                        (query >= 10 && key > query);
            problem.mask.set(query * 300 + key, hide ? hidden : 0.25);
          }
        problem.check(set);
      }
}

TEST(Attention, ScaleMayBeNegativeOrZero) {
  for (float scale : {-0.3f, 0.0f, 2.0f}) {
    AttentionShape shape = shapeOf(20, 200, 16, F32);
    shape.scale = scale;
    Problem(shape, 91).check();
  }
}

TEST(Attention, TokensMayBeBroadcast) {
  for (ElementType type : {F32, F16, BF16})
    for (int64_t keys : {1, 150}) {
      Problem problem(shapeOf(20, keys, 16, type), 95);
      problem.shape.k.tokenStride = 0;
      problem.check();
      problem.shape.v.tokenStride = 0;
      problem.check();
    }
}

TEST(Attention, HeadsMayShareKeys) {
  AttentionShape shape = shapeOf(70, 90, 32, BF16);
  shape.heads = 6;
  shape.keyHeadGroup = 3;
  Problem(shape, 92).check();
  shape.type = F32;
  Problem(shape, 93).check();
}

// q, k and v interleaved in one tensor [B, T, H, 3, d], as a qkv product
// leaves them.
TEST(Attention, PackedQkv) {
  for (ElementType type : {F32, F16, BF16}) {
    const int64_t tokens = 77, dim = 24, heads = 3;
    Problem apart(shapeOf(tokens, tokens, dim, type), 94);
    auto [want, wantSum] = apart.run(hostInstructionSet(), 0);
    Array qkv(type, 2 * tokens * heads * 3 * dim);
    Problem packed = apart;
    AttentionShape::Operand layout{tokens * heads * 3 * dim, heads * 3 * dim,
                                   3 * dim};
    for (int64_t i = 0; i != qkv.size(); ++i) {
      int64_t d = i % dim, part = i / dim % 3, head = i / dim / 3 % heads,
              token = i / dim / 3 / heads % tokens,
              batch = i / dim / 3 / heads / tokens;
      const Array &from = part == 0 ? apart.q : part == 1 ? apart.k : apart.v;
      qkv.set(i, from[static_cast<int64_t>(
                     Problem::index(apart.shape.q, batch, token, head, d))]);
    }
    packed.shape.q = packed.shape.k = packed.shape.v = layout;
    llvm::Expected<AttentionKernel> kernel =
        AttentionKernel::create(packed.shape);
    ASSERT_TRUE(bool(kernel));
    Array output = Array::poison(type, packed.outputSize);
    AttentionPointers pointers;
    pointers.q = qkv.data();
    pointers.k = qkv.at(dim);
    pointers.v = qkv.at(2 * dim);
    pointers.output = output.data();
    runInSteps(*kernel, pointers, 1);
    EXPECT_TRUE(output == want);
  }
}

std::string errorOf(const AttentionShape &shape) {
  llvm::Expected<AttentionKernel> kernel = AttentionKernel::create(shape);
  return kernel ? "" : llvm::toString(kernel.takeError());
}

TEST(Attention, Errors) {
  AttentionShape shape = shapeOf(4, 4, 8, F32);
  shape.valueDim = 0;
  EXPECT_EQ(errorOf(shape), "attention of 2 x 3 heads, 4 queries, 4 keys, head "
                            "dimension 8: sizes must be positive");
  shape = shapeOf(4, 4, 8, ElementType::F64);
  EXPECT_EQ(errorOf(shape),
            "attention of 2 x 3 heads, 4 queries, 4 keys, head dimension 8: "
            "elements must be f32, f16 or bf16, not f64");
  shape = shapeOf(4, 4, 8, F32);
  shape.keyHeadGroup = 2;
  EXPECT_EQ(errorOf(shape),
            "attention of 2 x 3 heads, 4 queries, 4 keys, head dimension 8: "
            "groups of 2 heads do not divide the heads");
}

} // namespace
