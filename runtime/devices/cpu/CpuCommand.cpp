//===- CpuCommand.cpp - Instructions with addresses in place --------------===//

#include "runtime/devices/cpu/CpuCommand.h"

#include "runtime/devices/cpu/KernelCommands.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Work.h"

#include <cstring>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

std::byte *CpuAddresses::global(unsigned index) const {
  const proto::Global &global = plan->globals(index);
  if (global.mapped())
    return reinterpret_cast<std::byte *>(
        const_cast<uint8_t *>(weights + global.offset()));
  return globals + global.offset();
}

std::byte *CpuAddresses::operator()(const proto::Place &place) const {
  switch (place.space()) {
  case proto::Place::ARENA:
    return arena + place.offset();
  case proto::Place::GLOBAL:
    return global(place.global()) + place.offset();
  default:
    return nullptr;
  }
}

namespace {

class LaunchCommand : public CpuCommand {
public:
  using Kernel = void (*)(void *const *operands, int64_t begin, int64_t end);

  LaunchCommand(Kernel kernel, std::vector<void *> operands, int64_t blocks,
                WorkSplit split)
      : kernel(kernel), operands(std::move(operands)), blocks(blocks),
        split(split) {}

  void run(CpuWorkers &workers) override {
    workers.pool.parallelFor(blocks, split.chunk, split.threads,
                             [&](unsigned, int64_t begin, int64_t end) {
                               kernel(operands.data(), begin, end);
                             });
  }

private:
  Kernel kernel;
  std::vector<void *> operands;
  int64_t blocks;
  WorkSplit split;
};

class CopyCommand : public CpuCommand {
public:
  CopyCommand(std::byte *to, const std::byte *from, uint64_t bytes)
      : to(to), from(from), bytes(bytes) {}

  void run(CpuWorkers &workers) override {
    bool apart = to + bytes <= from || from + bytes <= to;
    if (!apart) {
      std::memmove(to, from, bytes);
      return;
    }
    constexpr uint64_t piece = 64 << 10;
    workers.pool.parallelFor(
        (bytes + piece - 1) / piece, 1, workers.pool.threads(),
        [&](unsigned, int64_t begin, int64_t end) {
          uint64_t first = begin * piece;
          uint64_t last = std::min(end * piece, bytes);
          std::memcpy(to + first, from + first, last - first);
        });
  }

private:
  std::byte *to;
  const std::byte *from;
  uint64_t bytes;
};

class FillCommand : public CpuCommand {
public:
  FillCommand(std::byte *to, int byte, uint64_t bytes)
      : to(to), byte(byte), bytes(bytes) {}

  void run(CpuWorkers &) override { std::memset(to, byte, bytes); }

private:
  std::byte *to;
  int byte;
  uint64_t bytes;
};

} // namespace

WorkSplit WorkEstimate::split(int64_t blocks) const {
  // Waking a thread and bringing it its data takes about as long.
  constexpr double worthWaking = 3;
  constexpr int64_t piecesPerThread = 4;
  double wanted = microseconds / worthWaking;
  unsigned used = wanted < threads ? static_cast<unsigned>(wanted) : threads;
  used = std::max(used, 1u);
  return {used, std::max<int64_t>(blocks / (used * piecesPerThread), 1)};
}

/// Rates of one thread that decide how many to wake, nothing else.
static WorkEstimate estimate(const proto::Plan &metadata,
                             const proto::Instruction &instruction,
                             unsigned threads) {
  constexpr double bytesPerMicrosecond = 20e3;
  double flopsPerMicrosecond = instruction.has_launch() ? 10e3 : 80e3;
  double flops = plan::instructionFlops(metadata, instruction);
  double bytes = plan::instructionBytes(metadata, instruction);
  return {std::max(flops / flopsPerMicrosecond, bytes / bytesPerMicrosecond),
          threads};
}

static std::unique_ptr<CpuCommand> createLaunch(const proto::Launch &launch,
                                                const CpuAddresses &addresses,
                                                const ObjectCode *kernels,
                                                const WorkEstimate &work) {
  std::vector<void *> operands;
  for (const proto::Place &place : launch.operands())
    operands.push_back(addresses(place));
  return std::make_unique<LaunchCommand>(
      reinterpret_cast<LaunchCommand::Kernel>(
          kernels->address(launch.kernel())),
      std::move(operands), launch.blocks(), work.split(launch.blocks()));
}

llvm::Expected<std::unique_ptr<CpuCommand>>
dit::runtime::createCpuCommand(const proto::Instruction &instruction,
                               const CpuAddresses &addresses,
                               const ObjectCode *kernels, unsigned threads) {
  WorkEstimate work = estimate(*addresses.plan, instruction, threads);
  switch (instruction.kind_case()) {
  case proto::Instruction::kLaunch:
    return createLaunch(instruction.launch(), addresses, kernels, work);
  case proto::Instruction::kGemm:
    return createGemm(instruction.gemm(), addresses, work);
  case proto::Instruction::kAttention:
    return createAttention(instruction.attention(), addresses, work);
  case proto::Instruction::kAttentionGrad:
    return createAttentionGrad(instruction.attention_grad(), addresses, work);
  case proto::Instruction::kCopy:
    return std::make_unique<CopyCommand>(addresses(instruction.copy().to()),
                                         addresses(instruction.copy().from()),
                                         instruction.copy().to().bytes());
  case proto::Instruction::kFill:
    return std::make_unique<FillCommand>(addresses(instruction.fill().to()),
                                         instruction.fill().byte(),
                                         instruction.fill().to().bytes());
  default:
    return failure(Exit::Unsupported,
                   "this ditrun has no cpu kernel for the instruction");
  }
}
