//===- WireReader.h - Protobuf's wire format, without copies ----*- C++ -*-===//
//
// A message is a run of fields: a tag (number, wire type) and a value. This
// reader yields them one by one as views into the bytes it was given, so that
// a file of any size can be walked in place. It knows nothing of schemas;
// strings, nested messages and packed lists are all `bytes`.
//
// Source: protobuf.dev/programming-guides/encoding.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FRONTENDS_ONNX_WIREREADER_H
#define DIT_FRONTENDS_ONNX_WIREREADER_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>

namespace dit::onnx {

/// How a field's value is laid out. Groups (3, 4) are refused.
enum class WireType : uint8_t {
  Varint = 0,
  Fixed64 = 1,
  Bytes = 2,
  Fixed32 = 5
};

/// One field of a message.
struct WireField {
  uint32_t number = 0;
  WireType type = WireType::Varint;
  /// The value of a Varint, Fixed64 or Fixed32 field.
  uint64_t value = 0;
  /// The content of a Bytes field; for Fixed32 and Fixed64 its raw bytes.
  llvm::StringRef bytes;
  /// Where the field's tag stands, from the start of the file.
  uint64_t offset = 0;
};

/// Walks the fields of one message.
class WireReader {
public:
  /// `message` must lie inside `file`, which only serves to report offsets.
  WireReader(llvm::StringRef message, llvm::StringRef file)
      : file(file), rest(message) {}

  /// Reads the next field; false at the end of the message. Malformed bytes
  /// are an ImportError that names the byte offset.
  llvm::Expected<bool> next(WireField &field);

  /// Reads one varint of at most 64 bits, as in a packed list.
  llvm::Expected<uint64_t> varint();

  bool atEnd() const { return rest.empty(); }
  /// Offset of the next byte from the start of the file.
  uint64_t offset() const { return rest.data() - file.data(); }

private:
  llvm::Expected<llvm::StringRef> take(uint64_t size, llvm::StringRef what);

  llvm::StringRef file;
  llvm::StringRef rest;
};

/// Calls `handle` for every field of `message`, stops at the first error.
llvm::Error
forEachField(llvm::StringRef message, llvm::StringRef file,
             llvm::function_ref<llvm::Error(const WireField &)> handle);

/// The malformed-file error "byte `offset`: `what`".
llvm::Error malformedAt(uint64_t offset, const llvm::Twine &what);

} // namespace dit::onnx

#endif
