//===- CudaCommand.cpp - Instructions with device addresses ---------------===//

#include "runtime/devices/cuda/CudaCommand.h"

#include "runtime/devices/cuda/ProfilerRanges.h"
#include "runtime/plan/Failure.h"

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::Exit;
using dit::plan::failure;

DevicePointer CudaAddresses::global(unsigned index) const {
  const proto::Global &global = plan->globals(index);
  return (global.mapped() ? weights : globals) + global.offset();
}

DevicePointer CudaAddresses::operator()(const proto::Place &place) const {
  switch (place.space()) {
  case proto::Place::ARENA:
    return arena + place.offset();
  case proto::Place::GLOBAL:
    return global(place.global()) + place.offset();
  default:
    return 0;
  }
}

llvm::Error CudaCommand::enqueueInRange(const CudaContext &context) {
  if (!isProfiled())
    return enqueue(context);
  ProfilerRange range(location.empty() ? name() : location + ": " + name());
  return enqueue(context);
}

namespace {

/// A generated kernel: a block of the grid a block of its space. One that
/// `overlaps` is launched while what is before it on the stream still runs.
class LaunchCommand : public CudaCommand {
public:
  LaunchCommand(const proto::Kernel &kernel, Function function,
                std::vector<DevicePointer> operands, unsigned blocks,
                bool overlaps)
      : kernel(kernel), function(function), operands(std::move(operands)),
        blocks(blocks), overlaps(overlaps) {
    for (DevicePointer &operand : this->operands)
      parameters.push_back(&operand);
  }

  llvm::Error enqueue(const CudaContext &context) override {
    if (blocks == 0)
      return llvm::Error::success();
    LaunchAttribute attribute;
    LaunchConfig config = {blocks,
                           1,
                           1,
                           static_cast<unsigned>(kernel.threads()),
                           1,
                           1,
                           static_cast<unsigned>(kernel.shared_bytes()),
                           context.stream(),
                           &attribute,
                           overlaps ? 1u : 0u};
    return context.api().check(context.api().launchKernelEx(&config, function,
                                                            parameters.data(),
                                                            nullptr),
                               name());
  }

  std::string name() const override { return kernelName(kernel); }

private:
  const proto::Kernel &kernel;
  Function function;
  std::vector<DevicePointer> operands;
  std::vector<void *> parameters; // into operands
  unsigned blocks;
  bool overlaps;
};

class CopyCommand : public CudaCommand {
public:
  CopyCommand(DevicePointer to, DevicePointer from, uint64_t bytes)
      : to(to), from(from), bytes(bytes) {}

  llvm::Error enqueue(const CudaContext &context) override {
    if (bytes == 0)
      return llvm::Error::success();
    return context.api().check(
        context.api().memcpyDtoDAsync(to, from, bytes, context.stream()),
        name());
  }

  std::string name() const override {
    return "a copy of " + std::to_string(bytes) + " bytes";
  }

private:
  DevicePointer to, from;
  uint64_t bytes;
};

class FillCommand : public CudaCommand {
public:
  FillCommand(DevicePointer to, unsigned char byte, uint64_t bytes)
      : to(to), byte(byte), bytes(bytes) {}

  llvm::Error enqueue(const CudaContext &context) override {
    if (bytes == 0)
      return llvm::Error::success();
    return context.api().check(
        context.api().memsetD8Async(to, byte, bytes, context.stream()), name());
  }

  std::string name() const override {
    return "a fill of " + std::to_string(bytes) + " bytes";
  }

private:
  DevicePointer to;
  unsigned char byte;
  uint64_t bytes;
};

} // namespace

llvm::Expected<std::unique_ptr<CudaCommand>>
dit::runtime::cuda::createLaunch(const proto::Launch &launch,
                                 const CudaAddresses &addresses,
                                 const KernelCode &kernels) {
  const proto::Kernel &kernel = addresses.plan->kernels(launch.kernel());
  if (launch.blocks() > INT32_MAX)
    return failure(Exit::Unsupported,
                   kernelName(kernel) + " has " + llvm::Twine(launch.blocks()) +
                       " blocks; a grid has at most 2147483647");
  std::vector<DevicePointer> operands;
  for (const proto::Place &place : launch.operands())
    operands.push_back(addresses(place));
  return std::make_unique<LaunchCommand>(
      kernel, kernels.function(launch.kernel()), std::move(operands),
      static_cast<unsigned>(launch.blocks()),
      kernels.overlaps(launch.kernel()));
}

std::unique_ptr<CudaCommand>
dit::runtime::cuda::createCopy(const proto::Copy &copy,
                               const CudaAddresses &addresses) {
  return std::make_unique<CopyCommand>(
      addresses(copy.to()), addresses(copy.from()), copy.to().bytes());
}

std::unique_ptr<CudaCommand>
dit::runtime::cuda::createFill(const proto::Fill &fill,
                               const CudaAddresses &addresses) {
  return std::make_unique<FillCommand>(addresses(fill.to()),
                                       static_cast<unsigned char>(fill.byte()),
                                       fill.to().bytes());
}
