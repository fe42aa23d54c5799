//===- CudaDeviceTest.cpp - Launches, copies and graphs -------------------===//

#include "test/runtime/devices/cuda/DevicePlan.h"

#include <cmath>
#include <cstring>

using namespace dit;
using namespace dit::test;
using dit::plan::ElementType;
using dit::runtime::Timeline;

static constexpr ElementType F32 = ElementType::F32, BF16 = ElementType::BF16;

TEST_F(CudaDeviceTest, KernelsFromPtxCopiesAndFills) {
  constexpr int64_t count = 1 << 16;
  CudaPlan plan;
  plan.setPtx(ptx);
  unsigned x = plan.addGlobal("x", F32, {count});
  unsigned y = plan.addGlobal("y", F32, {count});
  unsigned z = plan.addGlobal("z", F32, {count});
  proto::Fill *fill = plan.add().mutable_fill();
  *fill->mutable_to() = plan.place(y);
  fill->set_byte(0);
  plan.addLaunch(plan.addKernel("axpy", 128), count / 128,
                 {plan.place(x), plan.place(y)});
  proto::Copy *copy = plan.add().mutable_copy();
  *copy->mutable_from() = plan.place(y);
  *copy->mutable_to() = plan.place(z);
  Executor *made = loaded(plan);
  ASSERT_NE(made, nullptr);
  Executor &executor = *made;
  std::vector<float> values = randomValues(F32, count, 3);
  writeValues(executor, x, values);
  poison(executor, y);
  poison(executor, z);
  runForward(executor);
  std::vector<float> result = readValues(executor, z);
  for (int64_t i = 0; i != count; ++i)
    ASSERT_EQ(result[i], 2 * values[i]) << i;
}

/// Kernels launched while the one before them runs see all that it wrote, after
/// kernels, copies and fills, in graphs and timed.
TEST_F(CudaDeviceTest, KernelsThatWaitThemselves) {
  constexpr int64_t count = 1 << 22;
  constexpr int turns = 20;
  std::string text(ptx);
  for (auto [from, to] :
       {std::pair<llvm::StringRef, llvm::StringRef>(".version 7.0",
                                                    ".version 7.8"),
        {".target sm_80", ".target sm_90"},
        {"  ld.param.u64 %rd0, [x];",
         "  griddepcontrol.wait;\n  griddepcontrol.launch_dependents;\n"
         "  ld.param.u64 %rd0, [x];"}})
    text.replace(text.find(from), from.size(), to);
  CudaPlan plan;
  plan.setPtx(text, "sm_90");
  plan.metadata().mutable_target()->set_cpu("sm_90");
  unsigned x = plan.addGlobal("x", F32, {count});
  unsigned y = plan.addGlobal("y", F32, {count});
  unsigned z = plan.addGlobal("z", F32, {count});
  unsigned axpy = plan.addKernel("axpy", 128);
  plan.metadata().mutable_kernels(axpy)->set_waits_itself(true);
  proto::Fill *fill = plan.add().mutable_fill();
  *fill->mutable_to() = plan.place(y);
  fill->set_byte(0);
  for (int turn = 0; turn < turns; ++turn) {
    plan.addLaunch(axpy, count / 128, {plan.place(x), plan.place(y)});
    if (turn % 5)
      continue;
    proto::Copy *copy = plan.add().mutable_copy();
    *copy->mutable_from() = plan.place(y);
    *copy->mutable_to() = plan.place(z);
    // z becomes 3 y, which nothing reads before the next copy.
    plan.addLaunch(axpy, count / 128, {plan.place(y), plan.place(z)});
  }
  ::setenv("DIT_CUDA_OVERLAP", "1", 1);
  llvm::Expected<Executor *> made = plan.load();
  ::unsetenv("DIT_CUDA_OVERLAP");
  if (!made) {
    auto [code, why] = plan::describe(made.takeError());
    ASSERT_NE(why.find("compile with --target"), std::string::npos) << why;
    GTEST_SKIP() << "the GPU is older than sm_90";
  }
  Executor &executor = **made;
  std::vector<float> values = randomValues(F32, count, 7);
  writeValues(executor, x, values);
  Timeline timeline;
  for (int run = 0; run < 4; ++run) {
    poison(executor, y);
    poison(executor, z);
    if (run == 3)
      ASSERT_FALSE(static_cast<bool>(executor.run(0, &timeline)));
    else
      runForward(executor);
    std::vector<float> sums = readValues(executor, y);
    std::vector<float> tripled = readValues(executor, z);
    for (int64_t i = 0; i != count; ++i) {
      float sum = 0, third = 0;
      for (int turn = 0; turn < turns; ++turn) {
        sum = std::fma(2.0f, values[i], sum);
        if (turn % 5 == 0)
          third = std::fma(2.0f, sum, sum);
      }
      ASSERT_EQ(sums[i], sum) << run << " " << i;
      ASSERT_EQ(tripled[i], third) << run << " " << i;
    }
  }
}

