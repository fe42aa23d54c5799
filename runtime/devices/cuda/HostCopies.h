//===- HostCopies.h - Copies for which the host does not wait -------------===//
//
// A copy from or to memory that is not pinned may wait for the stream. These
// are staged in pinned memory and happen in the stream's order, so that what a
// command sees, and what the host reads, never depends on when the host comes:
//
//   host     write a0 | launch | read b0 | write a1 | launch | read b1 | await
//   b0 stream           a0  f  b0                 a1  f  b1
//
// An input's staging is written again when its copy before last is done, an
// output's belongs to its arrival alone.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_HOSTCOPIES_H
#define DIT_RUNTIME_DEVICES_CUDA_HOSTCOPIES_H

#include "runtime/devices/Device.h"
#include "runtime/devices/cuda/PinnedBuffer.h"

#include <map>
#include <string>

namespace dit::runtime::cuda {

/// The staging of a device's globals; its context must outlive it.
class HostCopies {
public:
  explicit HostCopies(const CudaContext &context) : context(context) {}

  /// Copies `bytes` to the GPU through the staging of an input, of `capacity`
  /// bytes; they are taken when it returns. `what` begins the error's text.
  llvm::Error copyIn(unsigned input, uint64_t capacity, DevicePointer to,
                     llvm::ArrayRef<uint8_t> bytes, const llvm::Twine &what);

  /// Bytes of the GPU's memory.
  struct Source {
    DevicePointer from;
    uint64_t bytes;
  };

  /// Has bytes copied to the host; this must outlive the arrival.
  llvm::Expected<std::unique_ptr<Arrival>>
  startCopyOut(std::vector<Source> sources, std::string what);

private:
  friend class PinnedArrival;

  /// Where an input is written next, and the time after.
  struct Staging {
    PinnedBuffer next, other;
  };

  llvm::Expected<PinnedBuffer> takeIdle(uint64_t bytes);

  const CudaContext &context;
  std::map<unsigned, Staging> inputs;
  std::vector<PinnedBuffer> idle; // of arrivals that are gone
};

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_HOSTCOPIES_H
