//===- AttentionGradTest.cpp - Attention's gradient against double loops --===//
//
// The gradient by the definition, in double, from the operands as they are
// stored: the kernel's output, log sum exp and gradients of a whole training
// step of forward and gradient. PyTorch's autograd is the second witness.
//
// Tolerance, relative to the largest gradient of each kind: a sum of n products
// of fp32 numbers is off by n 2^-24 of its terms' size, and the probabilities
// by the error of a score (d 2^-22 of its terms) twice, in the forward and
// again. With 16-bit dot products P and dS have 8 bits (2^-9 each,
// independent), the output that delta is made of too, and storing adds the
// rounding of the type.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/attention/AttentionGrad.h"
#include "test/runtime/kernels/KernelData.h"

#include "llvm/Support/raw_ostream.h"

#include <array>
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

int64_t indexOf(const AttentionShape::Operand &operand, int64_t batch,
                int64_t token, int64_t head) {
  return batch * operand.batchStride + token * operand.tokenStride +
         head * operand.headStride;
}

/// The cotangents of q, k and v.
struct Gradients {
  Array q, k, v;
  bool operator==(const Gradients &other) const = default;
};

/// Operands of one attention, what the forward made of them, and gradients.
struct Problem {
  AttentionGradShape all;
  AttentionShape &shape = all.forward;
  Array q, k, v, outputGrad, mask, output, logSumExp;

  Problem(const AttentionShape &given, unsigned seed) {
    shape = given;
    std::mt19937 generator(seed);
    int64_t keyHeads = shape.heads / shape.keyHeadGroup;
    shape.q = operandOf(shape.queryTokens, shape.heads, shape.headDim);
    shape.k = operandOf(shape.keyTokens, keyHeads, shape.headDim);
    shape.v = operandOf(shape.keyTokens, keyHeads, shape.valueDim);
    shape.output = operandOf(shape.queryTokens, shape.heads, shape.valueDim);
    all.outputGrad = shape.output;
    all.queryGrad = shape.q;
    all.keyGrad = shape.k;
    all.valueGrad = shape.v;
    q = Array::random(shape.type, sizeOf(shape.q), generator);
    for (int64_t i = 0; i != q.size(); ++i) // scores wide enough to matter
      q.set(i, 4 * q[i]);
    k = Array::random(shape.type, sizeOf(shape.k), generator);
    v = Array::random(shape.type, sizeOf(shape.v), generator);
    outputGrad = Array::random(shape.type, sizeOf(shape.output), generator);
    if (shape.hasMask)
      mask = Array::random(
          F32, shape.batch * shape.heads * shape.queryTokens * shape.keyTokens,
          generator);
  }
  Problem(const Problem &) = delete;

  int64_t sizeOf(const AttentionShape::Operand &operand) const {
    return shape.batch * operand.batchStride;
  }
  const float *maskData() const {
    return shape.hasMask ? static_cast<const float *>(mask.data()) : nullptr;
  }

  void runForward(InstructionSet set) {
    output = Array::poison(shape.type, sizeOf(shape.output));
    logSumExp =
        Array::poison(F32, shape.batch * shape.heads * shape.queryTokens);
    AttentionKernel kernel =
        llvm::cantFail(AttentionKernel::create(shape, set));
    AttentionPointers pointers;
    pointers.q = q.data();
    pointers.k = k.data();
    pointers.v = v.data();
    pointers.output = output.data();
    pointers.mask = maskData();
    pointers.logSumExp = static_cast<float *>(logSumExp.data());
    runInSteps(kernel, pointers, kernel.blocks());
  }

  Gradients run(InstructionSet set, int64_t step) const {
    Gradients made{Array::poison(shape.type, sizeOf(all.queryGrad)),
                   Array::poison(shape.type, sizeOf(all.keyGrad)),
                   Array::poison(shape.type, sizeOf(all.valueGrad))};
    AttentionGradPointers pointers = operands();
    pointers.queryGrad = made.q.data();
    pointers.keyGrad = made.k.data();
    pointers.valueGrad = made.v.data();
    AttentionGradKernel kernel =
        llvm::cantFail(AttentionGradKernel::create(all, set));
    runInSteps(kernel, pointers, step ? step : kernel.blocks());
    return made;
  }

