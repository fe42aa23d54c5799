//===- Safetensors.h - Files of named tensors -----------------------------===//
//
// A 64-bit little-endian header length, a JSON header that names each tensor's
// type, shape and byte range, the bytes, without holes. Files are mapped, a
// tensor is a span of the mapping.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_CHECKPOINT_SAFETENSORS_H
#define DIT_RUNTIME_CHECKPOINT_SAFETENSORS_H

#include "runtime/checkpoint/TensorFile.h"
#include "runtime/plan/Reader.h"

#include "llvm/ADT/StringMap.h"

#include <memory>

namespace dit::runtime {

/// The tensors of one file or of the shards of one model.
class Safetensors {
public:
  /// A tensor's values, row-major and little-endian.
  struct Tensor {
    std::string name;
    plan::ElementType type;
    std::vector<int64_t> shape;
    llvm::ArrayRef<uint8_t> bytes;
  };

  /// The tensors of bytes in memory, which must outlive them. Exit::Malformed
  /// for headers over 100 MB, duplicate names, overlaps and holes;
  /// Exit::Refused for a pickle or a zip archive given by mistake.
  static llvm::Expected<Safetensors> decode(llvm::ArrayRef<uint8_t> file);

  /// Maps a .safetensors file, or all shards that a .safetensors.index.json
  /// names. Errors begin with the path.
  static llvm::Expected<Safetensors> open(llvm::StringRef path);

  /// A file that is made in memory, which the tensors keep alive.
  static llvm::Expected<Safetensors> collect(const TensorFile &file);

  /// In the order of the file.
  llvm::ArrayRef<Tensor> tensors() const { return all; }

  /// The tensor of this name, or null.
  const Tensor *find(llvm::StringRef name) const;

private:
  llvm::Error openShards(llvm::StringRef path);
  void add(Safetensors other);

  std::vector<std::shared_ptr<const void>> files; // whose bytes these are
  std::vector<Tensor> all;
  llvm::StringMap<size_t> names;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_CHECKPOINT_SAFETENSORS_H
