//===- Npy.cpp - numpy's array files --------------------------------------===//
//
// Format: NEP 1 and numpy.lib.format. The header is a Python dictionary, of
// which exactly the three keys that numpy writes are understood.
//
//===----------------------------------------------------------------------===//

#include "runtime/data/Npy.h"

#include "runtime/data/Zip.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/OutputFile.h"
#include "runtime/plan/Reader.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/Twine.h"

#include <algorithm>
#include <cstring>

using namespace dit;
using namespace dit::runtime;
using dit::plan::ElementType;
using dit::plan::Exit;
using dit::plan::failure;

static llvm::Error malformed(const llvm::Twine &message) {
  return failure(Exit::Malformed, message);
}

namespace {

/// What the dictionary says.
struct Header {
  std::string descr;
  bool fortranOrder = false;
  std::vector<int64_t> shape;
};

/// Reads the dictionary character by character.
class HeaderParser {
public:
  explicit HeaderParser(llvm::StringRef text) : rest(text) {}

  llvm::Expected<Header> parse();

private:
  bool take(llvm::StringRef token) {
    rest = rest.ltrim();
    return rest.consume_front(token);
  }
  bool takeString(std::string &value);
  bool takeShape(std::vector<int64_t> &shape);
  llvm::Error parseEntry(llvm::StringRef key, Header &header);

  llvm::StringRef rest;
};

} // namespace

bool HeaderParser::takeString(std::string &value) {
  rest = rest.ltrim();
  if (rest.empty() || (rest[0] != '\'' && rest[0] != '"'))
    return false;
  size_t end = rest.find(rest[0], 1);
  if (end == llvm::StringRef::npos)
    return false;
  value = rest.slice(1, end).str();
  rest = rest.drop_front(end + 1);
  return true;
}

bool HeaderParser::takeShape(std::vector<int64_t> &shape) {
  if (!take("("))
    return false;
  while (!take(")")) {
    rest = rest.ltrim();
    uint64_t size;
    if (rest.consumeInteger(10, size) || size > plan::largestExtent)
      return false;
    rest.consume_front("L"); // Python 2 wrote long integers so
    shape.push_back(size);
    if (!take(",")) {
      if (!take(")"))
        return false;
      // "(3)" is an integer in Python, not a shape.
      return shape.size() != 1;
    }
  }
  return true;
}

llvm::Error HeaderParser::parseEntry(llvm::StringRef key, Header &header) {
  if (key == "descr") {
    rest = rest.ltrim();
    if (rest.starts_with("["))
      return failure(Exit::Unsupported,
                     "npy: structured arrays are not supported; save each "
                     "field as an array of its own");
    if (takeString(header.descr))
      return llvm::Error::success();
  } else if (key == "fortran_order") {
    if (take("False"))
      return llvm::Error::success();
    if (take("True")) {
      header.fortranOrder = true;
      return llvm::Error::success();
    }
  } else if (key == "shape") {
    if (takeShape(header.shape))
      return llvm::Error::success();
  } else {
    return malformed("npy: header key '" + plan::escaped(key) + "' is unknown");
  }
  return malformed("npy: the header's '" + key + "' is malformed");
}

llvm::Expected<Header> HeaderParser::parse() {
  Header header;
  std::vector<std::string> keys;
  if (!take("{"))
    return malformed("npy: the header is no dictionary");
  while (!take("}")) {
    std::string key;
    if (!takeString(key) || !take(":"))
      return malformed("npy: the header is no dictionary");
    if (llvm::is_contained(keys, key))
      return malformed("npy: the header has '" + plan::escaped(key) +
                       "' twice");
    if (llvm::Error error = parseEntry(key, header))
      return std::move(error);
    keys.push_back(key);
    if (take(","))
      continue;
    if (take("}"))
      break;
    return malformed("npy: the header is no dictionary");
  }
  if (keys.size() != 3)
    return malformed("npy: the header must have descr, fortran_order, shape");
  if (!rest.trim().empty())
    return malformed("npy: something follows the header's dictionary");
  return header;
}