/// Commands on branches, and others in the background: what they touch is used
/// in order.
TEST_F(CudaDeviceTest, BranchesAndABackground) {
  constexpr int64_t count = 1 << 20;
  constexpr int ranges = 5, runs = 6;
  CudaPlan plan;
  plan.setPtx(ptx);
  unsigned axpy = plan.addKernel("axpy", 128);
  plan.metadata().mutable_kernels(axpy)->set_results(1);
  unsigned x = plan.addGlobal("x", F32, {count});
  unsigned y = plan.addGlobal("y", F32, {count});
  std::vector<unsigned> w;
  for (int i = 0; i != ranges; ++i)
    w.push_back(plan.addGlobal("w" + std::to_string(i), F32, {count}));
  // First the background, with the builder of the plan's only function.
  for (unsigned range : w)
    plan.addLaunch(axpy, count / 128, {plan.place(x), plan.place(range)});
  proto::Function background = plan.metadata().functions(0);
  background.set_name("background");
  background.set_step("background");
  plan.metadata().mutable_functions(0)->clear_instructions();
  for (unsigned range : w)
    plan.addLaunch(axpy, count / 128, {plan.place(range), plan.place(y)});
  *plan.metadata().add_functions() = background;
  Executor *made = loaded(plan);
  ASSERT_NE(made, nullptr);
  Executor &executor = *made;
  // Branches are for steps of training; as such the plan would need more.
  plan.metadata().set_mode("train");
  std::vector<float> values = randomValues(F32, count, 8);
  writeValues(executor, x, values);
  for (unsigned global : {y, w[0], w[1], w[2], w[3], w[4]})
    writeValues(executor, global, std::vector<float>(count));
  for (int run = 0; run != runs; ++run)
    ASSERT_FALSE(static_cast<bool>(executor.start(0, 1)));
  ASSERT_FALSE(static_cast<bool>(executor.finish()));
  std::vector<float> sums = readValues(executor, y);
  for (int64_t i = 0; i != count; ++i) {
    float sum = 0, range = 0;
    for (int run = 0; run != runs; ++run) {
      range = std::fma(2.0f, values[i], range);
      for (int j = 0; j != ranges; ++j)
        sum = std::fma(2.0f, range, sum);
    }
    ASSERT_EQ(sums[i], sum) << i;
  }
}

/// What the host writes is there for the function that it starts next, and what
/// it has read is of then, though it waits for none of them.
TEST_F(CudaDeviceTest, CopiesKeepTheirPlaceAmongFunctions) {
  constexpr int64_t count = 1 << 20;
  constexpr int runs = 12;
  CudaPlan plan;
  plan.setPtx(ptx);
  unsigned x = plan.addGlobal("x", F32, {count}, proto::Global::INPUT);
  unsigned y = plan.addGlobal("y", F32, {count}, proto::Global::OUTPUT);
  unsigned z = plan.addGlobal("z", F32, {1}, proto::Global::INPUT);
  plan.addLaunch(plan.addKernel("axpy", 128), count / 128,
                 {plan.place(x), plan.place(y)});
  Executor *made = loaded(plan);
  ASSERT_NE(made, nullptr);
  Executor &executor = *made;
  EXPECT_TRUE(executor.device().worksOnItsOwn());
  writeValues(executor, y, std::vector<float>(count));
  auto valueOf = [](int run, int64_t i) {
    return static_cast<float>((i + run) % 100);
  };
  std::vector<std::unique_ptr<runtime::Arrival>> arrivals;
  std::vector<float> values(count);
  for (int run = 0; run != runs; ++run) {
    for (int64_t i = 0; i != count; ++i)
      values[i] = valueOf(run, i);
    writeValues(executor, x, values);
    writeValues(executor, z, {static_cast<float>(run)});
    ASSERT_FALSE(static_cast<bool>(executor.start(0)));
    llvm::Expected<std::unique_ptr<runtime::Arrival>> arrival =
        executor.startRead({z, y});
    ASSERT_TRUE(static_cast<bool>(arrival));
    arrivals.push_back(std::move(*arrival));
    // One that nobody awaits: what it is written to goes to the next.
    if (run % 4 == 1)
      arrivals.back().reset();
  }
  std::vector<float> sums(count);
  for (int run = 0; run != runs; ++run) {
    for (int64_t i = 0; i != count; ++i)
      sums[i] += 2 * valueOf(run, i);
    if (!arrivals[run])
      continue;
    auto parts = arrivals[run]->await();
    ASSERT_TRUE(static_cast<bool>(parts));
    ASSERT_EQ(parts->size(), 2u);
    EXPECT_EQ(toFloats(F32, (*parts)[0])[0], static_cast<float>(run));
    ASSERT_EQ(toFloats(F32, (*parts)[1]), sums) << run;
  }
}

TEST_F(CudaDeviceTest, SharedMemoryBeyondTheDefault) {
  constexpr int64_t count = 16384;
  CudaPlan plan;
  plan.setPtx(ptx);
  unsigned x = plan.addGlobal("x", F32, {count});
  unsigned y = plan.addGlobal("y", F32, {count});
  plan.addLaunch(plan.addKernel("reverse", 1024, 4 * count), 1,
                 {plan.place(x), plan.place(y)});
  Executor *made = loaded(plan);
  ASSERT_NE(made, nullptr);
  Executor &executor = *made;
  std::vector<float> values = randomValues(F32, count, 4);
  writeValues(executor, x, values);
  poison(executor, y);
  runForward(executor);
  std::vector<float> result = readValues(executor, y);
  for (int64_t i = 0; i != count; ++i)
    ASSERT_EQ(result[i], values[count - 1 - i]) << i;
}

