//===- Safetensors.cpp - Reading one weight file --------------------------===//
#include "frontends/weights/Safetensors.h"

#include "frontends/onnx/ImportError.h"
#include "frontends/weights/Json.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

using namespace dit;
using namespace llvm;
using onnx::ErrorKind;
using onnx::makeError;
using onnx::quote;

static constexpr uint64_t lengthBytes = 8;
static constexpr uint64_t largestHeader = 100 * 1000 * 1000;
/// The key of the header's only entry that is no tensor.
static constexpr StringLiteral metadataKey = "__metadata__";

int64_t dit::getElementBytes(StringRef type) {
  return StringSwitch<int64_t>(type)
      .Cases({"F64", "I64", "U64"}, 8)
      .Cases({"F32", "I32", "U32"}, 4)
      .Cases({"F16", "BF16", "I16", "U16"}, 2)
      .Cases({"I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"}, 1)
      .Default(0);
}

static Error malformed(const Twine &why) {
  return makeError(ErrorKind::Malformed, why);
}

/// Files that people give by mistake, recognised by their first bytes.
static Error refuseOtherFormats(StringRef file) {
  if (file.starts_with("PK\x03\x04"))
    return makeError(
        ErrorKind::Refused,
        "is a zip archive, as PyTorch's .pt and .pth are; loading "
        "it would run code that the file chooses. Save the weights "
        "as .safetensors");
  if (file.size() > 2 && file[0] == '\x80' && file[1] >= 2 && file[1] <= 5)
    return makeError(ErrorKind::Refused,
                     "is a Python pickle; loading it would run code that the "
                     "file chooses. Save the weights as .safetensors");
  return Error::success();
}

/// The numbers of a JSON array; nothing if it is something else.
static std::optional<std::vector<int64_t>>
getNumbers(const json::Object &object, StringRef key) {
  const json::Array *array = object.getArray(key);
  if (!array)
    return std::nullopt;
  std::vector<int64_t> numbers;
  for (const json::Value &value : *array) {
    std::optional<int64_t> number = value.getAsInteger();
    if (!number || *number < 0)
      return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

static Expected<StoredTensor>
readEntry(StringRef name, const json::Value &value, StringRef data) {
  std::string who = "tensor " + quote(name);
  const json::Object *entry = value.getAsObject();
  std::optional<StringRef> type =
      entry ? entry->getString("dtype") : std::nullopt;
  auto shape = entry ? getNumbers(*entry, "shape") : std::nullopt;
  auto range = entry ? getNumbers(*entry, "data_offsets") : std::nullopt;
  if (!type || !shape || !range || range->size() != 2 || entry->size() != 3)
    return malformed(who + " must have a dtype, a shape and two data_offsets, "
                           "and nothing else");
  int64_t bytes = getElementBytes(*type);
  if (!bytes)
    return makeError(ErrorKind::Unsupported, who + " has dtype " +
                                                 quote(*type) +
                                                 ", which is not known");
  for (int64_t size : *shape)
    if (MulOverflow(bytes, size, bytes))
      return malformed(who + " has more bytes than 64 bits can count");
  int64_t begin = range->front(), end = range->back();
  if (begin > end || static_cast<uint64_t>(end) > data.size())
    return malformed(who + " lies at [" + Twine(begin) + ", " + Twine(end) +
                     "), but the file has " + Twine(data.size()) +
                     " bytes of data");
  if (end - begin != bytes)
    return malformed(who + " needs " + Twine(bytes) + " bytes, but has " +
                     Twine(end - begin));
  return StoredTensor{
      name.str(),          type->str(), *shape, data.slice(begin, end), nullptr,
      /*transposed=*/false};
}

/// The tensors' bytes must be the data, each byte once.
static Error checkCover(MutableArrayRef<StoredTensor> tensors, StringRef data) {
  llvm::sort(tensors, [](const StoredTensor &a, const StoredTensor &b) {
    return std::pair(a.bytes.data(), a.bytes.size()) <
           std::pair(b.bytes.data(), b.bytes.size());
  });
  const char *at = data.data();
  for (const StoredTensor &tensor : tensors) {
    if (tensor.bytes.data() != at)
      return malformed("tensor " + quote(tensor.name) +
                       (tensor.bytes.data() < at ? " overlaps the one before it"
                                                 : " leaves a hole before it") +
                       ", at data byte " +
                       Twine(tensor.bytes.data() - data.data()));
    at = tensor.bytes.end();
  }
  if (at != data.end())
    return malformed("the last " + Twine(data.end() - at) +
                     " bytes belong to no tensor");
  return Error::success();
}

Expected<std::vector<StoredTensor>>
dit::parseSafetensors(StringRef file, std::shared_ptr<const void> owner) {
  if (Error error = refuseOtherFormats(file))
    return error;
  if (file.size() < lengthBytes)
    return malformed("has " + Twine(file.size()) +
                     " bytes, too few for a safetensors file");
  uint64_t length = support::endian::read64le(file.data());
  if (length > largestHeader || length > file.size() - lengthBytes)
    return malformed(
        "says its header has " + Twine(length) + " bytes, but it " +
        (length > largestHeader ? Twine("may have 100 MB at most")
                                : "has " + Twine(file.size() - lengthBytes)) +
        "; it is no safetensors file, or a damaged one");
  StringRef text = file.substr(lengthBytes, length);
  StringRef data = file.drop_front(lengthBytes + length);

  Expected<json::Object> header = parseJsonObject(text);
  if (!header)
    return header.takeError();
  std::vector<StoredTensor> tensors;
  for (const auto &[key, value] : *header) {
    if (StringRef(key) == metadataKey)
      continue;
    Expected<StoredTensor> tensor = readEntry(key, value, data);
    if (!tensor)
      return tensor.takeError();
    tensor->owner = owner;
    tensors.push_back(std::move(*tensor));
  }
  if (Error error = checkCover(tensors, data))
    return error;
  return tensors;
}
