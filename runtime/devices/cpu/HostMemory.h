//===- HostMemory.h - One large, zeroed piece of memory -------------------===//
#ifndef DIT_RUNTIME_DEVICES_CPU_HOSTMEMORY_H
#define DIT_RUNTIME_DEVICES_CPU_HOSTMEMORY_H

#include "llvm/ADT/ArrayRef.h"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace dit::runtime {

/// Zeroed pages from the system, in huge ones where it has them.
class HostMemory {
public:
  HostMemory() = default;
  HostMemory(HostMemory &&other) noexcept;
  HostMemory &operator=(HostMemory &&other) noexcept;
  ~HostMemory();

  /// Exactly `bytes`, aligned to a page; nothing when the system refuses.
  static std::optional<HostMemory> allocate(uint64_t bytes);

  std::byte *data() const { return address; }
  uint64_t size() const { return bytes; }

private:
  std::byte *address = nullptr;
  uint64_t bytes = 0;
};

/// Bytes that this process can still take: the machine's available memory, or
/// what is left of the control group's limit.
uint64_t availableMemory();

} // namespace dit::runtime

#endif // DIT_RUNTIME_DEVICES_CPU_HOSTMEMORY_H
