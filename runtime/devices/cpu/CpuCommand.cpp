//===- CpuCommand.cpp - Instructions with addresses in place --------------===//

#include "runtime/devices/cpu/CpuCommand.h"

#include "runtime/devices/cpu/KernelCommands.h"
#include "runtime/plan/Failure.h"

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

/// Work that is over before another thread would have begun.
constexpr uint64_t serialBytes = 16 << 10;
constexpr uint64_t serialFlops = 16 << 10;

class LaunchCommand : public CpuCommand {
public:
  using Kernel = void (*)(void *const *operands, int64_t begin, int64_t end);

  LaunchCommand(Kernel kernel, std::vector<void *> operands, int64_t blocks,
                int64_t chunk)
      : kernel(kernel), operands(std::move(operands)), blocks(blocks),
        chunk(chunk) {}

  void run(CpuWorkers &workers) override {
    workers.pool.parallelFor(blocks, chunk,
                             [&](unsigned, int64_t begin, int64_t end) {
                               kernel(operands.data(), begin, end);
                             });
  }

private:
  Kernel kernel;
  std::vector<void *> operands;
  int64_t blocks;
  int64_t chunk;
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
    workers.pool.parallelFor((bytes + piece - 1) / piece, 1,
                             [&](unsigned, int64_t begin, int64_t end) {
                               uint64_t first = begin * piece;
                               uint64_t last = std::min(end * piece, bytes);
                               std::memcpy(to + first, from + first,
                                           last - first);
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

static std::unique_ptr<CpuCommand> createLaunch(const proto::Launch &launch,
                                                const CpuAddresses &addresses,
                                                const ObjectCode *kernels,
                                                unsigned threads) {
  const proto::Kernel &kernel = addresses.plan->kernels(launch.kernel());
  std::vector<void *> operands;
  for (const proto::Place &place : launch.operands())
    operands.push_back(addresses(place));
  int64_t chunk = chunkOf(launch.blocks(), threads);
  if (kernel.bytes_moved() < serialBytes && kernel.flops() < serialFlops)
    chunk = std::max<int64_t>(launch.blocks(), 1);
  return std::make_unique<LaunchCommand>(
      reinterpret_cast<LaunchCommand::Kernel>(
          kernels->address(launch.kernel())),
      std::move(operands), launch.blocks(), chunk);
}

llvm::Expected<std::unique_ptr<CpuCommand>>
dit::runtime::createCpuCommand(const proto::Instruction &instruction,
                               const CpuAddresses &addresses,
                               const ObjectCode *kernels, unsigned threads) {
  switch (instruction.kind_case()) {
  case proto::Instruction::kLaunch:
    return createLaunch(instruction.launch(), addresses, kernels, threads);
  case proto::Instruction::kGemm:
    return createGemm(instruction.gemm(), addresses, threads);
  case proto::Instruction::kAttention:
    return createAttention(instruction.attention(), addresses, threads);
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
