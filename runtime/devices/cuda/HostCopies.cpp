//===- HostCopies.cpp - Copies for which the host does not wait -----------===//

#include "runtime/devices/cuda/HostCopies.h"

#include <algorithm>
#include <cstring>

using namespace dit::runtime;
using namespace dit::runtime::cuda;

llvm::Error HostCopies::copyIn(unsigned input, uint64_t capacity,
                               DevicePointer to, llvm::ArrayRef<uint8_t> bytes,
                               const llvm::Twine &what) {
  Staging &staging = inputs[input];
  std::swap(staging.next, staging.other);
  PinnedBuffer &buffer = staging.other;
  if (buffer.size() == 0) {
    llvm::Expected<PinnedBuffer> created =
        PinnedBuffer::create(context, capacity);
    if (!created)
      return created.takeError();
    buffer = std::move(*created);
  }
  if (llvm::Error error = buffer.wait(context, what))
    return error;
  std::memcpy(buffer.data(), bytes.data(), bytes.size());
  const CudaApi &api = context.api();
  if (llvm::Error error =
          api.check(api.memcpyHtoDAsync(to, buffer.data(), bytes.size(),
                                        context.stream()),
                    what))
    return error;
  return buffer.mark(context, what);
}

namespace dit::runtime::cuda {

/// Bytes that the GPU writes to pinned memory. Where nobody awaits them, the
/// memory is used again by copies that the stream does after these.
class PinnedArrival : public Arrival {
public:
  PinnedArrival(HostCopies &copies, PinnedBuffer buffer,
                std::vector<HostCopies::Source> sources, std::string what)
      : copies(copies), buffer(std::move(buffer)), sources(std::move(sources)),
        what(std::move(what)) {}
  ~PinnedArrival() override { copies.idle.push_back(std::move(buffer)); }

  llvm::Error start();
  llvm::Expected<std::vector<std::vector<uint8_t>>> await() override;

private:
  HostCopies &copies;
  PinnedBuffer buffer;
  std::vector<HostCopies::Source> sources;
  std::string what;
};

} // namespace dit::runtime::cuda

llvm::Error PinnedArrival::start() {
  const CudaApi &api = copies.context.api();
  uint8_t *to = buffer.data();
  for (const HostCopies::Source &source : sources) {
    if (llvm::Error error =
            api.check(api.memcpyDtoHAsync(to, source.from, source.bytes,
                                          copies.context.stream()),
                      what))
      return error;
    to += source.bytes;
  }
  return buffer.mark(copies.context, what);
}

llvm::Expected<std::vector<std::vector<uint8_t>>> PinnedArrival::await() {
  if (llvm::Error error = buffer.wait(copies.context, what))
    return std::move(error);
  std::vector<std::vector<uint8_t>> parts;
  const uint8_t *from = buffer.data();
  for (const HostCopies::Source &source : sources) {
    parts.emplace_back(from, from + source.bytes);
    from += source.bytes;
  }
  return parts;
}

/// A buffer that nobody has, of at least so many bytes.
llvm::Expected<PinnedBuffer> HostCopies::takeIdle(uint64_t bytes) {
  auto found = std::ranges::find_if(
      idle, [&](const PinnedBuffer &buffer) { return buffer.size() >= bytes; });
  if (found == idle.end()) {
    constexpr uint64_t page = 4096;
    return PinnedBuffer::create(context, std::max(bytes, page));
  }
  PinnedBuffer buffer = std::move(*found);
  idle.erase(found);
  return buffer;
}

llvm::Expected<std::unique_ptr<Arrival>>
HostCopies::startCopyOut(std::vector<Source> sources, std::string what) {
  uint64_t bytes = 0;
  for (const Source &source : sources)
    bytes += source.bytes;
  llvm::Expected<PinnedBuffer> buffer = takeIdle(bytes);
  if (!buffer)
    return buffer.takeError();
  auto arrival = std::make_unique<PinnedArrival>(
      *this, std::move(*buffer), std::move(sources), std::move(what));
  if (llvm::Error error = arrival->start())
    return std::move(error);
  return arrival;
}
