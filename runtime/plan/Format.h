//===- Format.h - The bytes of plan.bin -----------------------------------===//
//
//   0    magic      89 'D' 'I' 'T' 'P' 0d 0a 1a
//   8    version    u32, 1
//   12   sections   u32, 3
//   16   file size  u64
//   24   table      3 x {kind u32, zero u32, offset u64, bytes u64, hash 16}
//   144  hash       16 bytes: XXH3-128 of bytes [0, 144)
//   160  zeros
//   192  metadata   protobuf dit.proto.Plan
//   ...  code       an ELF relocatable object; at the next multiple of 64
//   ...  weights    at the next multiple of 4096, where there are any
//
// Little-endian. A section's place follows from the sizes of those before it,
// so there is one encoding of a plan. The magic breaks under a text-mode copy.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_PLAN_FORMAT_H
#define DIT_RUNTIME_PLAN_FORMAT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <array>
#include <cstdint>

namespace dit::plan {

/// 16 bytes of XXH3-128 in canonical (big-endian) order.
using Hash = std::array<uint8_t, 16>;

/// The sections in the order of the file.
enum SectionIndex { MetadataSection, CodeSection, WeightsSection };

constexpr uint32_t formatVersion = 1;
constexpr unsigned sectionCount = 3;
constexpr uint64_t headerBytes = 192;
constexpr uint64_t headerUsedBytes = 160; // zeros follow
constexpr uint64_t weightsAlignment = 4096;

/// What people call the section in errors.
const char *sectionName(unsigned section);

/// Where a section is and what its bytes hash to.
struct SectionEntry {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  Hash hash = {};
};

/// The decoded header.
struct Header {
  uint64_t fileBytes = 0;
  std::array<SectionEntry, sectionCount> sections;
  Hash hash = {}; // of the header: it covers all that it points to
};

/// XXH3-128 of some bytes.
Hash hashBytes(llvm::ArrayRef<uint8_t> bytes);

/// 32 hexadecimal digits.
std::string hexadecimal(const Hash &hash);

/// Sets offsets and file size from the sections' sizes.
void placeSections(Header &header);

/// The header's bytes; sets header.hash.
std::array<uint8_t, headerBytes> encodeHeader(Header &header);

/// Checks everything the header says against the file's size. A file that is
/// no plan, another version, a wrong hash or size is an error.
llvm::Expected<Header> decodeHeader(llvm::ArrayRef<uint8_t> file);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_FORMAT_H
