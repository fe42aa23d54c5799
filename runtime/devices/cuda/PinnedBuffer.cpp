//===- PinnedBuffer.cpp - Host memory that the GPU copies by itself -------===//

#include "runtime/devices/cuda/PinnedBuffer.h"

using namespace dit::runtime::cuda;

llvm::Expected<PinnedBuffer> PinnedBuffer::create(const CudaContext &context,
                                                  uint64_t bytes) {
  const CudaApi &api = context.api();
  PinnedBuffer buffer;
  void *memory = nullptr;
  if (llvm::Error error =
          api.check(api.memAllocHost(&memory, bytes), "cuMemAllocHost"))
    return std::move(error);
  buffer.memory = {memory, api.memFreeHost};
  buffer.bytes = bytes;
  Event event = nullptr;
  if (llvm::Error error = api.check(api.eventCreate(&event, eventDisableTiming),
                                    "cuEventCreate"))
    return std::move(error);
  buffer.done = {event, api.eventDestroy};
  return buffer;
}

llvm::Error PinnedBuffer::mark(const CudaContext &context,
                               const llvm::Twine &what) const {
  return context.api().check(
      context.api().eventRecord(done.get(), context.stream()), what);
}

llvm::Error PinnedBuffer::wait(const CudaContext &context,
                               const llvm::Twine &what) const {
  return context.api().check(context.api().eventSynchronize(done.get()), what);
}
