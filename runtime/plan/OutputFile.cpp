//===- OutputFile.cpp - A file that appears whole or not at all -----------===//

#include "runtime/plan/OutputFile.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Path.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace dit::plan;

static llvm::Error systemFailure(Exit code, llvm::StringRef what,
                                 llvm::StringRef path) {
  std::string reason = std::strerror(errno);
  return failure(code, what + " '" + escaped(path) + "': " + reason);
}

OutputFile::OutputFile(int descriptor, std::string path, std::string temporary)
    : descriptor(descriptor), path(std::move(path)),
      temporary(std::move(temporary)) {}

OutputFile::OutputFile(OutputFile &&other) noexcept
    : descriptor(other.descriptor), path(std::move(other.path)),
      temporary(std::move(other.temporary)), written(other.written) {
  other.descriptor = -1;
}

OutputFile::~OutputFile() {
  if (descriptor < 0)
    return;
  ::close(descriptor);
  ::unlink(temporary.c_str());
}

llvm::Expected<OutputFile> OutputFile::create(llvm::StringRef path) {
  struct stat status;
  if (::stat(path.str().c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    return systemFailure(Exit::CannotCreate, "cannot create", path);
  }
  std::string temporary = (path + ".partial-XXXXXX").str();
  int descriptor = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (descriptor < 0)
    return systemFailure(Exit::CannotCreate, "cannot create", path);
  // mkostemp makes the file private; give it what open() would have given.
  mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(descriptor, 0666 & ~mask);
  return OutputFile(descriptor, path.str(), std::move(temporary));
}

llvm::Error OutputFile::writeAt(uint64_t offset,
                                llvm::ArrayRef<uint8_t> bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::pwrite(descriptor, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return systemFailure(Exit::InputOutput, "cannot write", path);
    bytes = bytes.drop_front(count);
    offset += count;
  }
  return llvm::Error::success();
}

llvm::Error OutputFile::append(llvm::ArrayRef<uint8_t> bytes) {
  if (llvm::Error error = writeAt(written, bytes))
    return error;
  written += bytes.size();
  return llvm::Error::success();
}

llvm::Error OutputFile::overwrite(uint64_t offset,
                                  llvm::ArrayRef<uint8_t> bytes) {
  assert(offset + bytes.size() <= written);
  return writeAt(offset, bytes);
}

llvm::Error OutputFile::commit() {
  if (::fsync(descriptor) != 0)
    return systemFailure(Exit::InputOutput, "cannot write", path);
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return systemFailure(Exit::CannotCreate, "cannot create", path);
  int closed = ::close(descriptor);
  descriptor = -1;
  if (closed != 0)
    return systemFailure(Exit::InputOutput, "cannot write", path);
  llvm::StringRef folder = llvm::sys::path::parent_path(path);
  int handle = ::open(folder.empty() ? "." : folder.str().c_str(),
                      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle >= 0) {
    // Some file systems cannot sync a folder; the file itself is safe.
    ::fsync(handle);
    ::close(handle);
  }
  return llvm::Error::success();
}

llvm::Error dit::plan::writeFile(llvm::StringRef path,
                                 llvm::ArrayRef<uint8_t> bytes) {
  llvm::Expected<OutputFile> file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  if (llvm::Error error = file->append(bytes))
    return error;
  return file->commit();
}
