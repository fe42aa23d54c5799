//===- ExecutorTest.cpp - Plans made by hand run --------------------------===//

#include "runtime/executor/Executor.h"

#include "runtime/devices/cpu/CpuDevice.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Work.h"
#include "test/runtime/HandPlan.h"

#include "llvm/Support/JSON.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

namespace {

/// A plan loaded on some threads.
struct Loaded {
  explicit Loaded(const test::HandPlan &hand, unsigned threads = 2)
      : hand(hand),
        view{this->hand.metadata, this->hand.code, this->hand.weights, ""},
        device(createCpuDevice(threads)),
        executor(llvm::cantFail(Executor::create(view, *device))) {}

  test::HandPlan hand;
  plan::PlanView view;
  std::unique_ptr<Device> device;
  std::unique_ptr<Executor> executor;
};

template <typename T>
llvm::ArrayRef<uint8_t> bytesOf(const std::vector<T> &values) {
  return {reinterpret_cast<const uint8_t *>(values.data()),
          values.size() * sizeof(T)};
}

template <typename T>
std::vector<T> readAs(Executor &executor, const char *name) {
  std::vector<uint8_t> bytes =
      llvm::cantFail(executor.read(*executor.findGlobal(name)));
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

} // namespace

TEST(ExecutorTest, FillLaunchGemmCopy) {
  for (unsigned threads : {1u, 2u, 3u, 16u}) {
    Loaded loaded(test::makeForwardPlan(), threads);
    Executor &executor = *loaded.executor;
    std::vector<float> x(32);
    for (int i = 0; i != 32; ++i)
      x[i] = 0.25f * i - 3;
    ASSERT_FALSE(executor.write(*executor.findGlobal("x"), bytesOf(x)));
    std::vector<int64_t> label = {41, -7};
    ASSERT_FALSE(executor.write(*executor.findGlobal("label"), bytesOf(label)));
    ASSERT_FALSE(executor.run(*executor.findStep("forward")));
    std::vector<float> y = readAs<float>(executor, "y");
    for (int row = 0; row != 2; ++row)
      for (int o = 0; o != 8; ++o) {
        double sum = o;
        for (int i = 0; i != 16; ++i)
          sum += (2.0 * x[16 * row + i] + 1) * (o + 1.0) / (i + 1.0);
        // 16 fp32 products of values below 30.
        EXPECT_NEAR(y[8 * row + o], sum, 1e-4) << threads << " threads";
      }
    EXPECT_EQ(readAs<int64_t>(executor, "label_copy"), label);
  }
}

/// C = residual + gate * silu(A B + bias), three rows of C a row of the gate.
TEST(ExecutorTest, GemmEpiloguesReachTheirOperands) {
  // A [6, 5] at x, B [5, 4] at x + 30, bias [4], gate [2, 4], residual [6, 4].
  constexpr int m = 6, n = 4, k = 5;
  std::vector<float> values(30 + 20 + 4 + 8 + 24);
  for (size_t i = 0; i != values.size(); ++i)
    values[i] = std::sin(double(i));
  test::HandPlan hand = test::makeForwardPlan();
  test::resizeInput(hand, values.size(), m * n);
  proto::Function &function = *hand.metadata.mutable_functions(0);
  proto::Gemm &gemm = *function.mutable_instructions(2)->mutable_gemm();
  gemm.set_m(m);
  gemm.set_n(n);
  gemm.set_k(k);
  gemm.set_lda(k);
  gemm.set_ldb(n);
  gemm.set_ldc(n);
  gemm.set_transpose_b(false);
  gemm.set_activation(proto::Gemm::SILU);
  gemm.set_gate_type(proto::F32);
  gemm.set_rows_per_gate(3);
  gemm.set_gate_stride(n);
  gemm.set_residual_stride(n);
  test::setInput(*gemm.mutable_a(), 0, 30);
  test::setInput(*gemm.mutable_b(), 30, 20);
  test::setInput(*gemm.mutable_bias(), 50, 4);
  test::setInput(*gemm.mutable_gate(), 54, 8);
  test::setInput(*gemm.mutable_residual(), 62, 24);
  gemm.mutable_c()->set_bytes(4 * m * n);
  Loaded loaded(hand);
  Executor &executor = *loaded.executor;
  ASSERT_FALSE(executor.write(*executor.findGlobal("x"), bytesOf(values)));
  ASSERT_FALSE(executor.run(0));
  std::vector<float> y = readAs<float>(executor, "y");
  for (int row = 0; row != m; ++row)
    for (int column = 0; column != n; ++column) {
      double sum = values[50 + column];
      for (int i = 0; i != k; ++i)
        sum += double(values[row * k + i]) * values[30 + i * n + column];
      sum /= 1 + std::exp(-sum);
      sum = values[62 + row * n + column] +
            values[54 + row / 3 * n + column] * sum;
      EXPECT_NEAR(y[row * n + column], sum, 1e-5);
    }
}

/// Two batches, four heads that share two key heads, a mask the same for all
/// batches and heads.
TEST(ExecutorTest, AttentionReachesItsOperands) {
  constexpr int batch = 2, heads = 4, shared = 2, queries = 3, keys = 5, d = 6;
  constexpr int qSize = batch * queries * heads * d;
  constexpr int kSize = batch * keys * shared * d;
  constexpr int maskAt = qSize + 2 * kSize;
  std::vector<float> values(maskAt + queries * keys);
  for (size_t i = 0; i != values.size(); ++i)
    values[i] = std::cos(1.7 * i);
  test::HandPlan hand = test::makeForwardPlan();
  test::resizeInput(hand, values.size(), qSize + batch * heads * queries);
  proto::Function &function = *hand.metadata.mutable_functions(0);
  proto::Attention &attention =
      *function.mutable_instructions(2)->mutable_attention();
  attention.set_batch(batch);
  attention.set_heads(heads);
  attention.set_key_head_group(heads / shared);
  attention.set_query_tokens(queries);
  attention.set_key_tokens(keys);
  attention.set_head_dim(d);
  attention.set_value_dim(d);
  attention.set_scale(0.3f);
  attention.set_type(proto::F32);
  auto set = [](proto::Attention::Operand &operand, int at, int tokens,
                int operandHeads) {
    test::setInput(*operand.mutable_place(), at,
                   batch * tokens * operandHeads * d);
    operand.set_batch_stride(tokens * operandHeads * d);
    operand.set_token_stride(operandHeads * d);
    operand.set_head_stride(d);
  };
  set(*attention.mutable_q(), 0, queries, heads);
  set(*attention.mutable_k(), qSize, keys, shared);
  set(*attention.mutable_v(), qSize + kSize, keys, shared);
  set(*attention.mutable_output(), 0, queries, heads);
  attention.mutable_output()->mutable_place()->set_global(2);
  test::setInput(*attention.mutable_mask(), maskAt, queries * keys);
  attention.set_mask_query_stride(keys);
  attention.set_mask_key_stride(1);
  test::setInput(*attention.mutable_log_sum_exp(), qSize,
                 batch * heads * queries);
  attention.mutable_log_sum_exp()->set_global(2);
  Loaded loaded(hand);
  Executor &executor = *loaded.executor;
  ASSERT_FALSE(executor.write(*executor.findGlobal("x"), bytesOf(values)));
  ASSERT_FALSE(executor.run(0));
  std::vector<float> y = readAs<float>(executor, "y");
  for (int b = 0; b != batch; ++b)
    for (int h = 0; h != heads; ++h)
      for (int t = 0; t != queries; ++t) {
        double weights[keys], total = 0;
        for (int s = 0; s != keys; ++s) {
          double score = 0;
          for (int i = 0; i != d; ++i)
            score += double(values[((b * queries + t) * heads + h) * d + i]) *
                     values[qSize + ((b * keys + s) * shared + h / 2) * d + i];
          weights[s] = std::exp(0.3 * score + values[maskAt + t * keys + s]);
          total += weights[s];
        }
        EXPECT_NEAR(y[qSize + (b * heads + h) * queries + t], std::log(total),
                    1e-5);
        for (int i = 0; i != d; ++i) {
          double sum = 0;
          for (int s = 0; s != keys; ++s)
            sum += weights[s] / total *
                   values[qSize + kSize +
                          ((b * keys + s) * shared + h / 2) * d + i];
          EXPECT_NEAR(y[((b * queries + t) * heads + h) * d + i], sum, 1e-5);
        }
      }
}

/// Attention and its gradient: of Σ g · output by central differences. Two
/// heads share the key head; x is q, k, v, mask, g.
TEST(ExecutorTest, AttentionGradientReachesItsOperands) {
  constexpr int batch = 2, heads = 2, queries = 3, keys = 5, d = 6;
  constexpr int qSize = batch * queries * heads * d, kSize = batch * keys * d;
  constexpr int maskAt = qSize + 2 * kSize, gradAt = maskAt + queries * keys;
  constexpr int sumsAt = qSize, resultsAt = qSize + batch * heads * queries;
  std::vector<float> values(gradAt + qSize);
  for (size_t i = 0; i != values.size(); ++i)
    values[i] = std::cos(1.7 * i);
  test::HandPlan hand = test::makeForwardPlan();
  test::resizeInput(hand, values.size(), resultsAt + qSize + 2 * kSize);
  proto::Function &function = *hand.metadata.mutable_functions(0);
  proto::Attention &attention =
      *function.mutable_instructions(2)->mutable_attention();
  attention.set_batch(batch);
  attention.set_heads(heads);
  attention.set_key_head_group(heads);
  attention.set_query_tokens(queries);
  attention.set_key_tokens(keys);
  attention.set_head_dim(d);
  attention.set_value_dim(d);
  attention.set_scale(0.3f);
  attention.set_type(proto::F32);
  auto set = [](proto::Attention::Operand &operand, int at, int tokens,
                int operandHeads, int global) {
    test::setInput(*operand.mutable_place(), at,
                   batch * tokens * operandHeads * d);
    operand.mutable_place()->set_global(global);
    operand.set_batch_stride(tokens * operandHeads * d);
    operand.set_token_stride(operandHeads * d);
    operand.set_head_stride(d);
  };
  const int input = 0, result = 2; // globals
  set(*attention.mutable_q(), 0, queries, heads, input);
  set(*attention.mutable_k(), qSize, keys, 1, input);
  set(*attention.mutable_v(), qSize + kSize, keys, 1, input);
  set(*attention.mutable_output(), 0, queries, heads, result);
  test::setInput(*attention.mutable_mask(), maskAt, queries * keys);
  attention.set_mask_query_stride(keys);
  attention.set_mask_key_stride(1);
  test::setInput(*attention.mutable_log_sum_exp(), sumsAt,
                 batch * heads * queries);
  attention.mutable_log_sum_exp()->set_global(result);
  const proto::Attention forward = attention;
  proto::AttentionGrad &gradient =
      *function.add_instructions()->mutable_attention_grad();
  *gradient.mutable_forward() = forward;
  set(*gradient.mutable_output_grad(), gradAt, queries, heads, input);
  set(*gradient.mutable_query_grad(), resultsAt, queries, heads, result);
  set(*gradient.mutable_key_grad(), resultsAt + qSize, keys, 1, result);
  set(*gradient.mutable_value_grad(), resultsAt + qSize + kSize, keys, 1,
      result);
  Loaded loaded(hand);
  Executor &executor = *loaded.executor;
  ASSERT_FALSE(executor.write(*executor.findGlobal("x"), bytesOf(values)));
  ASSERT_FALSE(executor.run(0));
  std::vector<float> y = readAs<float>(executor, "y");

  std::vector<double> x(values.begin(), values.end());
  auto loss = [&] {
    double sum = 0;
    for (int b = 0; b != batch; ++b)
      for (int h = 0; h != heads; ++h)
        for (int t = 0; t != queries; ++t) {
          const int row = ((b * queries + t) * heads + h) * d;
          double total = 0, weighted = 0;
          for (int s = 0; s != keys; ++s) {
            const double *k = &x[qSize + (b * keys + s) * d];
            const double *v = &x[qSize + kSize + (b * keys + s) * d];
            double score = 0, product = 0;
            for (int i = 0; i != d; ++i) {
              score += x[row + i] * k[i];
              product += x[gradAt + row + i] * v[i];
            }
            double weight = std::exp(0.3 * score + x[maskAt + t * keys + s]);
            total += weight;
            weighted += weight * product;
          }
          sum += weighted / total;
        }
    return sum;
  };
  for (int i = 0; i != maskAt; ++i) {
    const double step = 1e-4, before = x[i];
    x[i] = before + step;
    double above = loss();
    x[i] = before - step;
    double below = loss();
    x[i] = before;
    EXPECT_NEAR(y[resultsAt + i], (above - below) / (2 * step), 1e-5) << i;
  }
}

TEST(ExecutorTest, NamesThatAreNotThere) {
  Loaded loaded(test::makeForwardPlan());
  EXPECT_EQ(loaded.executor->findStep("sample_step"), std::nullopt);
  EXPECT_EQ(loaded.executor->findGlobal("z"), std::nullopt);
}

TEST(ExecutorTest, WritesOfTheWrongSizeAreErrors) {
  Loaded loaded(test::makeForwardPlan());
  std::vector<float> x(31);
  auto [code, text] = plan::describe(
      loaded.executor->write(*loaded.executor->findGlobal("x"), bytesOf(x)));
  EXPECT_EQ(code, Exit::Internal);
  EXPECT_NE(text.find("f32[2, 16]"), std::string::npos) << text;
}

TEST(ExecutorTest, UnsupportedInstructionsAreListedTogether) {
  test::HandPlan hand = test::makeForwardPlan();
  proto::Function &function = *hand.metadata.mutable_functions(0);
  function.mutable_instructions(2)->mutable_gemm()->set_a_type(proto::F64);
  function.mutable_instructions(2)->set_location("first");
  *function.add_instructions() = function.instructions(2);
  function.mutable_instructions(4)->set_location("second");
  plan::PlanView view{hand.metadata, hand.code, hand.weights, ""};
  std::unique_ptr<Device> device = createCpuDevice(1);
  auto executor = Executor::create(view, *device);
  ASSERT_FALSE(bool(executor));
  auto [code, text] = plan::describe(executor.takeError());
  EXPECT_EQ(code, Exit::Unsupported);
  EXPECT_NE(text.find("instruction 2 (first)"), std::string::npos) << text;
  EXPECT_NE(text.find("instruction 4 (second)"), std::string::npos) << text;
}

TEST(ExecutorTest, TracesAreJsonWithEveryInstruction) {
  Loaded loaded(test::makeForwardPlan());
  Timeline timeline;
  ASSERT_FALSE(loaded.executor->run(0, &timeline));
  ASSERT_EQ(timeline.all().size(), 4u);
  std::string text;
  llvm::raw_string_ostream os(text);
  writeTrace(loaded.hand.metadata, timeline, os);
  auto json = llvm::json::parse(text);
  ASSERT_TRUE(bool(json)) << llvm::toString(json.takeError());
  const llvm::json::Array *events =
      json->getAsObject()->getArray("traceEvents");
  ASSERT_NE(events, nullptr);
  std::vector<std::string> names;
  double last = 0;
  for (const llvm::json::Value &event : *events) {
    if (event.getAsObject()->getString("ph") != "X")
      continue;
    names.push_back(event.getAsObject()->getString("name")->str());
    double begin = *event.getAsObject()->getNumber("ts");
    EXPECT_GE(begin, last);
    last = begin + *event.getAsObject()->getNumber("dur") - 1e-3;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"fill", "twice_plus_one",
                                             "gemm 2x8x16", "copy"}));
}

