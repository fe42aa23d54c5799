//===- PinnedBuffer.h - Host memory that the GPU copies by itself ---------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_PINNEDBUFFER_H
#define DIT_RUNTIME_DEVICES_CUDA_PINNEDBUFFER_H

#include "runtime/devices/cuda/CudaContext.h"

namespace dit::runtime::cuda {

/// Pinned memory, and when the GPU is done with it.
class PinnedBuffer {
public:
  PinnedBuffer() = default;
  static llvm::Expected<PinnedBuffer> create(const CudaContext &context,
                                             uint64_t bytes);

  uint8_t *data() const { return static_cast<uint8_t *>(memory.get()); }
  uint64_t size() const { return bytes; }

  /// Says that what the stream has up to now uses the buffer.
  llvm::Error mark(const CudaContext &context, const llvm::Twine &what) const;
  /// Waits until all that was marked is done; at once where nothing was.
  llvm::Error wait(const CudaContext &context, const llvm::Twine &what) const;

private:
  Owned<void *> memory;
  Owned<Event> done;
  uint64_t bytes = 0;
};

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_PINNEDBUFFER_H