  AttentionGradPointers operands() const {
    AttentionGradPointers pointers;
    pointers.q = q.data();
    pointers.k = k.data();
    pointers.v = v.data();
    pointers.output = output.data();
    pointers.logSumExp = static_cast<const float *>(logSumExp.data());
    pointers.outputGrad = outputGrad.data();
    pointers.mask = maskData();
    return pointers;
  }

  /// In double, with strides as all.queryGrad and the others.
  struct Expected {
    std::vector<double> q, k, v;
  };
  Expected expected() const;

  /// Runs forward and gradient, and compares with the definition.
  void check(InstructionSet set = hostInstructionSet());
  void compare(const char *name, const Array &got,
               const std::vector<double> &want,
               const AttentionShape::Operand &operand, int64_t tokens,
               int64_t heads, int64_t dim, double tolerance) const;

  std::string describe() const {
    std::string text;
    llvm::raw_string_ostream(text)
        << shape.queryTokens << " queries, " << shape.keyTokens << " keys, d "
        << shape.headDim << "/" << shape.valueDim << " "
        << elementName(shape.type) << (shape.hasMask ? " masked" : "");
    return text;
  }
};

Problem::Expected Problem::expected() const {
  const std::vector<double> q = this->q.doubles(), k = this->k.doubles(),
                            v = this->v.doubles(), dO = outputGrad.doubles();
  Expected sums{std::vector<double>(q.size()), std::vector<double>(k.size()),
                std::vector<double>(v.size())};
  const double scale = static_cast<double>(shape.scale);
  const auto keys = static_cast<size_t>(shape.keyTokens);
  std::vector<double> p(keys), dp(keys);
  auto dot = [](const double *a, const double *b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i != count; ++i)
      sum += a[i] * b[i];
    return sum;
  };
  auto add = [](double *to, double factor, const double *from, int64_t count) {
    for (int64_t i = 0; i != count; ++i)
      to[i] += factor * from[i];
  };
  for (int64_t batch = 0; batch != shape.batch; ++batch)
    for (int64_t head = 0; head != shape.heads; ++head)
      for (int64_t query = 0; query != shape.queryTokens; ++query) {
        int64_t keyHead = head / shape.keyHeadGroup;
        int64_t atQ = indexOf(shape.q, batch, query, head);
        const double *g = &dO[static_cast<size_t>(
            indexOf(all.outputGrad, batch, query, head))];
        auto atK = [&](size_t s) {
          return indexOf(shape.k, batch, static_cast<int64_t>(s), keyHead);
        };
        auto atV = [&](size_t s) {
          return indexOf(shape.v, batch, static_cast<int64_t>(s), keyHead);
        };
        double largest = -INFINITY, sum = 0, delta = 0;
        for (size_t s = 0; s != keys; ++s) {
          p[s] = scale * dot(&q[static_cast<size_t>(atQ)],
                             &k[static_cast<size_t>(atK(s))], shape.headDim);
          if (shape.hasMask)
            p[s] += mask[batch * shape.maskBatchStride +
                         head * shape.maskHeadStride +
                         query * shape.maskQueryStride +
                         static_cast<int64_t>(s) * shape.maskKeyStride];
          largest = std::max(largest, p[s]);
        }
        for (double &value : p)
          sum += value = std::exp(value - largest);
        for (size_t s = 0; s != keys; ++s) {
          p[s] /= sum;
          dp[s] = dot(g, &v[static_cast<size_t>(atV(s))], shape.valueDim);
          delta += p[s] * dp[s];
        }
        for (size_t s = 0; s != keys; ++s) {
          const double ds = scale * p[s] * (dp[s] - delta);
          add(&sums.q[static_cast<size_t>(atQ)], ds,
              &k[static_cast<size_t>(atK(s))], shape.headDim);
          add(&sums.k[static_cast<size_t>(atK(s))], ds,
              &q[static_cast<size_t>(atQ)], shape.headDim);
          add(&sums.v[static_cast<size_t>(atV(s))], p[s], g, shape.valueDim);
        }
      }
  return sums;
}

