//===- Zip.h - Archives of arrays (.npz) ----------------------------------===//
#ifndef DIT_RUNTIME_DATA_ZIP_H
#define DIT_RUNTIME_DATA_ZIP_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace dit::runtime {

/// True for bytes that begin like a zip archive.
bool isZip(llvm::ArrayRef<uint8_t> file);

/// A zip archive in memory, with zip64 sizes; members stored or deflated.
class ZipArchive {
public:
  /// One member, as the central directory describes it.
  struct Entry {
    std::string name;
    unsigned method = 0; // 0 stored, 8 deflated
    bool encrypted = false;
    uint32_t checksum = 0;
    uint64_t packedBytes = 0;
    uint64_t bytes = 0;
    uint64_t headerOffset = 0;
  };

  /// Reads the central directory; `file` must outlive the archive.
  static llvm::Expected<ZipArchive> open(llvm::ArrayRef<uint8_t> file);

  llvm::ArrayRef<Entry> entries() const { return members; }

  /// The member of this name, or null.
  const Entry *find(llvm::StringRef name) const;

  /// A member's contents, unpacked and checked against its CRC.
  llvm::Expected<std::vector<uint8_t>> read(const Entry &entry) const;

private:
  explicit ZipArchive(llvm::ArrayRef<uint8_t> file) : file(file) {}
  llvm::Error readDirectory();
  llvm::Expected<uint64_t> readEntry(uint64_t offset);

  llvm::ArrayRef<uint8_t> file;
  std::vector<Entry> members;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_ZIP_H
