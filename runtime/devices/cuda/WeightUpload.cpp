//===- WeightUpload.cpp - A plan's weights to the GPU ---------------------===//

#include "runtime/devices/cuda/WeightUpload.h"

#include "runtime/devices/cuda/PinnedBuffer.h"

#include <algorithm>
#include <cstring>

using namespace dit::runtime;
using namespace dit::runtime::cuda;

static constexpr uint64_t stagingBytes = 32 << 20;

llvm::Error dit::runtime::cuda::uploadWeights(const CudaContext &context,
                                              llvm::ArrayRef<uint8_t> weights,
                                              DevicePointer target,
                                              ThreadPool &pool) {
  const CudaApi &api = context.api();
  PinnedBuffer stagings[2];
  for (PinnedBuffer &staging : stagings) {
    if (weights.empty())
      break;
    llvm::Expected<PinnedBuffer> created = PinnedBuffer::create(
        context, std::min<uint64_t>(stagingBytes, weights.size()));
    if (!created)
      return created.takeError();
    staging = std::move(*created);
  }
  unsigned turn = 0;
  for (uint64_t offset = 0; offset < weights.size(); offset += stagingBytes) {
    const PinnedBuffer &staging = stagings[turn];
    turn = 1 - turn;
    if (llvm::Error error = staging.wait(context, "upload"))
      return error;
    llvm::ArrayRef<uint8_t> part = weights.slice(
        offset, std::min<uint64_t>(stagingBytes, weights.size() - offset));
    constexpr uint64_t piece = 1 << 20;
    uint8_t *memory = staging.data();
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
    if (llvm::Error error = staging.mark(context, "upload"))
      return error;
  }
  return context.synchronize("upload of the weights");
}
