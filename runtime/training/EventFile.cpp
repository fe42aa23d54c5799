//===- EventFile.cpp - TensorBoard's event files --------------------------===//

#include "runtime/training/EventFile.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/Endian.h"

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

//===----------------------------------------------------------------------===//
// Records
//===----------------------------------------------------------------------===//

uint32_t dit::runtime::crc32c(llvm::StringRef bytes) {
  static const std::array<uint32_t, 256> table = [] {
    constexpr uint32_t polynomial = 0x82f63b78; // reflected
    std::array<uint32_t, 256> entries;
    for (uint32_t i = 0; i != 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit != 8; ++bit)
        value = value >> 1 ^ (value & 1 ? polynomial : 0);
      entries[i] = value;
    }
    return entries;
  }();
  uint32_t crc = ~uint32_t(0);
  for (unsigned char byte : bytes)
    crc = crc >> 8 ^ table[(crc ^ byte) & 255];
  return ~crc;
}

uint32_t dit::runtime::maskedCrc32c(llvm::StringRef bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8;
}

/// A number's bytes, little-endian.
template <typename T>
static std::string littleEndian(T value) {
  std::string bytes(sizeof(T), '\0');
  llvm::support::endian::write<T, llvm::endianness::little>(bytes.data(),
                                                            value);
  return bytes;
}

std::string dit::runtime::encodeRecord(llvm::StringRef message) {
  std::string length = littleEndian<uint64_t>(message.size());
  return length + littleEndian(maskedCrc32c(length)) + message.str() +
         littleEndian(maskedCrc32c(message));
}

//===----------------------------------------------------------------------===//
// Messages
//===----------------------------------------------------------------------===//

static std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7)
    bytes += static_cast<char>(value | 128);
  return bytes + static_cast<char>(value);
}

/// The wire types of protobuf.
enum WireType : uint64_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

static std::string key(uint64_t field, WireType type) {
  return varint(field << 3 | type);
}

static std::string number(uint64_t field, uint64_t value) {
  return key(field, Varint) + varint(value);
}

static std::string bytes(uint64_t field, llvm::StringRef value) {
  return key(field, Bytes) + varint(value.size()) + value.str();
}

static std::string eventBegin(double wallTime, int64_t step) {
  return key(1, Fixed64) + littleEndian(std::bit_cast<uint64_t>(wallTime)) +
         number(2, static_cast<uint64_t>(step));
}

std::string dit::runtime::encodeFileVersion(double wallTime) {
  return key(1, Fixed64) + littleEndian(std::bit_cast<uint64_t>(wallTime)) +
         bytes(3, "brain.Event:2");
}

std::string dit::runtime::encodeSessionStart(double wallTime, int64_t step) {
  constexpr uint64_t start = 1;
  return eventBegin(wallTime, step) + bytes(7, number(1, start));
}

std::string dit::runtime::encodeScalars(
    double wallTime, int64_t step,
    llvm::ArrayRef<std::pair<std::string, double>> scalars) {
  std::string summary;
  for (const auto &[tag, value] : scalars)
    summary += bytes(1, bytes(1, tag) + key(2, Fixed32) +
                            littleEndian(std::bit_cast<uint32_t>(
                                static_cast<float>(value))));
  return eventBegin(wallTime, step) + bytes(5, summary);
}

std::string dit::runtime::encodeImage(double wallTime, int64_t step,
                                      llvm::StringRef tag, int64_t width,
                                      int64_t height, int64_t channels,
                                      llvm::ArrayRef<uint8_t> png) {
  llvm::StringRef file(reinterpret_cast<const char *>(png.data()), png.size());
  std::string image = number(1, height) + number(2, width) +
                      number(3, channels) + bytes(4, file);
  return eventBegin(wallTime, step) +
         bytes(5, bytes(1, bytes(1, tag) + bytes(4, image)));
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

static double now() {
  return std::chrono::duration<double>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

EventFile::EventFile(EventFile &&other) noexcept
    : path(std::move(other.path)), descriptor(other.descriptor) {
  other.descriptor = -1;
}

EventFile::~EventFile() {
  if (descriptor >= 0)
    ::close(descriptor);
}

llvm::Expected<EventFile> EventFile::create(llvm::StringRef folder,
                                            int64_t firstStep) {
  char host[256] = "localhost";
  ::gethostname(host, sizeof(host) - 1);
  double begin = now();
  std::string path = (folder + "/events.out.tfevents." +
                      llvm::Twine(static_cast<int64_t>(begin)) + "." + host +
                      "." + llvm::Twine(static_cast<int64_t>(::getpid())))
                         .str();
  int descriptor =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    std::string reason = std::strerror(errno);
    return failure(Exit::CannotCreate,
                   "cannot create '" + plan::escaped(path) + "': " + reason);
  }
  EventFile file(std::move(path), descriptor);
  if (llvm::Error error = file.append(encodeFileVersion(begin)))
    return std::move(error);
  if (firstStep)
    if (llvm::Error error = file.append(encodeSessionStart(begin, firstStep)))
      return std::move(error);
  return file;
}

llvm::Error EventFile::append(llvm::StringRef message) {
  std::string record = encodeRecord(message);
  llvm::StringRef rest = record;
  while (!rest.empty()) {
    ssize_t count = ::write(descriptor, rest.data(), rest.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0) {
      std::string reason = std::strerror(errno);
      return failure(Exit::InputOutput,
                     "cannot write '" + plan::escaped(path) + "': " + reason);
    }
    rest = rest.drop_front(count);
  }
  return llvm::Error::success();
}

llvm::Error
EventFile::addScalars(int64_t step,
                      llvm::ArrayRef<std::pair<std::string, double>> scalars) {
  return append(encodeScalars(now(), step, scalars));
}

llvm::Error EventFile::addImage(int64_t step, llvm::StringRef tag,
                                int64_t width, int64_t height, int64_t channels,
                                llvm::ArrayRef<uint8_t> png) {
  return append(encodeImage(now(), step, tag, width, height, channels, png));
}
