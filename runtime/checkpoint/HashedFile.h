//===- HashedFile.h - A new file and the hash of its bytes ----------------===//
#ifndef DIT_RUNTIME_CHECKPOINT_HASHEDFILE_H
#define DIT_RUNTIME_CHECKPOINT_HASHEDFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace dit::runtime {

/// A file that is written once, from its begin to its end, for folders that
/// appear by a rename: there is no file of a temporary name in between.
class HashedFile {
public:
  /// Exit::CannotCreate where the path exists or cannot be made. `change` is
  /// called before each system call that changes something.
  static llvm::Expected<HashedFile>
  create(std::string path, std::function<void(llvm::StringRef)> change);

  HashedFile(HashedFile &&other) noexcept;
  HashedFile &operator=(HashedFile &&) = delete;
  ~HashedFile();

  /// Exit::InputOutput, for instance when the disk is full.
  llvm::Error append(llvm::ArrayRef<uint8_t> bytes);
  /// fsync and close; nothing can be appended after it.
  llvm::Error close();

  uint64_t size() const { return written; }
  /// XXH3-128 of all bytes so far, 32 hexadecimal digits.
  std::string hash() const;

private:
  struct State;
  HashedFile(std::string path, int descriptor,
             std::function<void(llvm::StringRef)> change);
  llvm::Error failed() const;

  std::string path;
  int descriptor;
  std::function<void(llvm::StringRef)> change;
  std::unique_ptr<State> state;
  uint64_t written = 0;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_CHECKPOINT_HASHEDFILE_H
