//===- TensorFile.h - Tensors to be written to a file ---------------------===//
#ifndef DIT_RUNTIME_CHECKPOINT_TENSORFILE_H
#define DIT_RUNTIME_CHECKPOINT_TENSORFILE_H

#include "runtime/checkpoint/SafetensorsHeader.h"

#include <functional>

namespace dit::runtime {

/// A safetensors file that is not there yet: its tensors, and where their
/// values come from.
struct TensorFile {
  std::string name;
  std::vector<TensorEntry> tensors;
  /// Puts the values of tensor `index` into `bytes`, which has their size.
  std::function<llvm::Error(size_t index, llvm::MutableArrayRef<uint8_t> bytes)>
      values;

  /// Gives the file's bytes to `sink`, in order, a tensor at a time.
  llvm::Error
  stream(llvm::function_ref<llvm::Error(llvm::ArrayRef<uint8_t> bytes)> sink)
      const;
};

/// Writes the file to `path`, whole or not at all.
llvm::Error writeTensorFile(llvm::StringRef path, const TensorFile &file);

} // namespace dit::runtime

#endif // DIT_RUNTIME_CHECKPOINT_TENSORFILE_H
