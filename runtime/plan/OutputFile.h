//===- OutputFile.h - A file that appears whole or not at all -------------===//
#ifndef DIT_RUNTIME_PLAN_OUTPUTFILE_H
#define DIT_RUNTIME_PLAN_OUTPUTFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace dit::plan {

/// Writes to a temporary file beside `path` and renames it at the end; a file
/// that is not committed leaves nothing behind.
class OutputFile {
public:
  /// Exit::CannotCreate names the path and the system's reason.
  static llvm::Expected<OutputFile> create(llvm::StringRef path);

  OutputFile(OutputFile &&other) noexcept;
  OutputFile &operator=(OutputFile &&) = delete;
  ~OutputFile();

  /// Appends; Exit::InputOutput, for instance when the disk is full.
  llvm::Error append(llvm::ArrayRef<uint8_t> bytes);
  /// Writes over bytes that were appended before.
  llvm::Error overwrite(uint64_t offset, llvm::ArrayRef<uint8_t> bytes);
  /// Bytes appended so far.
  uint64_t size() const { return written; }
  /// fsync, rename to the path, fsync of the folder.
  llvm::Error commit();

private:
  OutputFile(int descriptor, std::string path, std::string temporary);
  llvm::Error writeAt(uint64_t offset, llvm::ArrayRef<uint8_t> bytes);

  int descriptor;
  std::string path;
  std::string temporary;
  uint64_t written = 0;
};

/// Writes a whole file in one go.
llvm::Error writeFile(llvm::StringRef path, llvm::ArrayRef<uint8_t> bytes);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_OUTPUTFILE_H
