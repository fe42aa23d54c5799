//===- KernelsBench.cpp - Speed of the CPU kernels ------------------------===//
//
// kernels-bench [threads]: a table of GFLOP/s for the products and attentions
// of DiT-S/2, DiT-XL/2 and a small DiT (D 192, 64 tokens), epilogues included.
// Attention's gradient is counted as five products.
// Each row is the best of many runs; blocks are split evenly over the threads.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/attention/AttentionGrad.h"
#include "runtime/kernels/gemm/Gemm.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <sys/mman.h>
#include <thread>
#include <vector>

using namespace dit::runtime;
using dit::plan::ElementType;

namespace {

/// Threads that all do a part of the same job at the same time.
class Crew {
public:
  using Job = std::function<void(unsigned)>;

  explicit Crew(unsigned size) : size(size) {
    for (unsigned i = 1; i < size; ++i)
      threads.emplace_back([this, i] { work(i); });
  }
  ~Crew() {
    run([](unsigned) {}, /*last=*/true);
    for (std::thread &thread : threads)
      thread.join();
  }
  void run(Job next, bool last = false) {
    job = std::move(next);
    stop = last;
    left = size - 1;
    round.fetch_add(1);
    job(0);
    while (left.load() != 0)
      __builtin_ia32_pause();
  }
  const unsigned size;

private:
  void work(unsigned index) {
    for (unsigned seen = 0;; ++seen) {
      while (round.load() == seen)
        __builtin_ia32_pause();
      bool last = stop;
      job(index);
      left.fetch_sub(1);
      if (last)
        return;
    }
  }
  Job job;
  bool stop = false;
  std::atomic<unsigned> round{0}, left{0};
  std::vector<std::thread> threads;
};

struct Free {
  void operator()(void *memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, Free>;

/// 64-byte aligned memory, in huge pages as devices allocate theirs.
Memory allocate(size_t bytes) {
  constexpr size_t hugePage = 2 << 20;
  size_t alignment = bytes < hugePage ? 64 : hugePage;
  size_t whole = (bytes + alignment - 1) / alignment * alignment;
  Memory memory(std::aligned_alloc(alignment, whole));
  if (alignment == hugePage)
    ::madvise(memory.get(), whole, MADV_HUGEPAGE);
  return memory;
}

/// Random elements of `type`.
Memory randomElements(ElementType type, int64_t count) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Memory memory =
      allocate(static_cast<size_t>(count * dit::plan::elementBytes(type)));
  std::vector<float> values(static_cast<size_t>(count));
  for (float &value : values)
    value = uniform(generator);
  convertFloats(ElementType::F32, values.data(), type, memory.get(), count);
  return memory;
}

/// The best time of one run of `kernel`, in seconds.
template <typename Kernel, typename Pointers>
double bestTime(Crew &crew, const Kernel &kernel, const Pointers &pointers,
                double flops) {
  std::vector<Memory> scratch;
  for (unsigned i = 0; i != crew.size; ++i)
    scratch.push_back(allocate(kernel.scratchBytes()));
  auto share = [&](unsigned i) { return kernel.blocks() * i / crew.size; };
  // About 0.4 s at 100 GFLOP/s, in runs that are long enough to time.
  const int repeats = static_cast<int>(std::clamp(4e10 / flops, 10.0, 2000.0));
  double best = INFINITY;
  for (int i = 0; i != repeats; ++i) {
    auto begin = std::chrono::steady_clock::now();
    crew.run([&](unsigned thread) {
      kernel.run(pointers, share(thread), share(thread + 1),
                 scratch[thread].get());
    });
    best = std::min(best, std::chrono::duration<double>(
                              std::chrono::steady_clock::now() - begin)
                              .count());
  }
  return best;
}

struct GemmRow {
  const char *name;
  int64_t m, n, k;
  bool bias;
  Activation activation;
  int64_t rowsPerGate;
};

void benchGemm(Crew &crew, const GemmRow &row, ElementType type) {
  GemmShape shape;
  shape.m = row.m;
  shape.n = row.n;
  shape.k = row.k;
  shape.aType = shape.bType = shape.cType = shape.gateType = type;
  shape.packed = dit::plan::fastPanelLayout(type);
  shape.lda = row.k;
  shape.ldc = shape.gateStride = row.n;
  shape.activation = row.activation;
  shape.rowsPerGate = row.rowsPerGate;
  shape.residualStride = row.rowsPerGate ? row.n : 0;
  llvm::Expected<GemmKernel> kernel = GemmKernel::create(shape);
  if (!kernel) {
    llvm::errs() << llvm::toString(kernel.takeError()) << '\n';
    return;
  }
  Memory a = randomElements(type, row.m * row.k);
  Memory b = randomElements(type, packedElements(shape.packed, row.n, row.k));
  Memory c = randomElements(type, row.m * row.n);
  Memory bias = randomElements(ElementType::F32, row.n);
  Memory gate = randomElements(type, row.m * row.n);
  Memory residual = randomElements(type, row.m * row.n);
  GemmPointers pointers;
  pointers.a = a.get();
  pointers.b = b.get();
  pointers.c = c.get();
  pointers.bias = row.bias ? bias.get() : nullptr;
  pointers.gate = row.rowsPerGate ? gate.get() : nullptr;
  pointers.residual = row.rowsPerGate ? residual.get() : nullptr;
  double flops = 2.0 * static_cast<double>(row.m * row.n * row.k);
  double best = bestTime(crew, *kernel, pointers, flops);
  llvm::outs() << llvm::format(" %8.1f", flops / best * 1e-9);
}

struct AttentionRow {
  const char *name;
  int64_t batch, heads, tokens, dim;
};

AttentionShape attentionShape(const AttentionRow &row, ElementType type) {
  AttentionShape shape;
  shape.batch = row.batch;
  shape.heads = row.heads;
  shape.queryTokens = shape.keyTokens = row.tokens;
  shape.headDim = shape.valueDim = row.dim;
  shape.scale = 1 / std::sqrt(static_cast<float>(row.dim));
  shape.type = type;
  int64_t width = row.heads * row.dim;
  shape.q = shape.k =
      shape.v = {row.tokens * 3 * width, 3 * width, 3 * row.dim};
  shape.output = {row.tokens * width, width, row.dim};
  return shape;
}

/// Of one product of an attention.
double productFlops(const AttentionRow &row) {
  return 2.0 * static_cast<double>(row.batch * row.heads * row.tokens *
                                   row.tokens * row.dim);
}

/// The operands of an attention, what it makes, and its gradient's.
struct AttentionMemory {
  Memory qkv, output, logSumExp, outputGrad, gradient;
  AttentionPointers forward;
  AttentionGradPointers backward;

