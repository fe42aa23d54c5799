//===- Safetensors.h - Reading weight files ---------------------*- C++ -*-===//
//
// safetensors: a 64-bit little-endian header length, a JSON header that names
// each tensor's type, shape and byte range, the bytes. Files are mapped; a
// tensor is a span of the mapping until someone uses it.
//
//===----------------------------------------------------------------------===//
#ifndef FRONTENDS_WEIGHTS_SAFETENSORS_H
#define FRONTENDS_WEIGHTS_SAFETENSORS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dit {

/// A tensor of a weight file.
struct StoredTensor {
  std::string name;
  std::string type; ///< as safetensors spells it: F32, F16, BF16, F64, I64, …
  std::vector<int64_t> shape;
  llvm::StringRef bytes;             ///< row-major, little-endian
  std::shared_ptr<const void> owner; ///< keeps `bytes` alive
  /// A Linear's weight that lies [in, out], as ONNX has it, not [out, in].
  bool transposed = false;
};

/// Bytes of one element of a safetensors type; 0: no such type.
int64_t getElementBytes(llvm::StringRef type);

/// The tensors of one safetensors file whose bytes are `file`, kept alive by
/// `owner`. Headers over 100 MB, duplicate keys, ranges that overlap, leave
/// holes or do not match their shapes are errors of kind Malformed; a PyTorch
/// or zip file given by mistake is Refused (it may run code when unpickled).
llvm::Expected<std::vector<StoredTensor>>
parseSafetensors(llvm::StringRef file, std::shared_ptr<const void> owner);

/// The tensors of `path`: a .safetensors file, a `….safetensors.index.json` of
/// shards beside it, or a folder that holds one of either.
llvm::Expected<std::vector<StoredTensor>> openWeights(llvm::StringRef path);

} // namespace dit

#endif // FRONTENDS_WEIGHTS_SAFETENSORS_H
