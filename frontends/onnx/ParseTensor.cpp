//===- ParseTensor.cpp - Tensors and where their data is ------------------===//
//
// A tensor's elements are raw bytes, typed fields, or in another file; in the
// end `data` is a span of exactly the bytes that type and dims ask for.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/FileMapping.h"
#include "frontends/onnx/Parser.h"
#include "llvm/Support/Endian.h"

namespace dit::onnx {

//===----------------------------------------------------------------------===//
// Small messages
//===----------------------------------------------------------------------===//

llvm::Error ModelParser::parseProperty(Field field,
                                       std::vector<Property> &properties) {
  if (llvm::Error error = expect(field, WireType::Bytes, "metadata"))
    return error;
  llvm::Expected<Property *> property = append(field, properties);
  if (!property)
    return property.takeError();
  return each(field.bytes, [&](Field inner) -> llvm::Error {
    if (inner.number == 1)
      return text(inner, "a metadata key", (*property)->key);
    if (inner.number == 2)
      return text(inner, "a metadata value", (*property)->value);
    return llvm::Error::success();
  });
}

llvm::Error ModelParser::parseIntegers(Field field,
                                       std::vector<int64_t> &integers) {
  if (field.type == WireType::Varint) {
    if (llvm::Error error = charge(field, sizeof(int64_t)))
      return error;
    integers.push_back(field.value);
    return llvm::Error::success();
  }
  if (llvm::Error error = expect(field, WireType::Bytes, "a list of integers"))
    return error;
  if (llvm::Error error = charge(field, field.bytes.size() * sizeof(int64_t)))
    return error;
  WireReader reader(field.bytes, file);
  while (!reader.atEnd()) {
    llvm::Expected<uint64_t> value = reader.varint();
    if (!value)
      return value.takeError();
    integers.push_back(*value);
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

llvm::Error ModelParser::parseTyped(Field field, TypedData &typed) {
  if (typed.field && typed.field != field.number)
    return malformedAt(field.offset, "a tensor has two kinds of typed data");
  typed.field = field.number;
  ++typed.pieces;
  if (field.number == 6)
    return llvm::Error::success(); // strings: never read
  if (field.number != 4 && field.number != 10) {
    std::vector<int64_t> values;
    if (llvm::Error error = parseIntegers(field, values))
      return error;
    typed.integers.insert(typed.integers.end(), values.begin(), values.end());
    return llvm::Error::success();
  }
  if (field.type == WireType::Varint)
    return malformedAt(field.offset, "typed data has the wrong wire type");
  if (typed.pieces == 1) {
    typed.whole = field.bytes;
    return llvm::Error::success();
  }
  if (llvm::Error error =
          charge(field, field.bytes.size() +
                            (typed.pieces == 2 ? typed.whole.size() : 0)))
    return error;
  if (typed.pieces == 2)
    typed.floats.assign(typed.whole.begin(), typed.whole.end());
  typed.floats.insert(typed.floats.end(), field.bytes.begin(),
                      field.bytes.end());
  return llvm::Error::success();
}

llvm::Error ModelParser::parseExternal(Field field, ExternalLocation &outside) {
  std::vector<Property> entry;
  if (llvm::Error error = parseProperty(field, entry))
    return error;
  llvm::StringRef key = entry[0].key, value = entry[0].value;
  if (key == "location") {
    outside.location = value;
    return llvm::Error::success();
  }
  if (key != "offset" && key != "length")
    return llvm::Error::success(); // checksum and what else may come
  uint64_t number;
  if (value.getAsInteger(10, number))
    return malformedAt(field.offset,
                       "external data has the " + key + " " + quote(value) +
                           ", which is not a whole number from 0 to 2^64 − 1");
  (key == "offset" ? outside.offset : outside.length) = number;
  return llvm::Error::success();
}

llvm::Error ModelParser::parseTensor(Field field, Tensor &tensor) {
  if (llvm::Error error = expect(field, WireType::Bytes, "a tensor"))
    return error;
  tensor.offset = field.offset;
  TypedData typed;
  ExternalLocation outside;
  std::optional<llvm::StringRef> raw;
  int64_t type = 0, place = 0;
  llvm::Error failed = each(field.bytes, [&](Field inner) -> llvm::Error {
    switch (inner.number) {
    case 1:
      return parseIntegers(inner, tensor.dims);
    case 2:
      return integer(inner, "a tensor's data_type", type);
    case 3:
      return malformedAt(
          inner.offset,
          "a tensor is stored in segments, which no exporter writes");
    case 4:
    case 5:
    case 6:
    case 7:
    case 10:
    case 11:
      return parseTyped(inner, typed);
    case 8:
      return text(inner, "a tensor's name", tensor.name);
    case 9:
      raw.emplace();
      return text(inner, "raw_data", *raw);
    case 13:
      return parseExternal(inner, outside);
    case 14:
      return integer(inner, "data_location", place);
    case 16:
      return parseProperty(inner, tensor.metadata);
    default:
      return llvm::Error::success();
    }
  });
  if (failed)
    return failed;
  tensor.type = static_cast<ElementType>(static_cast<int32_t>(type));
  failed = finishTensor(tensor, typed, raw, place == 1 ? &outside : nullptr);
  return failed ? addContext(std::move(failed), "tensor " + quote(tensor.name))
                : llvm::Error::success();
}

llvm::Error ModelParser::finishTensor(Tensor &tensor, TypedData &typed,
                                      std::optional<llvm::StringRef> raw,
                                      const ExternalLocation *outside) {
  uint64_t count = 1;
  bool empty = false;
  for (int64_t dim : tensor.dims) {
    if (dim < 0)
      return malformedAt(tensor.offset,
                         "a dimension is negative: " + llvm::Twine(dim));
    empty |= dim == 0;
    if (dim &&
        __builtin_mul_overflow(count, static_cast<uint64_t>(dim), &count))
      count = UINT64_MAX;
    if (count >> 48)
      return malformedAt(tensor.offset, "the dimensions' product overflows");
  }
  count = empty ? 0 : count;
  if ((raw && typed.field) || (outside && (raw || typed.field)))
    return malformedAt(
        tensor.offset,
        "it has its data twice (two of raw, typed and external)");
  unsigned width = sizeOf(tensor.type);
  if (!width) // Kept for the list of unsupported things, should it be used.
    return llvm::Error::success();
  if (outside)
    return mapExternal(tensor, *outside, count * width);
  if (typed.field && typed.pieces)
    return finishTyped(tensor, typed, count);
  tensor.data = raw.value_or("");
  tensor.owner = owner;
  if (tensor.data.size() == count * width)
    return llvm::Error::success();
  return malformedAt(tensor.offset, "the data has " +
                                        llvm::Twine(tensor.data.size()) +
                                        " bytes, its type and shape need " +
                                        llvm::Twine(count * width));
}

/// The field of TensorProto in which elements of this type are stored.
static unsigned typedFieldOf(ElementType type) {
  switch (type) {
  case ElementType::Float:
    return 4;
  case ElementType::Double:
    return 10;
  case ElementType::Int64:
    return 7;
  case ElementType::Uint32:
  case ElementType::Uint64:
    return 11;
  default:
    return 5;
  }
}

llvm::Error ModelParser::finishTyped(Tensor &tensor, TypedData &typed,
                                     uint64_t count) {
  if (typed.field != typedFieldOf(tensor.type))
    return malformedAt(tensor.offset,
                       "its data is stored as another type than " +
                           nameOf(tensor.type));
  unsigned width = sizeOf(tensor.type);
  bool floating = typed.field == 4 || typed.field == 10;
  uint64_t found = typed.integers.size();
  if (floating)
    found =
        (typed.pieces > 1 ? typed.floats.size() : typed.whole.size()) / width;
  if (found != count ||
      (typed.pieces == 1 && floating && typed.whole.size() % width))
    return malformedAt(tensor.offset, "it holds " + llvm::Twine(found) +
                                          " values, its shape needs " +
                                          llvm::Twine(count));
  if (floating && typed.pieces == 1) {
    tensor.data = typed.whole;
    tensor.owner = owner;
    return llvm::Error::success();
  }
  if (!floating) {
    typed.floats.reserve(count * width);
    for (uint64_t value : typed.integers) { // Little-endian: the low bytes.
      char bytes[8];
      llvm::support::endian::write64le(bytes, value);
      typed.floats.insert(typed.floats.end(), bytes, bytes + width);
    }
  }
  auto decoded = std::make_shared<std::vector<char>>(std::move(typed.floats));
  tensor.data = llvm::StringRef(decoded->data(), decoded->size());
  tensor.owner = decoded;
  return llvm::Error::success();
}

llvm::Error ModelParser::mapExternal(Tensor &tensor,
                                     const ExternalLocation &outside,
                                     uint64_t size) {
  llvm::StringRef location = outside.location.value_or("");
  if (!external)
    return makeError(ErrorKind::Refused,
                     "the model is not in a file, its data cannot be at " +
                         quote(location));
  llvm::Expected<std::shared_ptr<FileMapping>> mapping =
      external->open(location);
  if (!mapping)
    return mapping.takeError();
  llvm::StringRef bytes = (*mapping)->bytes();
  uint64_t offset = outside.offset.value_or(0);
  if (outside.length && *outside.length != size)
    return malformedAt(tensor.offset, "its external data has the length " +
                                          llvm::Twine(*outside.length) +
                                          ", its type and shape need " +
                                          llvm::Twine(size) + " bytes");
  if (offset > bytes.size() || size > bytes.size() - offset)
    return malformedAt(tensor.offset,
                       "its " + llvm::Twine(size) + " bytes at offset " +
                           llvm::Twine(offset) + " of " + quote(location) +
                           " run past the end of that file, which has " +
                           llvm::Twine(bytes.size()) + " (is it truncated?)");
  tensor.data = bytes.substr(offset, size);
  tensor.owner = *mapping;
  return llvm::Error::success();
}

} // namespace dit::onnx
