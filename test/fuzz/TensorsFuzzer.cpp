//===- TensorsFuzzer.cpp - Any bytes as safetensors and manifests ---------===//

#include "runtime/checkpoint/Manifest.h"
#include "runtime/checkpoint/Safetensors.h"

using namespace dit::runtime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::ArrayRef<uint8_t> file(data, size);
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  if (llvm::Expected<Safetensors> tensors = Safetensors::decode(file)) {
    // What was read can be written, and is the same then.
    std::vector<TensorEntry> entries;
    for (const Safetensors::Tensor &tensor : tensors->tensors())
      entries.push_back({tensor.name, tensor.type, tensor.shape});
    std::vector<uint8_t> again = encodeSafetensorsHeader(entries);
    again.resize(again.size() + (entries.empty() ? 0 : entries.back().end));
    if (!llvm::cantFail(Safetensors::decode(again)).tensors().empty() !=
        !entries.empty())
      __builtin_trap();
  } else {
    llvm::consumeError(tensors.takeError());
  }
  // The header alone: most inputs have no length that fits.
  if (llvm::Expected<std::vector<TensorEntry>> entries =
          parseSafetensorsHeader(text);
      !entries)
    llvm::consumeError(entries.takeError());
  if (llvm::Expected<Manifest> manifest = parseManifest(text); !manifest)
    llvm::consumeError(manifest.takeError());
  return 0;
}