void Problem::compare(const char *name, const Array &got,
                      const std::vector<double> &want,
                      const AttentionShape::Operand &operand, int64_t tokens,
                      int64_t heads, int64_t dim, double tolerance) const {
  // With one key dq and dk vanish: differences of terms of this size.
  double largest = std::abs(static_cast<double>(shape.scale));
  for (double value : want)
    if (!std::isnan(value))
      largest = std::max(largest, std::abs(value));
  Array untouched = Array::poison(shape.type, got.size());
  int wrong = 0;
  for (int64_t batch = 0; batch != shape.batch; ++batch)
    for (int64_t token = 0; token != tokens; ++token)
      for (int64_t head = 0; head != heads; ++head)
        for (int64_t d = 0; d != dim; ++d) {
          int64_t i = indexOf(operand, batch, token, head) + d;
          double expected = want[static_cast<size_t>(i)];
          bool near = std::isnan(expected)
                          ? std::isnan(got[i])
                          : std::abs(got[i] - expected) <= tolerance * largest;
          if (!near && ++wrong <= 3)
            ADD_FAILURE() << describe() << ": " << name << " of batch " << batch
                          << ", token " << token << ", head " << head << ", d "
                          << d << " is " << got[i] << ", expected " << expected
                          << " (the largest is " << largest << ")";
          std::memcpy(untouched.at(i), got.at(i),
                      static_cast<size_t>(elementBytes(shape.type)));
        }
  EXPECT_EQ(wrong, 0) << describe() << ": " << name;
  EXPECT_TRUE(untouched == got) << describe() << ": wrote between rows";
}

void Problem::check(InstructionSet set) {
  runForward(set);
  const Gradients made = run(set, 0);
  const Expected want = expected();
  const double scores = static_cast<double>(shape.headDim) * 4 *
                        std::abs(static_cast<double>(shape.scale)) * 0x1p-21;
  const double tolerance =
      scores + 8e-6 +
      static_cast<double>(shape.queryTokens + shape.keyTokens) * 0x1p-24 +
      (shape.type == BF16 ? 0x1p-7 : 0) + 2 * roundingOf(shape.type);
  int64_t keyHeads = shape.heads / shape.keyHeadGroup;
  compare("dq", made.q, want.q, all.queryGrad, shape.queryTokens, shape.heads,
          shape.headDim, tolerance);
  compare("dk", made.k, want.k, all.keyGrad, shape.keyTokens, keyHeads,
          shape.headDim, tolerance);
  compare("dv", made.v, want.v, all.valueGrad, shape.keyTokens, keyHeads,
          shape.valueDim, tolerance);
  for (int64_t step : {1, 2})
    EXPECT_TRUE(run(set, step) == made)
        << describe() << " in steps of " << step;
}

TEST(AttentionGrad, SelfAttentionOfEveryType) {
  unsigned seed = 0;
  for (int64_t tokens : {1, 7, 64, 77, 200})
    for (int64_t dim : {16, 48, 72})
      for (ElementType type : {F32, F16, BF16})
        Problem(shapeOf(tokens, tokens, dim, type), ++seed).check();
}

TEST(AttentionGrad, CrossAttention) {
  unsigned seed = 50;
  for (auto [queries, keys] :
       {std::pair<int64_t, int64_t>{1, 300}, {64, 7}, {100, 129}, {33, 513}})
    for (ElementType type : {F32, F16, BF16}) {
      AttentionShape shape = shapeOf(queries, keys, 24, type);
      shape.valueDim = 40;
      Problem(shape, ++seed).check();
    }
}

