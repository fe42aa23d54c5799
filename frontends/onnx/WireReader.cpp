//===- WireReader.cpp - Protobuf's wire format, without copies ------------===//

#include "frontends/onnx/WireReader.h"
#include "frontends/onnx/ImportError.h"
#include "llvm/Support/Endian.h"

namespace dit::onnx {

llvm::Error malformedAt(uint64_t offset, const llvm::Twine &what) {
  return makeError(ErrorKind::Malformed,
                   "byte " + llvm::Twine(offset) + ": " + what);
}

llvm::Expected<uint64_t> WireReader::varint() {
  uint64_t start = offset(), value = 0;
  for (unsigned count = 0; count < 10; ++count) {
    if (rest.empty())
      return malformedAt(
          start, "the data ends inside a varint (is the file truncated?)");
    uint64_t byte = static_cast<unsigned char>(rest.front());
    rest = rest.drop_front();
    // The tenth byte holds bit 63 and nothing else.
    if (count == 9 && byte > 1)
      return malformedAt(start, "a varint is longer than 64 bits");
    value |= (byte & 0x7f) << (7 * count);
    if (byte < 0x80)
      return value;
  }
  llvm_unreachable("the tenth byte either ends the varint or is refused");
}

llvm::Expected<llvm::StringRef> WireReader::take(uint64_t size,
                                                 llvm::StringRef what) {
  if (size > rest.size())
    return malformedAt(offset(),
                       what + " of " + llvm::Twine(size) +
                           " bytes runs past the end of its message, where " +
                           llvm::Twine(rest.size()) +
                           " are left (is the file truncated?)");
  llvm::StringRef bytes = rest.take_front(size);
  rest = rest.drop_front(size);
  return bytes;
}

llvm::Expected<bool> WireReader::next(WireField &field) {
  if (rest.empty())
    return false;
  field = WireField();
  field.offset = offset();
  llvm::Expected<uint64_t> tag = varint();
  if (!tag)
    return tag.takeError();
  if (*tag >> 32 || *tag >> 3 == 0)
    return malformedAt(field.offset, "not a protobuf field tag (number " +
                                         llvm::Twine(*tag >> 3) + ")");
  field.number = *tag >> 3;
  unsigned type = *tag & 7;
  if (type == 0) {
    llvm::Expected<uint64_t> value = varint();
    if (!value)
      return value.takeError();
    field.value = *value;
    return true;
  }
  uint64_t size = type == 1 ? 8 : 4;
  if (type == 2) {
    llvm::Expected<uint64_t> length = varint();
    if (!length)
      return length.takeError();
    size = *length;
  } else if (type != 1 && type != 5) {
    return malformedAt(field.offset, "field " + llvm::Twine(field.number) +
                                         " has wire type " + llvm::Twine(type) +
                                         ", which ONNX does not use");
  }
  field.type = static_cast<WireType>(type);
  llvm::Expected<llvm::StringRef> bytes = take(size, "a field");
  if (!bytes)
    return bytes.takeError();
  field.bytes = *bytes;
  if (field.type == WireType::Fixed64)
    field.value = llvm::support::endian::read64le(bytes->data());
  else if (field.type == WireType::Fixed32)
    field.value = llvm::support::endian::read32le(bytes->data());
  return true;
}

llvm::Error
forEachField(llvm::StringRef message, llvm::StringRef file,
             llvm::function_ref<llvm::Error(const WireField &)> handle) {
  WireReader reader(message, file);
  WireField field;
  while (true) {
    llvm::Expected<bool> more = reader.next(field);
    if (!more)
      return more.takeError();
    if (!*more)
      return llvm::Error::success();
    if (llvm::Error error = handle(field))
      return error;
  }
}

} // namespace dit::onnx
