//===- WeightUpload.cpp - A plan's weights to the GPU ---------------------===//

#include "runtime/devices/cuda/WeightUpload.h"

#include <algorithm>
#include <cstring>

using namespace dit::runtime;
using namespace dit::runtime::cuda;

namespace {

/// Pinned memory, and when the GPU is done with it.
struct Staging {
  Owned<void *> memory;
  Owned<Event> done;
};

} // namespace

static constexpr uint64_t stagingBytes = 32 << 20;

static llvm::Expected<Staging> createStaging(const CudaContext &context,
                                             uint64_t bytes) {
  const CudaApi &api = context.api();
  void *memory = nullptr;
  if (llvm::Error error =
          api.check(api.memAllocHost(&memory, bytes), "cuMemAllocHost"))
    return std::move(error);
  Owned<void *> owned(memory, api.memFreeHost);
  llvm::Expected<Owned<Event>> event = context.createEvent();
  if (!event)
    return event.takeError();
  return Staging{std::move(owned), std::move(*event)};
}

llvm::Error dit::runtime::cuda::uploadWeights(const CudaContext &context,
                                              llvm::ArrayRef<uint8_t> weights,
                                              DevicePointer target,
                                              ThreadPool &pool) {
  const CudaApi &api = context.api();
  Staging stagings[2];
  for (Staging &staging : stagings) {
    if (weights.empty())
      break;
    llvm::Expected<Staging> created = createStaging(
        context, std::min<uint64_t>(stagingBytes, weights.size()));
    if (!created)
      return created.takeError();
    staging = std::move(*created);
  }
  unsigned turn = 0;
  for (uint64_t offset = 0; offset < weights.size(); offset += stagingBytes) {
    Staging &staging = stagings[turn];
    turn = 1 - turn;
    // An event that was never recorded is done.
    if (llvm::Error error =
            api.check(api.eventSynchronize(staging.done.get()), "upload"))
      return error;
    llvm::ArrayRef<uint8_t> part = weights.slice(
        offset, std::min<uint64_t>(stagingBytes, weights.size() - offset));
    constexpr uint64_t piece = 1 << 20;
    auto *memory = static_cast<uint8_t *>(staging.memory.get());
    pool.parallelFor(
        (part.size() + piece - 1) / piece, 1, pool.threads(),
        [&](unsigned, int64_t begin, int64_t end) {
          uint64_t first = begin * piece;
          uint64_t last = std::min<uint64_t>(end * piece, part.size());
          std::memcpy(memory + first, part.data() + first, last - first);
        });
    if (llvm::Error error =
            api.check(api.memcpyHtoDAsync(target + offset, memory, part.size(),
                                          context.stream()),
                      "upload of the weights"))
      return error;
    if (llvm::Error error = api.check(
            api.eventRecord(staging.done.get(), context.stream()), "upload"))
      return error;
  }
  return context.synchronize("upload of the weights");
}