TEST_F(CudaDeviceTest, WeightsOfTheFileArrive) {
  // Larger than the buffers it is staged in, and no multiple of anything.
  std::vector<uint8_t> bytes((80 << 20) + 12345);
  for (size_t i = 0; i != bytes.size(); ++i)
    bytes[i] = i * 2654435761u >> 13;
  CudaPlan plan;
  unsigned weight = plan.addMapped("weight", bytes);
  Executor *made = loaded(plan);
  ASSERT_NE(made, nullptr);
  Executor &executor = *made;
  llvm::Expected<std::vector<uint8_t>> back = executor.read(weight);
  ASSERT_TRUE(static_cast<bool>(back));
  EXPECT_EQ(*back, bytes);
}

/// gemm, attention, kernel and counter, all with work for the GPU.
static void addMixedWork(CudaPlan &plan) {
  constexpr int64_t tokens = 256, heads = 16, dim = 72, width = heads * dim;
  plan.setPtx(ptx);
  unsigned x = plan.addGlobal("x", BF16, {2 * tokens, width});
  unsigned w = plan.addGlobal("w", BF16, {3 * width, width});
  unsigned qkv = plan.addGlobal("qkv", BF16, {2 * tokens, 3 * width});
  unsigned out = plan.addGlobal("out", BF16, {2 * tokens, width});
  unsigned sum = plan.addGlobal("sum", F32, {tokens * width});
  unsigned counter = plan.addGlobal("counter", ElementType::I64, {1});
  proto::Gemm gemm = makeGemm(BF16, BF16, 2 * tokens, 3 * width, width);
  *gemm.mutable_a() = plan.place(x);
  *gemm.mutable_b() = plan.place(w);
  *gemm.mutable_c() = plan.place(qkv);
  *gemm.mutable_workspace() = plan.arena(32 << 20);
  *plan.add().mutable_gemm() = gemm;
  proto::Attention *attention = plan.add().mutable_attention();
  attention->set_batch(2);
  attention->set_heads(heads);
  attention->set_query_tokens(tokens);
  attention->set_key_tokens(tokens);
  attention->set_head_dim(dim);
  attention->set_value_dim(dim);
  attention->set_scale(0.1f);
  attention->set_type(proto::BF16);
  *attention->mutable_q() = makeOperand(plan.place(qkv), tokens, 3, heads, dim);
  *attention->mutable_k() =
      makeOperand(plan.place(qkv, width), tokens, 3, heads, dim);
  *attention->mutable_v() =
      makeOperand(plan.place(qkv, 2 * width), tokens, 3, heads, dim);
  *attention->mutable_output() =
      makeOperand(plan.place(out), tokens, 1, heads, dim);
  // Two bf16 as one fp32: any bits will do, but for NaN.
  plan.addLaunch(plan.addKernel("axpy", 128), tokens * width / 128,
                 {plan.place(out), plan.place(sum)});
  plan.addLaunch(plan.addKernel("count", 1), 1, {plan.place(counter)});
}

TEST_F(CudaDeviceTest, ReplaysEqualTheDirectRunBitForBit) {
  CudaPlan plan;
  addMixedWork(plan);
  Executor *made = loaded(plan);
  ASSERT_NE(made, nullptr);
  Executor &executor = *made;
  unsigned x = *executor.findGlobal("x"), w = *executor.findGlobal("w");
  writeValues(executor, x, randomValues(BF16, 512 * 1152, 5));
  writeValues(executor, w, randomValues(BF16, 3 * 1152 * 1152, 6, 0.03f));
  std::vector<std::vector<uint8_t>> results;
  std::vector<float> zeros(256 * 1152);
  for (int run = 0; run != 4; ++run) {
    poison(executor, *executor.findGlobal("out"));
    poison(executor, *executor.findGlobal("qkv"));
    writeValues(executor, *executor.findGlobal("sum"), zeros);
    if (run == 2) {
      Timeline timeline;
      ASSERT_FALSE(executor.run(0, &timeline));
      ASSERT_EQ(timeline.all().size(), 4u);
      Timeline::Time last{};
      for (const Timeline::Event &event : timeline.all()) {
        EXPECT_LT(event.begin, event.end);
        EXPECT_LE(last, event.begin);
        last = event.end;
      }
    } else {
      runForward(executor);
    }
    results.push_back(*executor.read(*executor.findGlobal("sum")));
    results.back().resize(16 << 10);
  }
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
  EXPECT_EQ(results[3], results[0]);
  std::vector<uint8_t> counter =
      *executor.read(*executor.findGlobal("counter"));
  int64_t value;
  std::memcpy(&value, counter.data(), sizeof(value));
  EXPECT_EQ(value, 4);
}