/// "<f4" and so on; sets `swapped` for big-endian values. Unsigned integers
/// wider than a byte are read as the next signed type by decodeNpy.
static llvm::Expected<ElementType> parseType(llvm::StringRef descr,
                                             bool &swapped) {
  llvm::StringRef type = descr;
  if (type.consume_front(">"))
    swapped = true;
  else if (!type.consume_front("<") && !type.consume_front("|"))
    type.consume_front("=");
  if (type.starts_with("O"))
    return failure(Exit::Refused,
                   "npy: it holds pickled Python objects, which are programs; "
                   "refused. Save numbers: array.astype(numpy.float32)");
  ElementType result = llvm::StringSwitch<ElementType>(type)
                           .Case("f2", ElementType::F16)
                           .Case("f4", ElementType::F32)
                           .Case("f8", ElementType::F64)
                           .Case("i1", ElementType::I8)
                           .Case("u1", ElementType::U8)
                           .Case("i2", ElementType::I16)
                           .Case("i4", ElementType::I32)
                           .Case("i8", ElementType::I64)
                           .Case("b1", ElementType::Bool)
                           .Default(ElementType::Unspecified);
  if (result == ElementType::Unspecified)
    return failure(Exit::Unsupported,
                   "npy: element type '" + plan::escaped(descr) +
                       "' is not supported; use float16, float32, float64, "
                       "int8, uint8, int16, int32, int64 or bool");
  return result;
}

/// Element i of the result is element of the file with reversed index order.
static std::vector<uint8_t> fromFortran(llvm::ArrayRef<uint8_t> data,
                                        llvm::ArrayRef<int64_t> shape,
                                        int64_t size) {
  std::vector<uint8_t> result(data.size());
  size_t rank = shape.size();
  std::vector<int64_t> index(rank, 0), stride(rank, 1);
  for (size_t d = 1; d < rank; ++d)
    stride[d] = stride[d - 1] * shape[d - 1];
  for (size_t i = 0; i != data.size(); i += size) {
    int64_t from = 0;
    for (size_t d = 0; d != rank; ++d)
      from += index[d] * stride[d];
    std::memcpy(&result[i], &data[from * size], size);
    for (size_t d = rank; d-- && ++index[d] == shape[d];)
      index[d] = 0;
  }
  return result;
}

llvm::Expected<Array> dit::runtime::decodeNpy(llvm::ArrayRef<uint8_t> file) {
  static constexpr uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  if (file.size() < 10 || std::memcmp(file.data(), magic, sizeof(magic)) != 0)
    return malformed(!file.empty() && file[0] == 0x80
                         ? "it is a Python pickle, not a .npy file"
                         : "it is not a .npy file");
  unsigned major = file[6];
  if (major < 1 || major > 3)
    return failure(Exit::Unsupported, "npy: format version " +
                                          llvm::Twine(major) +
                                          " is not supported, 1 to 3 are");
  size_t start = major == 1 ? 10 : 12;
  if (file.size() < start)
    return malformed("npy: truncated in the header at byte " +
                     llvm::Twine(file.size()));
  uint64_t length = file[8] | file[9] << 8;
  if (major > 1)
    length |= uint64_t(file[10]) << 16 | uint64_t(file[11]) << 24;
  if (length > file.size() - start)
    return malformed("npy: truncated in the header at byte " +
                     llvm::Twine(file.size()));
  llvm::Expected<Header> header =
      HeaderParser(
          {reinterpret_cast<const char *>(file.data() + start), length})
          .parse();
  if (!header)
    return header.takeError();

  bool swapped = false;
  llvm::Expected<ElementType> type = parseType(header->descr, swapped);
  if (!type)
    return type.takeError();
  std::optional<int64_t> count = plan::elementCount(header->shape);
  if (!count)
    return malformed("npy: shape " + plan::printShape(header->shape) +
                     " is too large");
  int64_t size = plan::elementBytes(*type);
  llvm::ArrayRef<uint8_t> data = file.drop_front(start + length);
  if (data.size() != static_cast<uint64_t>(*count) * size)
    return malformed("npy: " + llvm::Twine(data.size()) +
                     " bytes of data from byte " + llvm::Twine(start + length) +
                     ", shape " + plan::printShape(header->shape) + " needs " +
                     llvm::Twine(*count * size));
  Array array{*type, header->shape, {}};
  array.bytes = header->fortranOrder && header->shape.size() > 1
                    ? fromFortran(data, header->shape, size)
                    : data.vec();
  if (swapped)
    for (size_t i = 0; i != array.bytes.size(); i += size)
      std::reverse(&array.bytes[i], &array.bytes[i] + size);
  return array;
}

