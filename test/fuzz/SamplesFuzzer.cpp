//===- SamplesFuzzer.cpp - Any bytes as IDX, PNG, JPEG, tar and lists -----===//

#include "runtime/data/Idx.h"
#include "runtime/data/PictureFile.h"
#include "runtime/data/SampleList.h"
#include "runtime/data/WebDataset.h"

#include "llvm/ADT/StringExtras.h"

using namespace dit::runtime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::ArrayRef<uint8_t> file(data, size);
  if (llvm::Expected<Array> array = decodeIdx(file); !array)
    llvm::consumeError(array.takeError());
  if (llvm::Expected<Picture> picture = decodePicture(file))
    (void)cropToSquare(std::move(*picture), 8);
  else
    llvm::consumeError(picture.takeError());
  if (auto members = listTar(file); !members)
    llvm::consumeError(members.takeError());
  auto take = [](llvm::StringRef, int64_t) { return llvm::Error::success(); };
  if (llvm::Expected<bool> list = readSampleList(llvm::toStringRef(file), take);
      !list)
    llvm::consumeError(list.takeError());
  return 0;
}
