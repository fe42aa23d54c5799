//===- CudaCommand.h - Instructions with device addresses -----------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CUDACOMMAND_H
#define DIT_RUNTIME_DEVICES_CUDA_CUDACOMMAND_H

#include "runtime/devices/Device.h"
#include "runtime/devices/cuda/Branches.h"
#include "runtime/devices/cuda/CodeImages.h"

namespace dit::runtime::cuda {

/// Where the spaces of a plan are in the GPU's memory.
struct CudaAddresses {
  DevicePointer arena = 0;
  DevicePointer globals = 0;
  DevicePointer weights = 0;
  const proto::Plan *plan = nullptr;

  /// The first byte of a global.
  DevicePointer global(unsigned index) const;
  /// The first byte of a place; 0 for space NONE.
  DevicePointer operator()(const proto::Place &place) const;
};

/// A host pointer type for what the libraries take as void *.
inline void *asPointer(DevicePointer address) {
  return reinterpret_cast<void *>(address);
}

/// A command of the GPU.
class CudaCommand : public Command {
public:
  /// Puts the work on the context's stream.
  virtual llvm::Error enqueue(const CudaContext &context) = 0;
  /// What errors call it.
  virtual std::string name() const = 0;
  /// Whether it writes to its instruction's workspace.
  virtual bool usesWorkspace() const { return true; }

  /// enqueue, in a range of a profiler where one is attached.
  llvm::Error enqueueInRange(const CudaContext &context);
  /// The model's node that the command is of; may be empty.
  std::string location;
  /// What it touches.
  std::vector<Extent> extents;
};

/// The commands of launch, copy and fill instructions.
llvm::Expected<std::unique_ptr<CudaCommand>>
createLaunch(const proto::Launch &launch, const CudaAddresses &addresses,
             const KernelCode &kernels);
std::unique_ptr<CudaCommand> createCopy(const proto::Copy &copy,
                                        const CudaAddresses &addresses);
std::unique_ptr<CudaCommand> createFill(const proto::Fill &fill,
                                        const CudaAddresses &addresses);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_CUDACOMMAND_H
