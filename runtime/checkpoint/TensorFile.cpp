//===- TensorFile.cpp - Tensors to be written to a file -------------------===//

#include "runtime/checkpoint/TensorFile.h"

#include "runtime/plan/OutputFile.h"

#include "llvm/ADT/STLExtras.h"

using namespace dit;
using namespace dit::runtime;

llvm::Error TensorFile::stream(
    llvm::function_ref<llvm::Error(llvm::ArrayRef<uint8_t> bytes)> sink) const {
  std::vector<TensorEntry> entries = tensors;
  if (llvm::Error error = sink(encodeSafetensorsHeader(entries)))
    return error;
  std::vector<uint8_t> bytes;
  for (auto [index, entry] : llvm::enumerate(entries)) {
    bytes.resize(entry.end - entry.begin);
    if (llvm::Error error = values(index, bytes))
      return error;
    if (llvm::Error error = sink(bytes))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error dit::runtime::writeTensorFile(llvm::StringRef path,
                                          const TensorFile &file) {
  llvm::Expected<plan::OutputFile> output = plan::OutputFile::create(path);
  if (!output)
    return output.takeError();
  if (llvm::Error error = file.stream(
          [&](llvm::ArrayRef<uint8_t> bytes) { return output->append(bytes); }))
    return error;
  return output->commit();
}
