//===- RunFolder.cpp - A training run's folder of checkpoints -------------===//
//
// The order of the calls is the point:
//
//   1. mkdir .partial-step-N; write the files, the manifest last; fsync each
//   2. fsync .partial-step-N: its entries are on the disk
//   3. rename to step-N (or exchange with the one that is there), fsync run/
//   4. symlink .partial-latest, rename to latest, fsync run/
//
//===----------------------------------------------------------------------===//

#include "runtime/checkpoint/RunFolder.h"

#include "runtime/checkpoint/HashedFile.h"
#include "runtime/plan/Failure.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static constexpr llvm::StringLiteral stepPrefix = "step-";
static constexpr llvm::StringLiteral partialPrefix = ".partial-";
static constexpr llvm::StringLiteral removedPrefix = ".removed-";
static constexpr llvm::StringLiteral latestName = "latest";
static constexpr llvm::StringLiteral samplesName = "samples";

RunFolder::RunFolder(RunFolder &&other) noexcept
    : folder(std::move(other.folder)), descriptor(other.descriptor),
      change(std::move(other.change)) {
  other.descriptor = -1;
}

RunFolder::~RunFolder() {
  if (descriptor >= 0)
    ::close(descriptor);
}

std::string RunFolder::place(llvm::StringRef name) const {
  return folder + "/" + name.str();
}

llvm::Error RunFolder::systemError(llvm::StringRef call,
                                   llvm::StringRef path) const {
  std::string reason = std::strerror(errno);
  return failure(Exit::InputOutput,
                 call + " '" + plan::escaped(path) + "': " + reason);
}

llvm::Expected<RunFolder> RunFolder::open(llvm::StringRef path) {
  std::string folder = path.rtrim('/').str();
  if (folder.empty())
    folder = "/";
  auto cannot = [&](llvm::StringRef reason) {
    return failure(Exit::CannotCreate, "cannot train into '" +
                                           plan::escaped(folder) +
                                           "': " + reason);
  };
  if (std::error_code error = llvm::sys::fs::create_directories(folder))
    return cannot(error.message());
  int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    return cannot(std::strerror(errno));
  RunFolder run(std::move(folder), descriptor);
  // A file system without locks has none to respect.
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return cannot("another process trains into it");
  if (::faccessat(descriptor, ".", W_OK | X_OK, AT_EACCESS) != 0)
    return cannot(std::strerror(errno));
  if (llvm::Error error = run.removeLeftovers())
    return std::move(error);
  return run;
}

//===----------------------------------------------------------------------===//
// Looking
//===----------------------------------------------------------------------===//

/// The names in a folder, sorted.
static std::vector<std::string> namesIn(llvm::StringRef folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator entry(folder, error, false), end;
       entry != end && !error; entry.increment(error))
    names.push_back(llvm::sys::path::filename(entry->path()).str());
  llvm::sort(names);
  return names;
}

/// The N of "step-N".
static std::optional<int64_t> stepOf(llvm::StringRef name) {
  int64_t step;
  if (!name.consume_front(stepPrefix) || name.empty() ||
      !llvm::isDigit(name[0]) || name.getAsInteger(10, step))
    return std::nullopt;
  return step;
}

std::vector<CheckpointEntry>
dit::runtime::checkpointsIn(llvm::StringRef folder) {
  using Entry = CheckpointEntry;
  std::vector<Entry> entries;
  for (const std::string &name : namesIn(folder)) {
    std::optional<int64_t> step = stepOf(name);
    if (!step)
      continue;
    Entry entry{(folder + "/" + name).str(), *step, -1};
    if (llvm::Expected<Manifest> manifest = readManifest(entry.path))
      entry.number = manifest->number;
    else
      llvm::consumeError(manifest.takeError());
    entries.push_back(std::move(entry));
  }
  llvm::sort(entries, [](const Entry &a, const Entry &b) {
    return std::pair(b.number, b.step) < std::pair(a.number, a.step);
  });
  return entries;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

/// fsync of a folder. Some file systems cannot; the files in it are safe.
llvm::Error RunFolder::synchronize(llvm::StringRef path) const {
  int handle = ::open(path.str().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0)
    return systemError("cannot open", path);
  announce("fsync folder");
  int failed = ::fsync(handle);
  int reason = errno;
  ::close(handle);
  errno = reason;
  if (failed && reason != EINVAL && reason != EROFS)
    return systemError("cannot write", path);
  return llvm::Error::success();
}

/// Writes all files, then synchronizes them: file systems with a journal do
/// most of the work for all of them with the first.
llvm::Error RunFolder::writeFiles(llvm::StringRef partial, Manifest &manifest,
                                  llvm::ArrayRef<TensorFile> files) const {
  std::vector<HashedFile> written;
  auto create = [&](const std::string &name) -> llvm::Error {
    llvm::Expected<HashedFile> file =
        HashedFile::create((partial + "/" + name).str(), change);
    if (!file)
      return file.takeError();
    written.push_back(std::move(*file));
    return llvm::Error::success();
  };
  manifest.files.clear();
  for (const TensorFile &tensors : files) {
    if (llvm::Error error = create(tensors.name))
      return error;
    HashedFile &file = written.back();
    if (llvm::Error error = tensors.stream(
            [&](llvm::ArrayRef<uint8_t> bytes) { return file.append(bytes); }))
      return error;
    manifest.files.push_back({tensors.name, file.size(), file.hash()});
  }
  std::string text = encodeManifest(manifest);
  if (llvm::Error error = create("manifest.json"))
    return error;
  if (llvm::Error error = written.back().append(
          {reinterpret_cast<const uint8_t *>(text.data()), text.size()}))
    return error;
  for (HashedFile &file : written)
    if (llvm::Error error = file.close())
      return error;
  return synchronize(partial);
}

/// The partial folder takes its name; what had it is in `partial` then.
llvm::Error RunFolder::appear(llvm::StringRef partial,
                              llvm::StringRef name) const {
  std::string from = partial.str(), to = place(name);
  announce("rename checkpoint");
  if (::rename(from.c_str(), to.c_str()) == 0)
    return synchronize(folder);
  if (errno != ENOTEMPTY && errno != EEXIST)
    return systemError("cannot create", to);
  announce("exchange checkpoints");
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(),
                  RENAME_EXCHANGE) == 0)
    return synchronize(folder);
  if (errno != EINVAL && errno != ENOSYS)
    return systemError("cannot replace", to);
  // A file system that cannot exchange: for a moment the older checkpoints
  // are all there is.
  std::string away = place(removedPrefix.str() + name.str());
  announce("rename old checkpoint");
  if (::rename(to.c_str(), away.c_str()) != 0)
    return systemError("cannot replace", to);
  announce("rename checkpoint");
  if (::rename(from.c_str(), to.c_str()) != 0)
    return systemError("cannot create", to);
  if (llvm::Error error = synchronize(folder))
    return error;
  return removeTree(away);
}