std::vector<uint8_t> dit::runtime::encodeNpy(const Array &array) {
  if (array.type == ElementType::BF16) {
    bool lossy = false;
    return encodeNpy(convertArray(array, ElementType::F32, lossy));
  }
  static constexpr const char *descrs[] = {
      "", "<f4", "<f2", "", "<f8", "|i1", "|u1", "<i2", "<i4", "<i8", "|b1"};
  std::string shape = llvm::join(
      llvm::map_range(array.shape, [](int64_t d) { return std::to_string(d); }),
      ", ");
  if (array.shape.size() == 1)
    shape += ",";
  std::string header = "{'descr': '" +
                       std::string(descrs[static_cast<int>(array.type)]) +
                       "', 'fortran_order': False, 'shape': (" + shape + "), }";
  // The data begin at a multiple of 64; the header ends with a line feed.
  size_t total = (10 + header.size() + 1 + 63) / 64 * 64;
  header.resize(total - 10 - 1, ' ');
  header += '\n';
  std::vector<uint8_t> bytes = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  bytes.push_back(header.size() & 255);
  bytes.push_back(header.size() >> 8);
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.insert(bytes.end(), array.bytes.begin(), array.bytes.end());
  return bytes;
}

static llvm::Expected<Array> decodeAny(llvm::ArrayRef<uint8_t> bytes,
                                       llvm::ArrayRef<std::string> names) {
  if (!isZip(bytes))
    return decodeNpy(bytes);
  llvm::Expected<ZipArchive> archive = ZipArchive::open(bytes);
  if (!archive)
    return archive.takeError();
  for (const std::string &name : names)
    if (const ZipArchive::Entry *entry = archive->find(name + ".npy")) {
      llvm::Expected<std::vector<uint8_t>> member = archive->read(*entry);
      if (!member)
        return member.takeError();
      llvm::Expected<Array> array = decodeNpy(*member);
      if (!array)
        return plan::within(array.takeError(), "'" + name + "'");
      return array;
    }
  std::string present = llvm::join(
      llvm::map_range(
          archive->entries(),
          [](const ZipArchive::Entry &entry) {
            return plan::escaped(
                llvm::StringRef(entry.name)
                    .drop_back(
                        llvm::StringRef(entry.name).ends_with(".npy") ? 4 : 0));
          }),
      ", ");
  return failure(Exit::Missing, "it has no array '" +
                                    llvm::join(names, "' or '") + "', only " +
                                    (present.empty() ? "nothing" : present));
}

llvm::Expected<Array>
dit::runtime::readArray(llvm::StringRef path,
                        llvm::ArrayRef<std::string> names) {
  llvm::Expected<plan::MappedFile> file = plan::MappedFile::open(path);
  if (!file)
    return file.takeError();
  llvm::Expected<Array> array = decodeAny(file->bytes(), names);
  if (!array)
    return plan::within(array.takeError(), "'" + plan::escaped(path) + "'");
  return array;
}

llvm::Error dit::runtime::writeNpy(llvm::StringRef path, const Array &array) {
  return plan::writeFile(path, encodeNpy(array));
}