TEST(ExecutorTest, WorkIsCounted) {
  proto::Plan empty;
  proto::Instruction gemm;
  gemm.mutable_gemm()->set_m(2);
  gemm.mutable_gemm()->set_n(3);
  gemm.mutable_gemm()->set_k(5);
  gemm.mutable_gemm()->set_batch(7);
  for (auto set : {&proto::Gemm::set_a_type, &proto::Gemm::set_b_type,
                   &proto::Gemm::set_c_type})
    (gemm.mutable_gemm()->*set)(proto::BF16);
  EXPECT_EQ(plan::instructionFlops(empty, gemm), 2u * 2 * 3 * 5 * 7);
  // B has no batch stride: it is read once.
  EXPECT_EQ(plan::instructionBytes(empty, gemm), 2u * (7 * 10 + 15 + 7 * 6));
  EXPECT_EQ(instructionName(empty, gemm), "gemm 2x3x5 x7");
  // aux is written or read beside C.
  gemm.mutable_gemm()->mutable_aux()->set_space(proto::Place::ARENA);
  EXPECT_EQ(plan::instructionBytes(empty, gemm),
            2u * (7 * 10 + 15 + 2 * 7 * 6));
  EXPECT_EQ(instructionName(empty, gemm), "gemm 2x3x5 x7 gelu_aux");
  gemm.mutable_gemm()->set_activation(proto::Gemm::GELU_TANH_GRAD);
  EXPECT_EQ(instructionName(empty, gemm), "gemm 2x3x5 x7 gelu_grad");
  proto::Instruction attention;
  attention.mutable_attention()->set_batch(2);
  attention.mutable_attention()->set_heads(3);
  attention.mutable_attention()->set_query_tokens(5);
  attention.mutable_attention()->set_key_tokens(7);
  attention.mutable_attention()->set_head_dim(11);
  attention.mutable_attention()->set_value_dim(13);
  attention.mutable_attention()->set_type(proto::F32);
  EXPECT_EQ(plan::instructionFlops(empty, attention), 2u * 2 * 3 * 5 * 7 * 24);
  EXPECT_EQ(plan::instructionBytes(empty, attention),
            4u * 6 * (5 * 24 + 7 * 24));
  proto::Instruction gradient;
  *gradient.mutable_attention_grad()->mutable_forward() = attention.attention();
  // Three products by the head dimension, two by the values'; every operand and
  // its cotangent.
  EXPECT_EQ(plan::instructionFlops(empty, gradient),
            2u * 2 * 3 * 5 * 7 * (3 * 11 + 2 * 13));
  EXPECT_EQ(plan::instructionBytes(empty, gradient),
            2u * 4 * 6 * (5 * 24 + 7 * 24));
  EXPECT_EQ(instructionName(empty, gradient), "attention gradient 2x3x5x11");
  proto::Instruction launch, copy, fill;
  empty.add_kernels()->set_flops(17);
  empty.mutable_kernels(0)->set_bytes_moved(19);
  launch.mutable_launch();
  EXPECT_EQ(plan::instructionFlops(empty, launch), 17u);
  EXPECT_EQ(plan::instructionBytes(empty, launch), 19u);
  copy.mutable_copy()->mutable_to()->set_bytes(64);
  EXPECT_EQ(plan::instructionFlops(empty, copy), 0u);
  EXPECT_EQ(plan::instructionBytes(empty, copy), 128u);
  fill.mutable_fill()->mutable_to()->set_bytes(64);
  EXPECT_EQ(plan::instructionBytes(empty, fill), 64u);
  EXPECT_EQ(plan::instructionBytes(empty, {}), 0u);
  EXPECT_EQ(instructionName(empty, {}), "unknown");
}
