//===- Zip.cpp - Archives of arrays (.npz) --------------------------------===//
//
// Format: PKWARE's APPNOTE. The end record is found from the back, the central
// directory gives places and sizes, a member's local header only how long it
// is itself.
//
//===----------------------------------------------------------------------===//

#include "runtime/data/Zip.h"

#include "runtime/data/Inflate.h"
#include "runtime/plan/Failure.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/Endian.h"

#include <cstring>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;
using namespace llvm::support::endian;

static constexpr uint32_t localMagic = 0x04034b50;
static constexpr uint32_t centralMagic = 0x02014b50;
static constexpr uint32_t endMagic = 0x06054b50;
static constexpr uint32_t end64Magic = 0x06064b50;
static constexpr uint32_t locator64Magic = 0x07064b50;
static constexpr size_t localBytes = 30;
static constexpr size_t centralBytes = 46;
static constexpr size_t endBytes = 22;
static constexpr size_t locator64Bytes = 20;
static constexpr size_t end64Bytes = 56;

static llvm::Error malformed(const llvm::Twine &message) {
  return failure(Exit::Malformed, "npz: " + message);
}

bool dit::runtime::isZip(llvm::ArrayRef<uint8_t> file) {
  return file.size() >= 4 && (read32le(file.data()) == localMagic ||
                              read32le(file.data()) == endMagic);
}

const ZipArchive::Entry *ZipArchive::find(llvm::StringRef name) const {
  for (const Entry &entry : members)
    if (entry.name == name)
      return &entry;
  return nullptr;
}

/// The sizes that did not fit 32 bits, from the zip64 extra field.
static llvm::Error readExtra(llvm::ArrayRef<uint8_t> extra,
                             ZipArchive::Entry &entry) {
  while (extra.size() >= 4) {
    unsigned id = read16le(extra.data()), size = read16le(&extra[2]);
    if (size > extra.size() - 4)
      return malformed("an extra field is too long");
    llvm::ArrayRef<uint8_t> field = extra.slice(4, size);
    extra = extra.drop_front(4 + size);
    if (id != 1)
      continue;
    for (uint64_t *value :
         {&entry.bytes, &entry.packedBytes, &entry.headerOffset}) {
      if (*value != 0xffffffff)
        continue;
      if (field.size() < 8)
        return malformed("a zip64 field is too short");
      *value = read64le(field.data());
      field = field.drop_front(8);
    }
  }
  return llvm::Error::success();
}

llvm::Expected<uint64_t> ZipArchive::readEntry(uint64_t offset) {
  if (offset > file.size() || file.size() - offset < centralBytes ||
      read32le(&file[offset]) != centralMagic)
    return malformed("the directory is broken at byte " + llvm::Twine(offset));
  const uint8_t *record = &file[offset];
  Entry entry;
  entry.encrypted = read16le(record + 8) & 1;
  entry.method = read16le(record + 10);
  entry.checksum = read32le(record + 16);
  entry.packedBytes = read32le(record + 20);
  entry.bytes = read32le(record + 24);
  uint64_t nameBytes = read16le(record + 28);
  uint64_t extraBytes = read16le(record + 30);
  uint64_t total =
      centralBytes + nameBytes + extraBytes + read16le(record + 32);
  entry.headerOffset = read32le(record + 42);
  if (total > file.size() - offset)
    return malformed("the directory is truncated");
  entry.name.assign(reinterpret_cast<const char *>(record + centralBytes),
                    nameBytes);
  if (llvm::Error error = readExtra(
          file.slice(offset + centralBytes + nameBytes, extraBytes), entry))
    return std::move(error);
  members.push_back(std::move(entry));
  return offset + total;
}

llvm::Error ZipArchive::readDirectory() {
  // A comment of up to 64 KB may follow the end record.
  uint64_t end = file.size() < endBytes ? 0 : file.size() - endBytes + 1;
  uint64_t lowest = end > 65536 ? end - 65536 : 0;
  while (end-- > lowest)
    if (read32le(&file[end]) == endMagic)
      break;
  if (end + 1 == lowest || file.size() < endBytes)
    return malformed("the archive's end record is missing: truncated?");
  uint64_t count = read16le(&file[end + 10]);
  uint64_t offset = read32le(&file[end + 16]);
  if ((count == 0xffff || offset == 0xffffffff) && end >= locator64Bytes &&
      read32le(&file[end - locator64Bytes]) == locator64Magic) {
    uint64_t place = read64le(&file[end - locator64Bytes + 8]);
    if (place > file.size() || file.size() - place < end64Bytes ||
        read32le(&file[place]) != end64Magic)
      return malformed("the zip64 end record is broken");
    count = read64le(&file[place + 32]);
    offset = read64le(&file[place + 48]);
  }
  for (uint64_t i = 0; i != count; ++i) {
    llvm::Expected<uint64_t> next = readEntry(offset);
    if (!next)
      return next.takeError();
    offset = *next;
  }
  return llvm::Error::success();
}

llvm::Expected<ZipArchive> ZipArchive::open(llvm::ArrayRef<uint8_t> file) {
  ZipArchive archive(file);
  if (llvm::Error error = archive.readDirectory())
    return std::move(error);
  return archive;
}

/// Raw deflate of exactly `bytes`.
static bool inflateAll(llvm::ArrayRef<uint8_t> packed,
                       std::vector<uint8_t> &result) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return false;
  size_t taken = 0, given = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    size_t before = taken + given;
    status = inflatePiece(stream, packed, taken, result, given);
    if (taken + given == before)
      break;
  }
  inflateEnd(&stream);
  return status == Z_STREAM_END && given == result.size();
}

llvm::Expected<std::vector<uint8_t>>
ZipArchive::read(const Entry &entry) const {
  std::string name = "'" + plan::escaped(entry.name) + "'";
  if (entry.encrypted || (entry.method != 0 && entry.method != 8))
    return failure(Exit::Unsupported,
                   "npz: member " + name +
                       " is encrypted or packed with method " +
                       llvm::Twine(entry.method) +
                       "; numpy.savez and savez_compressed can be read");
  uint64_t offset = entry.headerOffset;
  if (offset > file.size() || file.size() - offset < localBytes ||
      read32le(&file[offset]) != localMagic)
    return malformed("member " + name + " is not at byte " +
                     llvm::Twine(offset));
  uint64_t begin = offset + localBytes + read16le(&file[offset + 26]) +
                   read16le(&file[offset + 28]);
  if (begin > file.size() || entry.packedBytes > file.size() - begin)
    return malformed("member " + name + " is truncated");
  llvm::ArrayRef<uint8_t> packed = file.slice(begin, entry.packedBytes);
  // Deflate cannot do better than 1032:1; a larger claim is an attack.
  if (entry.method == 0 ? entry.bytes != entry.packedBytes
                        : entry.bytes / 1032 > entry.packedBytes)
    return malformed("member " + name + " states an impossible size");
  std::vector<uint8_t> contents(entry.bytes);
  if (entry.method == 0)
    std::copy(packed.begin(), packed.end(), contents.begin());
  else if (!inflateAll(packed, contents))
    return malformed("member " + name + " does not unpack");
  if (crc32_z(0, contents.data(), contents.size()) != entry.checksum)
    return malformed("member " + name + " is corrupt: its CRC does not match");
  return contents;
}
