//===- PlanWeights.cpp - A plan with the weights of a file ----------------===//

#include "runtime/checkpoint/PlanWeights.h"

#include "runtime/checkpoint/Manifest.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Placement.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"

#include <cstring>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

//===----------------------------------------------------------------------===//
// Which file
//===----------------------------------------------------------------------===//

/// The weights of a checkpoint, which nobody has changed.
static llvm::Expected<std::string> findInCheckpoint(const std::string &folder) {
  llvm::Expected<Manifest> manifest = readManifest(folder);
  if (!manifest)
    return manifest.takeError();
  for (llvm::StringRef name : {"ema.safetensors", "model.safetensors"}) {
    auto listed =
        llvm::find_if(manifest->files, [&](const Manifest::File &file) {
          return file.name == name;
        });
    if (listed == manifest->files.end())
      continue;
    if (llvm::Error error = verifyFile(folder, *listed))
      return std::move(error);
    return folder + "/" + listed->name;
  }
  return failure(Exit::Missing,
                 "'" + plan::escaped(folder) +
                     "' has neither ema.safetensors nor model.safetensors");
}

llvm::Expected<std::string> dit::runtime::findWeights(llvm::StringRef path) {
  std::string folder = path.rtrim('/').str();
  if (!llvm::sys::fs::is_directory(folder))
    return path.str();
  if (llvm::sys::fs::exists(folder + "/manifest.json"))
    return findInCheckpoint(folder);
  if (llvm::sys::fs::exists(folder + "/latest/manifest.json"))
    return findInCheckpoint(folder + "/latest");
  std::vector<std::string> files, indices;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator entry(folder, error), end;
       entry != end && !error; entry.increment(error)) {
    llvm::StringRef name = entry->path();
    if (name.ends_with(".safetensors.index.json"))
      indices.push_back(name.str());
    else if (name.ends_with(".safetensors"))
      files.push_back(name.str());
  }
  if (indices.size() == 1)
    return indices.front();
  if (indices.empty() && files.size() == 1)
    return files.front();
  return failure(Exit::Missing, "'" + plan::escaped(folder) + "' has " +
                                    llvm::Twine(files.size()) +
                                    " safetensors files and " +
                                    llvm::Twine(indices.size()) +
                                    " indices: name the one that is meant");
}

//===----------------------------------------------------------------------===//
// Its values
//===----------------------------------------------------------------------===//

llvm::Expected<std::vector<uint8_t>>
PlanWeights::assemble(const proto::Global &global, unsigned index) const {
  std::vector<uint8_t> tensor(*plan::tensorBytes(global.type()));
  for (const ModelTensor &part : tensors)
    if (part.global == index)
      if (llvm::Error error = placeTensor(part, global, file, tensor))
        return std::move(error);
  std::vector<uint8_t> stored(global.bytes());
  plan::storeTensor(global, tensor, stored);
  return stored;
}

llvm::Expected<PlanWeights> PlanWeights::open(llvm::StringRef path,
                                              const plan::PlanView &plan) {
  llvm::Expected<std::string> found = findWeights(path);
  if (!found)
    return found.takeError();
  llvm::Expected<Safetensors> file = Safetensors::open(*found);
  if (!file)
    return file.takeError();
  llvm::Expected<PlanWeights> weights = create(std::move(*file), plan);
  if (!weights)
    return plan::within(weights.takeError(), "'" + plan::escaped(*found) + "'");
  return weights;
}

llvm::Expected<PlanWeights> PlanWeights::create(Safetensors file,
                                                const plan::PlanView &plan) {
  PlanWeights weights;
  weights.file = std::move(file);
  weights.tensors = modelTensors(plan.metadata);
  if (llvm::Error error = checkTensors(weights.tensors, weights.file))
    return std::move(error);
  std::optional<HostMemory> memory = HostMemory::allocate(plan.weights.size());
  if (!memory)
    return failure(Exit::Memory, "--weights: no memory for " +
                                     llvm::Twine(plan.weights.size()) +
                                     " bytes of weights");
  weights.memory = std::move(*memory);
  std::byte *section = weights.memory.data();
  if (!plan.weights.empty())
    std::memcpy(section, plan.weights.data(), plan.weights.size());
  for (int i = 0; i != plan.metadata.globals_size(); ++i) {
    const proto::Global &global = plan.metadata.globals(i);
    if (global.role() != proto::Global::PARAMETER || !global.mapped())
      continue;
    llvm::Expected<std::vector<uint8_t>> stored = weights.assemble(global, i);
    if (!stored)
      return stored.takeError();
    std::memcpy(section + global.offset(), stored->data(), stored->size());
  }
  return weights;
}

llvm::Error PlanWeights::write(Executor &executor) const {
  const proto::Plan &plan = executor.metadata();
  for (int i = 0; i != plan.globals_size(); ++i) {
    const proto::Global &global = plan.globals(i);
    if (global.role() != proto::Global::PARAMETER || global.mapped() ||
        global.pieces().empty())
      continue;
    llvm::Expected<std::vector<uint8_t>> stored = assemble(global, i);
    if (!stored)
      return stored.takeError();
    if (llvm::Error error = executor.device().copyIn(i, 0, *stored))
      return error;
  }
  return llvm::Error::success();
}
