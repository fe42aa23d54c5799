//===- HostMemory.cpp - One large, zeroed piece of memory -----------------===//

#include "runtime/devices/cpu/HostMemory.h"

#include "llvm/ADT/StringRef.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <sys/mman.h>
#include <utility>

using namespace dit::runtime;

HostMemory::HostMemory(HostMemory &&other) noexcept {
  *this = std::move(other);
}

HostMemory &HostMemory::operator=(HostMemory &&other) noexcept {
  std::swap(address, other.address);
  std::swap(bytes, other.bytes);
  return *this;
}

HostMemory::~HostMemory() {
  if (address)
    ::munmap(address, bytes);
}

std::optional<HostMemory> HostMemory::allocate(uint64_t bytes) {
  HostMemory memory;
  if (bytes == 0)
    return memory;
  void *address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED)
    return std::nullopt;
  memory.address = static_cast<std::byte *>(address);
  memory.bytes = bytes;
  constexpr uint64_t hugePage = 2 << 20;
  if (bytes >= hugePage)
    ::madvise(address, bytes, MADV_HUGEPAGE);
  return memory;
}

/// The first number in a file, or the largest number where there is none.
static uint64_t readNumber(const char *path) {
  std::ifstream file(path);
  uint64_t value;
  return file >> value ? value : UINT64_MAX;
}

uint64_t dit::runtime::availableMemory() {
  uint64_t available = UINT64_MAX;
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    llvm::StringRef text(line);
    uint64_t kilobytes;
    if (text.consume_front("MemAvailable:") &&
        !text.trim().split(' ').first.getAsInteger(10, kilobytes))
      available = kilobytes * 1024;
  }
  uint64_t limit = readNumber("/sys/fs/cgroup/memory.max");
  uint64_t used = readNumber("/sys/fs/cgroup/memory.current");
  if (limit != UINT64_MAX && used != UINT64_MAX)
    available = std::min(available, limit - std::min(limit, used));
  return available;
}
