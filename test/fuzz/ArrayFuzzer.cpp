//===- ArrayFuzzer.cpp - Any bytes as .npy and .npz files -----------------===//

#include "runtime/data/Npy.h"
#include "runtime/data/Zip.h"

using namespace dit::runtime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::ArrayRef<uint8_t> file(data, size);
  if (llvm::Expected<Array> array = decodeNpy(file))
    (void)arrayValues(*array);
  else
    llvm::consumeError(array.takeError());
  llvm::Expected<ZipArchive> archive = ZipArchive::open(file);
  if (!archive) {
    llvm::consumeError(archive.takeError());
    return 0;
  }
  for (const ZipArchive::Entry &entry : archive->entries())
    if (auto member = archive->read(entry); !member)
      llvm::consumeError(member.takeError());
  return 0;
}
