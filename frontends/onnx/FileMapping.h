//===- FileMapping.h - A read-only file in memory ---------------*- C++ -*-===//
//
// Model files and their external data are mapped, never read: a weight is a
// span of the mapping until someone uses it.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FRONTENDS_ONNX_FILEMAPPING_H
#define DIT_FRONTENDS_ONNX_FILEMAPPING_H

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>

namespace dit::onnx {

/// A regular file mapped read-only; unmapped when the last owner is gone.
class FileMapping {
public:
  /// Maps `path`. What is not a readable regular file is an error of kind
  /// Missing; an empty file maps to no bytes.
  static llvm::Expected<std::shared_ptr<FileMapping>>
  open(llvm::StringRef path);

  ~FileMapping();
  FileMapping(const FileMapping &) = delete;
  FileMapping &operator=(const FileMapping &) = delete;

  llvm::StringRef bytes() const { return {data, size}; }

private:
  FileMapping(const char *data, size_t size) : data(data), size(size) {}

  const char *data;
  size_t size;
};

/// The files that hold a model's external data, each mapped once.
///
/// A location is relative to the model's folder: the one the path was given
/// with, or, where the model is a symbolic link, the one it points into (in a
/// Hugging Face cache both are links into one folder of blobs). It may not
/// leave them.
class ExternalFiles {
public:
  /// `modelPath` is the path that the user gave.
  explicit ExternalFiles(llvm::StringRef modelPath);

  /// The mapping of the file at `location`. Absolute paths, `..`, links out of
  /// the folder, pipes and devices are Refused; no such file is Missing.
  llvm::Expected<std::shared_ptr<FileMapping>> open(llvm::StringRef location);

private:
  std::string givenFolder, realFolder;
  llvm::StringMap<std::shared_ptr<FileMapping>> mappings;
};

} // namespace dit::onnx

#endif
