//===- FileMapping.cpp - A read-only file in memory -----------------------===//

#include "frontends/onnx/FileMapping.h"
#include "frontends/onnx/ImportError.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace dit::onnx {

static llvm::Error cannotRead(llvm::StringRef path, int code) {
  return makeError(ErrorKind::Missing,
                   quote(path) + " cannot be read: " +
                       std::generic_category().message(code));
}

llvm::Expected<std::shared_ptr<FileMapping>>
FileMapping::open(llvm::StringRef path) {
  // Without O_NONBLOCK a pipe would wait for its writer.
  int descriptor =
      ::open(path.str().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0)
    return cannotRead(path, errno);
  struct stat status;
  const char *data = nullptr;
  int failure = ::fstat(descriptor, &status) < 0 ? errno : 0;
  bool regular = !failure && S_ISREG(status.st_mode);
  bool folder = !failure && S_ISDIR(status.st_mode);
  size_t size = regular ? status.st_size : 0;
  if (size) {
    void *mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (mapped == MAP_FAILED)
      failure = errno;
    else
      data = static_cast<const char *>(mapped);
  }
  ::close(descriptor);
  if (failure)
    return cannotRead(path, failure);
  if (!regular)
    return makeError(ErrorKind::Missing,
                     quote(path) + " is " +
                         (folder ? "a folder" : "not a regular file") +
                         "; name the .onnx file itself");
  return std::shared_ptr<FileMapping>(new FileMapping(data, size));
}

FileMapping::~FileMapping() {
  if (size)
    ::munmap(const_cast<char *>(data), size);
}

static std::string realPath(const llvm::Twine &path) {
  llvm::SmallString<256> result;
  return llvm::sys::fs::real_path(path, result) ? "" : result.str().str();
}

/// True if the real path `path` lies in the real folder `folder`.
static bool isInside(llvm::StringRef path, llvm::StringRef folder) {
  return !folder.empty() && path.consume_front(folder) &&
         (folder.ends_with("/") || path.starts_with("/"));
}

ExternalFiles::ExternalFiles(llvm::StringRef modelPath) {
  llvm::StringRef parent = llvm::sys::path::parent_path(modelPath);
  givenFolder = realPath(parent.empty() ? "." : parent);
  realFolder = llvm::sys::path::parent_path(realPath(modelPath)).str();
}

llvm::Expected<std::shared_ptr<FileMapping>>
ExternalFiles::open(llvm::StringRef location) {
  auto refused = [&](const llvm::Twine &why) {
    return makeError(ErrorKind::Refused, "external data at " + quote(location) +
                                             " is refused: " + why);
  };
  if (location.empty() || location.contains('\0'))
    return makeError(ErrorKind::Malformed,
                     "external data has no usable location (" +
                         quote(location) + ")");
  if (auto known = mappings.find(location); known != mappings.end())
    return known->second;
  if (llvm::sys::path::is_absolute(location))
    return refused(
        "the path is absolute; it must be relative to the model's folder");
  for (auto part = llvm::sys::path::begin(location),
            end = llvm::sys::path::end(location);
       part != end; ++part)
    if (*part == "..")
      return refused(
          "the path contains '..'; it must stay in the model's folder");

  std::string path = realPath(givenFolder + "/" + location);
  if (path.empty())
    path = realPath(realFolder + "/" + location);
  if (path.empty())
    return makeError(ErrorKind::Missing,
                     "the external data " + quote(location) +
                         " is not in the model's folder " + quote(givenFolder) +
                         "; copy it beside the model");
  if (!isInside(path, givenFolder) && !isInside(path, realFolder))
    return refused("it is a link out of the model's folder, to " + quote(path));
  if (!llvm::sys::fs::is_regular_file(path))
    return refused("it is not a regular file");
  llvm::Expected<std::shared_ptr<FileMapping>> mapping =
      FileMapping::open(path);
  if (mapping)
    mappings[location] = *mapping;
  return mapping;
}

} // namespace dit::onnx
