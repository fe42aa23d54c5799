//===- OpenWeights.cpp - Weight files, sharded ones, folders --------------===//
#include "frontends/weights/Safetensors.h"

#include "frontends/onnx/FileMapping.h"
#include "frontends/onnx/ImportError.h"
#include "frontends/weights/Json.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace dit;
using namespace llvm;
using onnx::addContext;
using onnx::ErrorKind;
using onnx::makeError;
using onnx::quote;

static constexpr StringLiteral fileSuffix = ".safetensors";
static constexpr StringLiteral indexSuffix = ".safetensors.index.json";
/// An index of 100 MB has a million tensors.
static constexpr size_t largestIndex = 100 * 1000 * 1000;

static Expected<std::vector<StoredTensor>> openFile(StringRef path) {
  auto mapping = onnx::FileMapping::open(path);
  if (!mapping)
    return mapping.takeError();
  auto tensors = parseSafetensors((*mapping)->bytes(), *mapping);
  if (!tensors)
    return addContext(tensors.takeError(), path);
  return tensors;
}

/// Shard file names by tensor.
static Expected<StringMap<std::string>> readIndex(StringRef text) {
  auto malformed = [](const Twine &why) {
    return makeError(ErrorKind::Malformed, why);
  };
  if (text.size() > largestIndex)
    return malformed("has more than 100 MB");
  Expected<json::Object> index = parseJsonObject(text);
  if (!index)
    return index.takeError();
  const json::Object *map = index->getObject("weight_map");
  if (!map)
    return malformed("has no weight_map");
  StringMap<std::string> files;
  for (const auto &[name, value] : *map) {
    std::optional<StringRef> file = value.getAsString();
    if (!file)
      return malformed("gives no file for tensor " + quote(name));
    if (file->contains('/') || file->contains('\\') || file->contains("..") ||
        file->contains('\0') || !file->ends_with(fileSuffix))
      return makeError(ErrorKind::Refused,
                       "names the shard " + quote(*file) +
                           "; a shard is a .safetensors file in the index's "
                           "own folder");
    files[name] = file->str();
  }
  return files;
}

static Expected<std::vector<StoredTensor>> openSharded(StringRef path) {
  auto mapping = onnx::FileMapping::open(path);
  if (!mapping)
    return mapping.takeError();
  auto files = readIndex((*mapping)->bytes());
  if (!files)
    return addContext(files.takeError(), path);

  StringSet<> shards;
  for (const auto &entry : *files)
    shards.insert(entry.getValue());
  std::vector<std::string> ordered;
  for (const auto &shard : shards)
    ordered.push_back(shard.getKey().str());
  llvm::sort(ordered);

  std::vector<StoredTensor> tensors;
  for (const std::string &shard : ordered) {
    SmallString<128> place(sys::path::parent_path(path));
    sys::path::append(place, shard);
    auto part = openFile(place);
    if (!part)
      return part.takeError();
    for (StoredTensor &tensor : *part) {
      auto known = files->find(tensor.name);
      if (known == files->end() || known->getValue() != shard)
        return makeError(ErrorKind::Malformed,
                         path + ": does not say that " + quote(shard) +
                             " has tensor " + quote(tensor.name));
      files->erase(known);
      tensors.push_back(std::move(tensor));
    }
  }
  if (files->empty())
    return tensors;
  return makeError(ErrorKind::Malformed, path + ": tensor " +
                                             quote(files->begin()->getKey()) +
                                             " is not in its shard " +
                                             quote(files->begin()->getValue()));
}

/// The one index or file of weights in a folder.
static Expected<std::string> findInFolder(StringRef folder) {
  std::vector<std::string> indices, files;
  std::error_code code;
  for (sys::fs::directory_iterator entry(folder, code), end;
       entry != end && !code; entry.increment(code)) {
    StringRef path = entry->path();
    if (path.ends_with(indexSuffix))
      indices.push_back(path.str());
    else if (path.ends_with(fileSuffix))
      files.push_back(path.str());
  }
  if (code)
    return makeError(ErrorKind::Missing, folder + ": " + code.message());
  if (indices.size() == 1)
    return indices.front();
  if (indices.empty() && files.size() == 1)
    return files.front();
  return makeError(ErrorKind::Missing,
                   folder + ": has " + Twine(indices.size()) +
                       " safetensors indices and " + Twine(files.size()) +
                       " safetensors files; name the one that is meant");
}

Expected<std::vector<StoredTensor>> dit::openWeights(StringRef path) {
  std::string file = path.str();
  if (sys::fs::is_directory(path)) {
    Expected<std::string> found = findInFolder(path);
    if (!found)
      return found.takeError();
    file = *found;
  }
  if (StringRef(file).ends_with(indexSuffix))
    return openSharded(file);
  return openFile(file);
}
