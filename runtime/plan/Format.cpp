//===- Format.cpp - The bytes of plan.bin ---------------------------------===//

#include "runtime/plan/Format.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>
#include <xxhash.h>

using namespace dit::plan;
using namespace llvm::support::endian;

static constexpr uint8_t magic[8] = {0x89, 'D',  'I',  'T',
                                     'P',  0x0d, 0x0a, 0x1a};
static constexpr uint64_t tableOffset = 24;
static constexpr uint64_t entryBytes = 40;
static constexpr uint64_t hashOffset = tableOffset + sectionCount * entryBytes;
static constexpr uint64_t codeAlignment = 64;

const char *dit::plan::sectionName(unsigned section) {
  static constexpr const char *names[sectionCount] = {"metadata", "code",
                                                      "weights"};
  return names[section];
}

Hash dit::plan::hashBytes(llvm::ArrayRef<uint8_t> bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical,
                           XXH3_128bits(bytes.data(), bytes.size()));
  Hash hash;
  std::memcpy(hash.data(), canonical.digest, hash.size());
  return hash;
}

std::string dit::plan::hexadecimal(const Hash &hash) {
  return llvm::toHex(hash, /*LowerCase=*/true);
}

void dit::plan::placeSections(Header &header) {
  uint64_t end = headerBytes;
  for (unsigned i = 0; i != sectionCount; ++i) {
    SectionEntry &entry = header.sections[i];
    uint64_t alignment = i == WeightsSection ? weightsAlignment : codeAlignment;
    entry.offset = entry.bytes ? llvm::alignTo(end, alignment) : end;
    end = entry.offset + entry.bytes;
  }
  header.fileBytes = end;
}

std::array<uint8_t, headerBytes> dit::plan::encodeHeader(Header &header) {
  std::array<uint8_t, headerBytes> bytes = {};
  std::memcpy(bytes.data(), magic, sizeof(magic));
  write32le(&bytes[8], formatVersion);
  write32le(&bytes[12], sectionCount);
  write64le(&bytes[16], header.fileBytes);
  for (unsigned i = 0; i != sectionCount; ++i) {
    uint8_t *entry = &bytes[tableOffset + i * entryBytes];
    write32le(entry, i + 1);
    write64le(entry + 8, header.sections[i].offset);
    write64le(entry + 16, header.sections[i].bytes);
    std::memcpy(entry + 24, header.sections[i].hash.data(), sizeof(Hash));
  }
  header.hash = hashBytes(llvm::ArrayRef(bytes).take_front(hashOffset));
  std::memcpy(&bytes[hashOffset], header.hash.data(), sizeof(Hash));
  return bytes;
}

/// The sizes are bounded by the file's before anything is added to them.
static llvm::Error checkPlaces(const Header &header, uint64_t fileBytes) {
  Header expected = header;
  for (const SectionEntry &entry : header.sections)
    if (entry.bytes > fileBytes)
      return failure(Exit::Malformed,
                     "header: a section is larger than the file");
  placeSections(expected);
  for (unsigned i = 0; i != sectionCount; ++i)
    if (expected.sections[i].offset != header.sections[i].offset)
      return failure(Exit::Malformed,
                     llvm::Twine("header: the ") + sectionName(i) +
                         " section is at byte " +
                         llvm::Twine(header.sections[i].offset) + ", not " +
                         llvm::Twine(expected.sections[i].offset));
  if (expected.fileBytes != header.fileBytes)
    return failure(Exit::Malformed, "header: the sections do not add up to "
                                    "the file size it states");
  return llvm::Error::success();
}

llvm::Expected<Header> dit::plan::decodeHeader(llvm::ArrayRef<uint8_t> file) {
  if (file.size() < sizeof(magic) ||
      std::memcmp(file.data(), magic, sizeof(magic)) != 0)
    return failure(Exit::Malformed,
                   "not a plan: the first bytes are not those that ditc "
                   "writes");
  if (file.size() < headerBytes)
    return failure(Exit::Malformed, "header: the file ends after " +
                                        llvm::Twine(file.size()) + " of " +
                                        llvm::Twine(headerBytes) + " bytes");
  Header header;
  std::memcpy(header.hash.data(), &file[hashOffset], sizeof(Hash));
  if (hashBytes(file.take_front(hashOffset)) != header.hash)
    return failure(Exit::Malformed,
                   "header: its hash does not match: the file is corrupt");
  if (uint32_t version = read32le(&file[8]); version != formatVersion)
    return failure(Exit::Unsupported,
                   "plan format version " + llvm::Twine(version) +
                       ", this ditrun reads version " +
                       llvm::Twine(formatVersion) +
                       "; compile the model again with this ditc");
  if (read32le(&file[12]) != sectionCount)
    return failure(Exit::Malformed, "header: the section table is not that of "
                                    "this format version");
  header.fileBytes = read64le(&file[16]);
  if (header.fileBytes != file.size())
    return failure(Exit::Malformed, "the file has " + llvm::Twine(file.size()) +
                                        " bytes, its header says " +
                                        llvm::Twine(header.fileBytes) +
                                        (file.size() < header.fileBytes
                                             ? ": it is truncated"
                                             : ": something follows the end"));
  for (unsigned i = 0; i != sectionCount; ++i) {
    const uint8_t *entry = &file[tableOffset + i * entryBytes];
    if (read32le(entry) != i + 1 || read32le(entry + 4) != 0)
      return failure(Exit::Malformed, "header: the section table is not that "
                                      "of this format version");
    header.sections[i].offset = read64le(entry + 8);
    header.sections[i].bytes = read64le(entry + 16);
    std::memcpy(header.sections[i].hash.data(), entry + 24, sizeof(Hash));
  }
  if (llvm::Error error = checkPlaces(header, file.size()))
    return std::move(error);
  return header;
}