// So many tokens that queries do not stay staged.
TEST(AttentionGrad, LongSequences) {
  for (ElementType type : {F32, BF16}) {
    AttentionShape shape = shapeOf(2100, 260, 64, type);
    shape.batch = shape.heads = 1;
    Problem(shape, 55).check();
  }
}

TEST(AttentionGrad, EveryInstructionSet) {
  for (InstructionSet set : instructionSets())
    for (ElementType type : {F32, F16, BF16})
      for (bool masked : {false, true})
        for (int64_t dim : {5, 32}) {
          AttentionShape shape = shapeOf(70, 149, dim, type);
          shape.hasMask = masked;
          shape.maskQueryStride = 149;
          shape.maskKeyStride = 1;
          Problem(shape, 60).check(set);
        }
}

TEST(AttentionGrad, MaskBroadcasts) {
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

TEST(AttentionGrad, HiddenKeysHaveNoGradient) {
  for (InstructionSet set : instructionSets())
    for (float hidden :
         {-1e4f, std::numeric_limits<float>::lowest(), -INFINITY})
      for (ElementType type : {F32, BF16}) {
        AttentionShape shape = shapeOf(40, 300, 16, type);
        shape.hasMask = true;
        shape.maskQueryStride = 300;
        shape.maskKeyStride = 1;
        Problem problem(shape, 90);
        // Rows 0-9: the first block of keys hidden; then causal.
        for (int64_t query = 0; query != 40; ++query)
          for (int64_t key = 0; key != 300; ++key) {
            bool hide = query < 10 ? key < 200 : key > query;
            problem.mask.set(query * 300 + key, hide ? hidden : 0.25);
          }
        problem.check(set);
      }
}

// Nothing is right for a query that sees no key; it must not go unseen.
TEST(AttentionGrad, QueriesWithoutKeysMakeNaN) {
  AttentionShape shape = shapeOf(4, 20, 16, F32);
  shape.hasMask = true;
  shape.maskQueryStride = 20;
  shape.maskKeyStride = 1;
  Problem problem(shape, 91);
  for (int64_t key = 0; key != 20; ++key)
    problem.mask.set(key, -INFINITY);
  problem.check();
}

TEST(AttentionGrad, ScaleMayBeNegativeOrZero) {
  for (float scale : {-0.3f, 0.0f, 2.0f}) {
    AttentionShape shape = shapeOf(20, 200, 16, F32);
    shape.scale = scale;
    Problem(shape, 92).check();
  }
}

TEST(AttentionGrad, HeadsMayShareKeys) {
  for (ElementType type : {F32, F16, BF16})
    for (int64_t group : {2, 3, 6}) {
      AttentionShape shape = shapeOf(70, 90, 32, type);
      shape.heads = 6;
      shape.keyHeadGroup = group;
      Problem(shape, 93).check();
    }
}

// q, k and v interleaved in one tensor [B, T, H, 3, d], as a qkv product leaves
// them, and their gradients in another.
TEST(AttentionGrad, PackedQkv) {
  for (ElementType type : {F32, F16, BF16}) {
    const int64_t tokens = 77, dim = 24, heads = 3;
    Problem apart(shapeOf(tokens, tokens, dim, type), 94);
    apart.runForward(hostInstructionSet());
    const Gradients want = apart.run(hostInstructionSet(), 0);
    AttentionShape::Operand layout{tokens * heads * 3 * dim, heads * 3 * dim,
                                   3 * dim};
    AttentionGradShape shape = apart.all;
    shape.forward.q = shape.forward.k = shape.forward.v = layout;
    shape.queryGrad = shape.keyGrad = shape.valueGrad = layout;
    Array qkv(type, 2 * tokens * heads * 3 * dim);
    Array gradient = Array::poison(type, qkv.size());
    auto place = [&](int64_t i) {
      return indexOf(apart.shape.q, i / dim / 3 / heads / tokens,
                     i / dim / 3 / heads % tokens, i / dim / 3 % heads) +
             i % dim;
    };
    const Array *operands[] = {&apart.q, &apart.k, &apart.v};
    for (int64_t i = 0; i != qkv.size(); ++i)
      qkv.set(i, (*operands[i / dim % 3])[place(i)]);
    AttentionGradPointers pointers = apart.operands();
    pointers.q = qkv.data();
    pointers.k = qkv.at(dim);
    pointers.v = qkv.at(2 * dim);
    pointers.queryGrad = gradient.data();
    pointers.keyGrad = gradient.at(dim);
    pointers.valueGrad = gradient.at(2 * dim);
    runInSteps(llvm::cantFail(AttentionGradKernel::create(shape)), pointers, 1);
    const Array *gradients[] = {&want.q, &want.k, &want.v};
    for (int64_t i = 0; i != qkv.size(); ++i)
      ASSERT_EQ(gradient[i], (*gradients[i / dim % 3])[place(i)]) << i;
  }
}

// torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=m,
// scale=0.75).backward(g) in PyTorch 2.11, with value i of each tensor
// ((i * a + b) % 16 - 8) / 8.
TEST(AttentionGrad, PyTorch) {
  AttentionShape shape = shapeOf(3, 4, 4, F32);
  shape.batch = shape.heads = 1;
  shape.scale = 0.75;
  shape.hasMask = true;
  shape.maskQueryStride = 4;
  shape.maskKeyStride = 1;
  Problem problem(shape, 95);
  AttentionGradShape &all = problem.all;
  all.forward.q = all.outputGrad = all.queryGrad = {12, 4, 4};
  all.forward.k = all.keyGrad = all.forward.v = all.valueGrad = {16, 4, 4};
  all.forward.output = all.outputGrad;
  auto values = [](int64_t count, int64_t a, int64_t b) {
    Array array(F32, count);
    for (int64_t i = 0; i != count; ++i)
      array.set(i, static_cast<double>((i * a + b) % 16 - 8) / 8);
    return array;
  };
  problem.q = values(12, 7, 3);
  problem.k = values(16, 5, 1);
  problem.v = values(16, 3, 2);
  problem.mask = values(12, 11, 5);
  problem.outputGrad = values(12, 13, 6);
  problem.runForward(hostInstructionSet());
  const Gradients made = problem.run(hostInstructionSet(), 0);
  const double dq[] = {-0.080575615, -0.029485552, 0.079732805,  -0.080575623,
                       -0.096972637, 0.24616617,   0.074410006,  -0.096972637,
                       0.084967613,  0.080509946,  0.0064782579, 0.084967613};
  const double dk[] = {-0.13823166, 0.12603815,   -0.10415037,  0.16011944,
                       0.14839841,  -0.097988918, 0.082666919,  -0.16372043,
                       0.12315498,  -0.06288369,  0.1060838,    -0.079954877,
                       -0.13332179, 0.034834482,  -0.084600389, 0.083555877};
  const double dv[] = {0.32934532,   0.039911658,  -0.249522,   -0.14865702,
                       0.24365683,   -0.053301252, -0.35025933, -0.51648372,
                       -0.078076571, -0.37914532,  -0.68021405, 0.22092173,
                       0.25507435,   0.017534845,  -0.22000465, -0.18078098};
  for (int64_t i = 0; i != 12; ++i)
    EXPECT_NEAR(made.q[i], dq[i], 2e-7) << i;
  for (int64_t i = 0; i != 16; ++i) {
    EXPECT_NEAR(made.k[i], dk[i], 2e-7) << i;
    EXPECT_NEAR(made.v[i], dv[i], 2e-7) << i;
  }
}

TEST(AttentionGrad, Errors) {
  AttentionGradShape shape;
  shape.forward = shapeOf(4, 4, 8, F32);
  shape.forward.keyHeadGroup = 2;
  llvm::Expected<AttentionGradKernel> kernel =
      AttentionGradKernel::create(shape);
  EXPECT_EQ(kernel ? "" : llvm::toString(kernel.takeError()),
            "attention of 2 x 3 heads, 4 queries, 4 keys, head dimension 8: "
            "groups of 2 heads do not divide the heads");
}

} // namespace
