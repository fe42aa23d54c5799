//===- SafetensorsHeader.h - The text that begins a safetensors file ------===//
//
// { "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ... }
// and perhaps "__metadata__": {"key": "text"}. Nothing else is allowed, so the
// text is read directly: no tree of JSON values is built from a file that
// could make it fifty times as large as itself.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_CHECKPOINT_SAFETENSORSHEADER_H
#define DIT_RUNTIME_CHECKPOINT_SAFETENSORSHEADER_H

#include "runtime/plan/ElementType.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace dit::runtime {

/// One tensor, as a header describes it.
struct TensorEntry {
  std::string name;
  plan::ElementType type = plan::ElementType::F32;
  std::vector<int64_t> shape;
  uint64_t begin = 0; // of its bytes, from the end of the header
  uint64_t end = 0;
};

/// Reads a header's text. Exit::Malformed with the byte where it is no header,
/// names a tensor twice or has a type and shape that its range does not have;
/// Exit::Unsupported lists types that plans do not have.
llvm::Expected<std::vector<TensorEntry>>
parseSafetensorsHeader(llvm::StringRef text);

/// The first bytes of a file with these tensors, in this order: the length and
/// the header, padded with blanks to a multiple of 8. Sets their ranges.
std::vector<uint8_t>
encodeSafetensorsHeader(llvm::MutableArrayRef<TensorEntry> tensors);

} // namespace dit::runtime

#endif // DIT_RUNTIME_CHECKPOINT_SAFETENSORSHEADER_H
