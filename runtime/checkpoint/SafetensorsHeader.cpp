//===- SafetensorsHeader.cpp - The text that begins a safetensors file ----===//

#include "runtime/checkpoint/SafetensorsHeader.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/JsonCursor.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::ElementType;
using dit::plan::Exit;
using dit::plan::failure;

/// A tensor of more dimensions is refused: none is, and a file of nothing but
/// zeros in a shape should not need more memory than itself.
static constexpr size_t largestRank = 64;

static ElementType typeOf(llvm::StringRef name) {
  return llvm::StringSwitch<ElementType>(name)
      .Case("F32", ElementType::F32)
      .Case("F16", ElementType::F16)
      .Case("BF16", ElementType::BF16)
      .Case("F64", ElementType::F64)
      .Case("I8", ElementType::I8)
      .Case("U8", ElementType::U8)
      .Case("I16", ElementType::I16)
      .Case("I32", ElementType::I32)
      .Case("I64", ElementType::I64)
      .Case("BOOL", ElementType::Bool)
      .Default(ElementType::Unspecified);
}

static llvm::StringRef nameOf(ElementType type) {
  switch (type) {
  case ElementType::F32:
    return "F32";
  case ElementType::F16:
    return "F16";
  case ElementType::BF16:
    return "BF16";
  case ElementType::F64:
    return "F64";
  case ElementType::I8:
    return "I8";
  case ElementType::U8:
    return "U8";
  case ElementType::I16:
    return "I16";
  case ElementType::I32:
    return "I32";
  case ElementType::I64:
    return "I64";
  case ElementType::Bool:
    return "BOOL";
  case ElementType::Unspecified:
    break;
  }
  llvm_unreachable("tensors have a type");
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {

/// Walks over the text, one member function a kind of thing.
class HeaderText : plan::JsonCursor {
public:
  explicit HeaderText(llvm::StringRef text) : JsonCursor{text} {}
  llvm::Error read(std::vector<TensorEntry> &tensors);

private:
  llvm::Error malformed(const llvm::Twine &why) const {
    return failure(Exit::Malformed,
                   "its header " + why + ", at byte " + llvm::Twine(8 + at));
  }
  llvm::Error expect(char c) {
    if (take(c))
      return llvm::Error::success();
    return malformed(llvm::Twine("lacks a '") + llvm::Twine(c) + "'");
  }
  llvm::Error readString(std::string &value);
  llvm::Error readEscape(std::string &value);
  llvm::Error readCodeUnit(unsigned &unit);
  llvm::Error readNumbers(std::vector<int64_t> &numbers, size_t most);
  llvm::Error
  readMembers(llvm::function_ref<llvm::Error(std::string key)> member);
  llvm::Error readMetadata();
  llvm::Error readTensor(std::string name, std::vector<TensorEntry> &tensors);

  std::string unknownTypes;
};

} // namespace

/// Four hexadecimal digits.
llvm::Error HeaderText::readCodeUnit(unsigned &unit) {
  if (text.size() - at < 4 || text.substr(at, 4).getAsInteger(16, unit) ||
      !llvm::all_of(text.substr(at, 4), llvm::isHexDigit))
    return malformed("has a \\u without four digits");
  at += 4;
  return llvm::Error::success();
}

llvm::Error HeaderText::readEscape(std::string &value) {
  char c = at == text.size() ? '\0' : text[at++];
  size_t known = llvm::StringRef("\"\\/bfnrt").find(c);
  if (known != llvm::StringRef::npos) {
    value += "\"\\/\b\f\n\r\t"[known];
    return llvm::Error::success();
  }
  if (c != 'u')
    return malformed("has an unknown escape");
  unsigned point, low;
  if (llvm::Error error = readCodeUnit(point))
    return error;
  if (point >= 0xd800 && point < 0xe000) {
    if (point >= 0xdc00 || !text.substr(at).starts_with("\\u"))
      return malformed("has half a surrogate pair");
    at += 2;
    if (llvm::Error error = readCodeUnit(low))
      return error;
    if (low < 0xdc00 || low >= 0xe000)
      return malformed("has half a surrogate pair");
    point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
  }
  char bytes[4], *end = bytes;
  llvm::ConvertCodePointToUTF8(point, end);
  value.append(bytes, end);
  return llvm::Error::success();
}

llvm::Error HeaderText::readString(std::string &value) {
  if (llvm::Error error = expect('"'))
    return error;
  value.clear();
  while (at != text.size()) {
    char c = text[at++];
    if (c == '"')
      return llvm::json::isUTF8(value)
                 ? llvm::Error::success()
                 : malformed("has a name that is not UTF-8");
    if (static_cast<unsigned char>(c) < 0x20)
      return malformed("has a control character in a string");
    if (c != '\\')
      value += c;
    else if (llvm::Error error = readEscape(value))
      return error;
  }
  return malformed("ends within a string");
}

/// [1, 2, 3]: whole numbers of at least 0 and below 2^63.
llvm::Error HeaderText::readNumbers(std::vector<int64_t> &numbers,
                                    size_t most) {
  if (llvm::Error error = expect('['))
    return error;
  if (take(']'))
    return llvm::Error::success();
  do {
    skipBlanks();
    llvm::StringRef digits = text.substr(at).take_while(llvm::isDigit);
    int64_t number;
    if (digits.empty() || (digits.size() > 1 && digits[0] == '0') ||
        digits.getAsInteger(10, number))
      return malformed("lacks a whole number that 63 bits can hold");
    if (numbers.size() == most)
      return malformed("has more than " + llvm::Twine(most) +
                       " numbers in a list");
    at += digits.size();
    numbers.push_back(number);
  } while (take(','));
  return expect(']');
}

/// {"key": ..., ...}; `member` reads what stands after the colon.
llvm::Error HeaderText::readMembers(
    llvm::function_ref<llvm::Error(std::string key)> member) {
  if (llvm::Error error = expect('{'))
    return error;
  if (take('}'))
    return llvm::Error::success();
  do {
    std::string key;
    if (llvm::Error error = readString(key))
      return error;
    if (llvm::Error error = expect(':'))
      return error;
    if (llvm::Error error = member(std::move(key)))
      return error;
  } while (take(','));
  return expect('}');
}

llvm::Error HeaderText::readMetadata() {
  return readMembers([&](std::string) {
    std::string ignored;
    return readString(ignored);
  });
}

llvm::Error HeaderText::readTensor(std::string name,
                                   std::vector<TensorEntry> &tensors) {
  TensorEntry tensor;
  std::string type;
  std::vector<int64_t> range;
  unsigned seen = 0;
  llvm::Error error = readMembers([&](std::string key) {
    unsigned bit = llvm::StringSwitch<unsigned>(key)
                       .Case("dtype", 1)
                       .Case("shape", 2)
                       .Case("data_offsets", 4)
                       .Default(0);
    if (!bit || (seen & bit))
      return malformed("has '" + plan::escaped(key) + "' in tensor '" +
                       plan::escaped(name) +
                       "', where dtype, shape and data_offsets stand once");
    seen |= bit;
    if (bit == 1)
      return readString(type);
    return bit == 2 ? readNumbers(tensor.shape, largestRank)
                    : readNumbers(range, 2);
  });
  if (error)
    return error;
  if (seen != 7 || range.size() != 2)
    return malformed("lacks dtype, shape or two data_offsets of tensor '" +
                     plan::escaped(name) + "'");
  tensor.type = typeOf(type);
  if (tensor.type == ElementType::Unspecified) {
    if (unknownTypes.size() < 1000)
      unknownTypes += (unknownTypes.empty() ? "'" : ", '") +
                      plan::escaped(name) + "' is " + plan::escaped(type);
    return llvm::Error::success();
  }
  tensor.begin = range[0];
  tensor.end = range[1];
  std::optional<int64_t> count = plan::elementCount(tensor.shape);
  if (!count || tensor.begin > tensor.end ||
      tensor.end - tensor.begin !=
          static_cast<uint64_t>(*count) * plan::elementBytes(tensor.type))
    return malformed("gives tensor '" + plan::escaped(name) + "' of type " +
                     type + " and shape " + plan::printShape(tensor.shape) +
                     " the bytes [" + llvm::Twine(tensor.begin) + ", " +
                     llvm::Twine(tensor.end) + "), which is not its size");
  tensor.name = std::move(name);
  tensors.push_back(std::move(tensor));
  return llvm::Error::success();
}

llvm::Error HeaderText::read(std::vector<TensorEntry> &tensors) {
  llvm::StringSet<> names;
  llvm::Error error = readMembers([&](std::string key) {
    if (!names.insert(key).second)
      return malformed("names '" + plan::escaped(key) + "' twice");
    return key == "__metadata__" ? readMetadata()
                                 : readTensor(std::move(key), tensors);
  });
  if (error)
    return error;
  skipBlanks();
  if (at != text.size())
    return malformed("goes on after its end");
  if (!unknownTypes.empty())
    return failure(Exit::Unsupported,
                   "it has tensors of types that plans do not have: " +
                       unknownTypes);
  return llvm::Error::success();
}

llvm::Expected<std::vector<TensorEntry>>
dit::runtime::parseSafetensorsHeader(llvm::StringRef text) {
  std::vector<TensorEntry> tensors;
  if (llvm::Error error = HeaderText(text).read(tensors))
    return std::move(error);
  return tensors;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

std::vector<uint8_t> dit::runtime::encodeSafetensorsHeader(
    llvm::MutableArrayRef<TensorEntry> tensors) {
  std::string text;
  llvm::raw_string_ostream os(text);
  uint64_t place = 0;
  os << "{";
  for (TensorEntry &tensor : tensors) {
    tensor.begin = place;
    place +=
        *plan::elementCount(tensor.shape) * plan::elementBytes(tensor.type);
    tensor.end = place;
    os << (tensor.begin == 0 && &tensor == tensors.begin() ? "" : ",")
       << llvm::json::Value(llvm::json::fixUTF8(tensor.name))
       << ":{\"dtype\":\"" << nameOf(tensor.type) << "\",\"shape\":["
       << llvm::join(llvm::map_range(
                         tensor.shape,
                         [](int64_t size) { return std::to_string(size); }),
                     ",")
       << "],\"data_offsets\":[" << tensor.begin << "," << tensor.end << "]}";
  }
  os << "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::vector<uint8_t> bytes(8 + text.size());
  llvm::support::endian::write64le(bytes.data(), text.size());
  llvm::copy(text, bytes.begin() + 8);
  return bytes;
}