llvm::Error RunFolder::pointLatest(llvm::StringRef name) const {
  std::string link = place(partialPrefix.str() + latestName.str());
  announce("symlink latest");
  if (::symlink(name.str().c_str(), link.c_str()) != 0)
    return systemError("cannot create", link);
  announce("rename latest");
  if (::rename(link.c_str(), place(latestName).c_str()) != 0)
    return systemError("cannot create", place(latestName));
  return synchronize(folder);
}

llvm::Error RunFolder::write(Manifest manifest,
                             llvm::ArrayRef<TensorFile> files) {
  manifest.number = 1;
  for (const Entry &entry : checkpoints())
    manifest.number = std::max(manifest.number, entry.number + 1);
  std::string name =
      llvm::formatv("{0}{1,0+10}", stepPrefix, manifest.step).str();
  std::string partial = place(partialPrefix.str() + name);
  announce("mkdir");
  if (::mkdir(partial.c_str(), 0777) != 0)
    return systemError("cannot create", partial);
  llvm::Error error = writeFiles(partial, manifest, files);
  if (!error)
    error = appear(partial, name);
  if (error)
    return llvm::joinErrors(std::move(error), removeTree(partial));
  if (llvm::Error failed = pointLatest(name))
    return failed;
  return removeTree(partial);
}

//===----------------------------------------------------------------------===//
// Removing
//===----------------------------------------------------------------------===//

/// Removes a checkpoint's folder, whose files lie flat, or a link.
llvm::Error RunFolder::removeTree(llvm::StringRef path) const {
  struct stat status;
  std::string root = path.str();
  if (::lstat(root.c_str(), &status) != 0)
    return errno == ENOENT ? llvm::Error::success()
                           : systemError("cannot remove", root);
  if (!S_ISDIR(status.st_mode)) {
    announce("unlink");
    return ::unlink(root.c_str()) == 0 ? llvm::Error::success()
                                       : systemError("cannot remove", root);
  }
  for (const std::string &name : namesIn(root)) {
    std::string file = root + "/" + name;
    announce("unlink");
    if (::unlink(file.c_str()) != 0)
      return systemError("cannot remove", file);
  }
  announce("rmdir");
  if (::rmdir(root.c_str()) != 0)
    return systemError("cannot remove", root);
  return llvm::Error::success();
}

llvm::Error RunFolder::removeLeftovers() const {
  for (llvm::StringRef name : namesIn(folder))
    if (name.starts_with(partialPrefix.str() + stepPrefix.str()) ||
        name == partialPrefix.str() + latestName.str() ||
        name.starts_with(removedPrefix.str() + stepPrefix.str()))
      if (llvm::Error error = removeTree(place(name)))
        return error;
  // Pictures are files that appear by a rename, too (OutputFile).
  for (const std::string &name : namesIn(place(samplesName)))
    if (name.find(partialPrefix) != std::string::npos)
      if (llvm::Error error =
              removeTree(place((samplesName + "/" + name).str())))
        return error;
  return llvm::Error::success();
}

llvm::Error RunFolder::keepNewest(int64_t count) {
  std::vector<Entry> entries = checkpoints();
  for (const Entry &entry :
       llvm::drop_begin(entries, std::min<size_t>(count, entries.size()))) {
    std::string away = place(removedPrefix.str() +
                             llvm::sys::path::filename(entry.path).str());
    announce("rename old checkpoint");
    if (::rename(entry.path.c_str(), away.c_str()) != 0)
      return systemError("cannot remove", entry.path);
    if (llvm::Error error = removeTree(away))
      return error;
  }
  return llvm::Error::success();
}
