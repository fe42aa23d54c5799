//===- CudaContext.h - The GPU this process uses --------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CUDACONTEXT_H
#define DIT_RUNTIME_DEVICES_CUDA_CUDACONTEXT_H

#include "runtime/devices/cuda/CudaApi.h"

#include <memory>
#include <vector>

namespace dit::runtime::cuda {

/// What the driver says of one GPU.
struct GpuInfo {
  std::string name; // NVIDIA H100 80GB HBM3
  int sm = 0;       // compute capability: 90 for 9.0
  int multiprocessors = 0;
  uint64_t memory = 0; // bytes in all
};

/// All GPUs that the driver shows to this process (CUDA_VISIBLE_DEVICES).
llvm::Expected<std::vector<GpuInfo>> listGpus(const CudaApi &api);

/// The first GPU's primary context, which cuBLASLt and cuDNN share, and the one
/// stream that everything runs on.
class CudaContext {
public:
  /// Makes the context current on this thread, which is the one to use it.
  /// Exit::Unsupported where there is no driver or no GPU.
  static llvm::Expected<std::unique_ptr<CudaContext>> create();
  ~CudaContext();

  const CudaApi &api() const { return driver; }
  const GpuInfo &gpu() const { return info; }
  int driverVersion() const { return version; }
  Stream stream() const { return mainStream.get(); }
  /// Of kernels that leave the machine to those of the stream; it has the
  /// highest priority.
  int lowPriority() const { return least; }

  /// Free and all bytes of the GPU's memory.
  llvm::Expected<std::pair<uint64_t, uint64_t>> memory() const;

  /// Waits for the stream; `what` begins the error's text.
  llvm::Error synchronize(const llvm::Twine &what) const;

  /// An event that can be timed.
  llvm::Expected<Owned<Event>> createEvent() const;

private:
  explicit CudaContext(CudaApi driver) : driver(std::move(driver)) {}

  CudaApi driver;
  GpuInfo info;
  int version = 0;
  int least = 0; // priority
  DeviceOrdinal device = -1;
  Owned<Stream> mainStream;
};

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_CUDACONTEXT_H
