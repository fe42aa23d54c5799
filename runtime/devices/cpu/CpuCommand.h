//===- CpuCommand.h - Instructions with addresses in place ----------------===//
#ifndef DIT_RUNTIME_DEVICES_CPU_CPUCOMMAND_H
#define DIT_RUNTIME_DEVICES_CPU_CPUCOMMAND_H

#include "runtime/devices/Device.h"
#include "runtime/devices/cpu/ObjectLoader.h"
#include "runtime/devices/cpu/ThreadPool.h"

namespace dit::runtime {

/// Where the spaces of a plan are in this process's memory.
struct CpuAddresses {
  std::byte *arena = nullptr;
  std::byte *globals = nullptr;
  const uint8_t *weights = nullptr;
  const proto::Plan *plan = nullptr;

  /// The first byte of a global. Mapped ones are read-only.
  std::byte *global(unsigned index) const;
  /// The first byte of a place; null for space NONE.
  std::byte *operator()(const proto::Place &place) const;
};

/// The threads, and scratch memory for each that kernels may use while they
/// run; how much there is does not change results.
struct CpuWorkers {
  ThreadPool &pool;
  std::byte *scratch = nullptr; // 64-byte aligned
  uint64_t scratchStride = 0;   // bytes from one thread's to the next

  std::byte *scratchOf(unsigned thread) const {
    return scratch + thread * scratchStride;
  }
};

/// A command of the CPU: done when run() returns.
class CpuCommand : public Command {
public:
  virtual void run(CpuWorkers &workers) = 0;
  /// Scratch bytes a thread needs.
  virtual uint64_t scratchBytes() const { return 0; }
};

/// How an instruction is shared among threads.
struct WorkSplit {
  unsigned threads; // that are worth waking
  int64_t chunk;    // blocks a thread takes at a time
};

/// What is known about an instruction's work before it runs.
struct WorkEstimate {
  double microseconds; // on one thread, roughly
  unsigned threads;    // that there are

  /// Starting a thread costs microseconds: short work is not shared, long work
  /// in a few pieces a thread, so that a late one costs little.
  WorkSplit split(int64_t blocks) const;
};

/// Makes the command of an instruction. `kernels` holds the plan's kernels in
/// order. Exit::Unsupported where no kernel here can do it.
llvm::Expected<std::unique_ptr<CpuCommand>>
createCpuCommand(const proto::Instruction &instruction,
                 const CpuAddresses &addresses, const ObjectCode *kernels,
                 unsigned threads);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DEVICES_CPU_CPUCOMMAND_H
