//===- Device.cpp - Where a plan runs -------------------------------------===//

#include "runtime/devices/Device.h"

#include <chrono>

using namespace dit::runtime;

Command::~Command() = default;
Arrival::~Arrival() = default;
Device::~Device() = default;

llvm::Expected<std::unique_ptr<Command>>
Device::record(llvm::ArrayRef<Command *>, size_t) {
  return nullptr;
}

llvm::Expected<std::vector<Device::Span>>
Device::runTimed(llvm::ArrayRef<Command *> commands) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point start = Clock::now();
  auto now = [&] {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::vector<Span> spans;
  for (Command *command : commands) {
    double begin = now();
    if (llvm::Error error = enqueue(*command))
      return std::move(error);
    if (llvm::Error error = synchronize())
      return std::move(error);
    spans.push_back({begin, now()});
  }
  return spans;
}

namespace {

/// Bytes that were there at once.
class Arrived : public Arrival {
public:
  explicit Arrived(std::vector<std::vector<uint8_t>> parts)
      : parts(std::move(parts)) {}
  llvm::Expected<std::vector<std::vector<uint8_t>>> await() override {
    return std::move(parts);
  }

private:
  std::vector<std::vector<uint8_t>> parts;
};

} // namespace

llvm::Expected<std::unique_ptr<Arrival>>
Device::startCopyOut(llvm::ArrayRef<Part> parts) {
  std::vector<std::vector<uint8_t>> read;
  for (const Part &part : parts)
    if (llvm::Error error =
            copyOut(part.global, 0, read.emplace_back(part.bytes)))
      return std::move(error);
  return std::make_unique<Arrived>(std::move(read));
}
