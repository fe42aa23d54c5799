//===- CpuDevice.cpp - A plan on this machine's processor -----------------===//

#include "runtime/devices/cpu/CpuDevice.h"

#include "runtime/devices/cpu/CpuCommand.h"
#include "runtime/devices/cpu/CpuFeatures.h"
#include "runtime/devices/cpu/HostMemory.h"
#include "runtime/devices/cpu/ObjectLoader.h"
#include "runtime/devices/cpu/ThreadPool.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Memory.h"

#include <cstring>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

namespace {

class CpuDevice : public Device {
public:
  explicit CpuDevice(unsigned threads)
      : pool(threads ? threads : availableCores()) {}

  std::string description() const override;
  llvm::Error load(const plan::PlanView &view) override;
  llvm::Expected<std::unique_ptr<Command>>
  prepare(const proto::Instruction &instruction) override;
  llvm::Error enqueue(Command &command) override;
  llvm::Error synchronize() override { return llvm::Error::success(); }
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
  return createCpuCommand(instruction, addresses, code.get(), pool.threads());
}

llvm::Error CpuDevice::enqueue(Command &command) {
  static_cast<CpuCommand &>(command).run(pool);
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
  pool.parallelFor(count, 1, body);
}

std::unique_ptr<Device> dit::runtime::createCpuDevice(unsigned threads) {
  return std::make_unique<CpuDevice>(threads);
}