  AttentionMemory(const AttentionRow &row, ElementType type)
      : qkv(randomElements(type, row.batch * row.tokens * 3 * width(row))),
        output(randomElements(type, row.batch * row.tokens * width(row))),
        logSumExp(randomElements(ElementType::F32,
                                 row.batch * row.heads * row.tokens)),
        outputGrad(randomElements(type, row.batch * row.tokens * width(row))),
        gradient(
            randomElements(type, row.batch * row.tokens * 3 * width(row))) {
    int64_t bytes = row.dim * dit::plan::elementBytes(type);
    auto part = [bytes](const Memory &of, int64_t index) {
      return static_cast<char *>(of.get()) + index * bytes;
    };
    backward.q = forward.q = part(qkv, 0);
    backward.k = forward.k = part(qkv, 1);
    backward.v = forward.v = part(qkv, 2);
    backward.output = forward.output = output.get();
    backward.logSumExp = forward.logSumExp =
        static_cast<float *>(logSumExp.get());
    backward.outputGrad = outputGrad.get();
    backward.queryGrad = part(gradient, 0);
    backward.keyGrad = part(gradient, 1);
    backward.valueGrad = part(gradient, 2);
  }
  static int64_t width(const AttentionRow &row) { return row.heads * row.dim; }
};

/// The forward as sampling runs it, without log sum exp, or as training does.
void benchAttention(Crew &crew, const AttentionRow &row, ElementType type,
                    bool training) {
  llvm::Expected<AttentionKernel> kernel =
      AttentionKernel::create(attentionShape(row, type));
  if (!kernel) {
    llvm::errs() << llvm::toString(kernel.takeError()) << '\n';
    return;
  }
  AttentionMemory memory(row, type);
  if (!training)
    memory.forward.logSumExp = nullptr;
  double flops = 2 * productFlops(row);
  double best = bestTime(crew, *kernel, memory.forward, flops);
  llvm::outs() << llvm::format(" %8.1f", flops / best * 1e-9);
}

void benchAttentionGrad(Crew &crew, const AttentionRow &row, ElementType type) {
  AttentionGradShape shape;
  shape.forward = attentionShape(row, type);
  shape.outputGrad = shape.forward.output;
  shape.queryGrad = shape.keyGrad = shape.valueGrad = shape.forward.q;
  llvm::Expected<AttentionGradKernel> kernel =
      AttentionGradKernel::create(shape);
  if (!kernel) {
    llvm::errs() << llvm::toString(kernel.takeError()) << '\n';
    return;
  }
  AttentionMemory memory(row, type);
  double flops = 5 * productFlops(row);
  double best = bestTime(crew, *kernel, memory.backward, flops);
  llvm::outs() << llvm::format(" %8.1f", flops / best * 1e-9);
}

const Activation none = Activation::Identity, gelu = Activation::GeluTanh;

const GemmRow gemms[] = {
    // name, M, N, K, bias, activation, rows of one gate (0: no gate)
    {"DiT-S/2 qkv, B 2", 512, 1152, 384, true, none, 0},
    {"DiT-S/2 proj + gate", 512, 384, 384, true, none, 256},
    {"DiT-S/2 fc1, no epilogue", 512, 1536, 384, false, none, 0},
    {"DiT-S/2 fc1 + GELU", 512, 1536, 384, true, gelu, 0},
    {"DiT-S/2 fc2", 512, 384, 1536, true, none, 0},
    {"DiT-S/2 fc2 + gate", 512, 384, 1536, true, none, 256},
    {"small DiT qkv, B 1", 64, 576, 192, true, none, 0},
    {"small DiT fc1 + GELU, B 1", 64, 768, 192, true, gelu, 0},
    {"small DiT fc2 + gate, B 1", 64, 192, 768, true, none, 64},
    {"small DiT qkv, B 16", 1024, 576, 192, true, none, 0},
    {"small DiT proj + gate, B 16", 1024, 192, 192, true, none, 64},
    {"small DiT fc1, no epilogue", 1024, 768, 192, false, none, 0},
    {"small DiT fc1 + GELU, B 16", 1024, 768, 192, true, gelu, 0},
    {"small DiT fc2 + gate, B 16", 1024, 192, 768, true, none, 64},
    {"DiT-XL/2 fc1 + GELU, 2048 rows", 2048, 4608, 1152, true, gelu, 0},
    {"DiT-XL/2 fc2 + gate, 512 rows", 512, 1152, 4608, true, none, 256},
    {"DiT-S/2 modulation, B 2", 2, 2304, 384, true, none, 0},
};

const AttentionRow attentions[] = {
    // name, batch, heads, tokens, head dimension
    {"small DiT, B 1", 1, 3, 64, 64},
    {"small DiT, B 16", 16, 3, 64, 64},
    {"small DiT, B 1, d 48", 1, 4, 64, 48},
    {"small DiT, B 64", 64, 4, 64, 48},
    {"DiT-S/2, B 2", 2, 6, 256, 64},
    {"DiT-XL/2, B 2", 2, 16, 256, 72},
    {"DiT-XL/2, 1024 tokens", 1, 16, 1024, 72},
};

} // namespace

int main(int argc, char **argv) {
  unsigned threads = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 2;
  Crew crew(std::clamp(threads, 1u, 256u));
  const ElementType types[] = {ElementType::F32, ElementType::BF16,
                               ElementType::F16};
  llvm::outs() << llvm::format("GFLOP/s, %u thread(s)%-15s M     N     K",
                               crew.size, "")
               << "      f32     bf16      f16\n";
  for (const GemmRow &row : gemms) {
    llvm::outs() << llvm::format(
        "%-31s %5d %5d %5d", row.name, static_cast<int>(row.m),
        static_cast<int>(row.n), static_cast<int>(row.k));
    for (ElementType type : types)
      benchGemm(crew, row, type);
    llvm::outs() << '\n';
  }
  using Bench = std::function<void(const AttentionRow &, ElementType)>;
  auto table = [&](const char *title, const Bench &bench) {
    llvm::outs() << llvm::format("%-31s   B*H     T     d\n", title);
    for (const AttentionRow &row : attentions) {
      llvm::outs() << llvm::format("%-31s %5d %5d %5d", row.name,
                                   static_cast<int>(row.batch * row.heads),
                                   static_cast<int>(row.tokens),
                                   static_cast<int>(row.dim));
      for (ElementType type : types)
        bench(row, type);
      llvm::outs() << '\n';
    }
  };
  table("attention", [&](const AttentionRow &row, ElementType type) {
    benchAttention(crew, row, type, /*training=*/false);
  });
  table("attention, log sum exp kept",
        [&](const AttentionRow &row, ElementType type) {
          benchAttention(crew, row, type, /*training=*/true);
        });
  table("attention's gradient", [&](const AttentionRow &row, ElementType type) {
    benchAttentionGrad(crew, row, type);
  });
  return 0;
}
