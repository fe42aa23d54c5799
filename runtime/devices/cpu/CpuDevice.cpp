//===- CpuDevice.cpp - A plan on this machine's processor -----------------===//

#include "runtime/devices/cpu/CpuDevice.h"

#include "runtime/devices/cpu/CpuCommand.h"
#include "runtime/devices/cpu/CpuFeatures.h"
#include "runtime/devices/cpu/HostMemory.h"
#include "runtime/devices/cpu/ObjectLoader.h"
#include "runtime/devices/cpu/ThreadPool.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Memory.h"

#include "llvm/Support/MathExtras.h"

#include <cstring>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

namespace {

class CpuDevice : public Device {
public:
  explicit CpuDevice(unsigned threads)
      : pool(threads ? threads : availableCores()), workers{pool} {}

  std::string description() const override;
  llvm::Error load(const plan::PlanView &view) override;
  llvm::Expected<std::unique_ptr<Command>>
  prepare(const proto::Instruction &instruction) override;
  llvm::Error enqueue(Command &command) override;
  llvm::Error waitFor(uint64_t) override { return llvm::Error::success(); }
  llvm::Error copyIn(unsigned global, uint64_t offset,
                     llvm::ArrayRef<uint8_t> bytes) override;
  llvm::Error copyOut(unsigned global, uint64_t offset,
                      llvm::MutableArrayRef<uint8_t> bytes) override;
  void hostParallel(int64_t count,
                    llvm::function_ref<void(int64_t, int64_t)> body) override;

private:
  llvm::Error allocate(const proto::Plan &metadata);
  llvm::Error checkRange(unsigned global, uint64_t offset, uint64_t bytes);

  ThreadPool pool;
  HostMemory arena;
  HostMemory globals;
  HostMemory scratch;
  CpuWorkers workers;
  std::unique_ptr<ObjectCode> code;
  CpuAddresses addresses;
};

} // namespace

std::string CpuDevice::description() const {
  return std::to_string(pool.threads()) +
         (pool.threads() == 1 ? " thread on " : " threads on ") + cpuModel();
}

llvm::Error CpuDevice::allocate(const proto::Plan &metadata) {
  // The kernel would promise more than it has and kill us later.
  uint64_t available = availableMemory();
  std::optional<HostMemory> arenaMemory, globalsMemory;
  if (metadata.arena_bytes() <= available &&
      metadata.globals_bytes() <= available - metadata.arena_bytes()) {
    arenaMemory = HostMemory::allocate(metadata.arena_bytes());
    globalsMemory = HostMemory::allocate(metadata.globals_bytes());
  }
  if (!arenaMemory || !globalsMemory)
    return failure(Exit::Memory,
                   "not enough memory: " + plan::printBytes(available) +
                       " are available, the plan needs\n" +
                       plan::printMemoryTable(metadata));
  arena = std::move(*arenaMemory);
  globals = std::move(*globalsMemory);
  return llvm::Error::success();
}

llvm::Error CpuDevice::load(const plan::PlanView &view) {
  if (llvm::Error error = checkTarget(view.metadata.target()))
    return error;
  if (llvm::Error error = allocate(view.metadata))
    return error;
  if (view.metadata.kernels_size()) {
    std::vector<std::string> symbols;
    for (const proto::Kernel &kernel : view.metadata.kernels())
      symbols.push_back(kernel.symbol());
    llvm::Expected<std::unique_ptr<ObjectCode>> loaded =
        ObjectCode::load(view.code, symbols);
    if (!loaded)
      return loaded.takeError();
    code = std::move(*loaded);
  }
  addresses = {arena.data(), globals.data(), view.weights.data(),
               &view.metadata};
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<Command>>
CpuDevice::prepare(const proto::Instruction &instruction) {
  llvm::Expected<std::unique_ptr<CpuCommand>> command =
      createCpuCommand(instruction, addresses, code.get(), pool.threads());
  if (!command)
    return command.takeError();
  uint64_t stride = llvm::alignTo((*command)->scratchBytes(), 4096);
  if (stride > workers.scratchStride) {
    std::optional<HostMemory> larger =
        HostMemory::allocate(stride * pool.threads());
    if (!larger)
      return failure(Exit::Memory, "no memory for the threads' scratch: " +
                                       plan::printBytes(stride) + " each");
    scratch = std::move(*larger);
    workers.scratch = scratch.data();
    workers.scratchStride = stride;
  }
  return std::move(*command);
}

llvm::Error CpuDevice::enqueue(Command &command) {
  static_cast<CpuCommand &>(command).run(workers);
  return llvm::Error::success();
}

llvm::Error CpuDevice::checkRange(unsigned global, uint64_t offset,
                                  uint64_t bytes) {
  const proto::Global &target = addresses.plan->globals(global);
  if (offset > target.bytes() || bytes > target.bytes() - offset)
    return failure(Exit::Internal, "a host copy reaches past global '" +
                                       plan::escaped(target.name()) + "'");
  return llvm::Error::success();
}

llvm::Error CpuDevice::copyIn(unsigned global, uint64_t offset,
                              llvm::ArrayRef<uint8_t> bytes) {
  if (llvm::Error error = checkRange(global, offset, bytes.size()))
    return error;
  if (addresses.plan->globals(global).mapped())
    return failure(Exit::Internal,
                   "global '" +
                       plan::escaped(addresses.plan->globals(global).name()) +
                       "' is mapped and cannot be written");
  std::memcpy(addresses.global(global) + offset, bytes.data(), bytes.size());
  return llvm::Error::success();
}

llvm::Error CpuDevice::copyOut(unsigned global, uint64_t offset,
                               llvm::MutableArrayRef<uint8_t> bytes) {
  if (llvm::Error error = checkRange(global, offset, bytes.size()))
    return error;
  std::memcpy(bytes.data(), addresses.global(global) + offset, bytes.size());
  return llvm::Error::success();
}

void CpuDevice::hostParallel(int64_t count,
                             llvm::function_ref<void(int64_t, int64_t)> body) {
  pool.parallelFor(
      count, 1, pool.threads(),
      [&](unsigned, int64_t begin, int64_t end) { body(begin, end); });
}

std::unique_ptr<Device> dit::runtime::createCpuDevice(unsigned threads) {
  return std::make_unique<CpuDevice>(threads);
}
