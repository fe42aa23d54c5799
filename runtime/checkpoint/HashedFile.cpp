//===- HashedFile.cpp - A new file and the hash of its bytes --------------===//

#include "runtime/checkpoint/HashedFile.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Format.h"

#include "llvm/ADT/Twine.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

struct HashedFile::State {
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> hash{
      XXH3_createState(), XXH3_freeState};
};

HashedFile::HashedFile(std::string path, int descriptor,
                       std::function<void(llvm::StringRef)> change)
    : path(std::move(path)), descriptor(descriptor), change(std::move(change)),
      state(std::make_unique<State>()) {
  XXH3_128bits_reset(state->hash.get());
}

HashedFile::HashedFile(HashedFile &&other) noexcept
    : path(std::move(other.path)), descriptor(other.descriptor),
      change(std::move(other.change)), state(std::move(other.state)),
      written(other.written) {
  other.descriptor = -1;
}

HashedFile::~HashedFile() {
  if (descriptor >= 0)
    ::close(descriptor);
}

llvm::Error HashedFile::failed() const {
  std::string reason = std::strerror(errno);
  return failure(Exit::InputOutput,
                 "cannot write '" + plan::escaped(path) + "': " + reason);
}

llvm::Expected<HashedFile>
HashedFile::create(std::string path,
                   std::function<void(llvm::StringRef)> change) {
  if (change)
    change("open");
  int descriptor =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    std::string reason = std::strerror(errno);
    return failure(Exit::CannotCreate,
                   "cannot create '" + plan::escaped(path) + "': " + reason);
  }
  return HashedFile(std::move(path), descriptor, std::move(change));
}

llvm::Error HashedFile::append(llvm::ArrayRef<uint8_t> bytes) {
  XXH3_128bits_update(state->hash.get(), bytes.data(), bytes.size());
  written += bytes.size();
  while (!bytes.empty()) {
    if (change)
      change("write");
    ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return failed();
    bytes = bytes.drop_front(count);
  }
  return llvm::Error::success();
}

llvm::Error HashedFile::close() {
  if (change)
    change("fsync");
  if (::fsync(descriptor) != 0)
    return failed();
  int closed = ::close(descriptor);
  descriptor = -1;
  return closed == 0 ? llvm::Error::success() : failed();
}

std::string HashedFile::hash() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state->hash.get()));
  plan::Hash bytes;
  std::memcpy(bytes.data(), canonical.digest, bytes.size());
  return plan::hexadecimal(bytes);
}
