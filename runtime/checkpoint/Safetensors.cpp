//===- Safetensors.cpp - Files of named tensors ---------------------------===//

#include "runtime/checkpoint/Safetensors.h"

#include "runtime/checkpoint/JsonText.h"
#include "runtime/plan/Failure.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/Path.h"

#include <map>
#include <set>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static constexpr uint64_t lengthBytes = 8;
static constexpr uint64_t largestHeader = 100'000'000;

/// Files that people give by mistake, recognised by their first bytes.
static llvm::Error refuseOtherFormats(llvm::ArrayRef<uint8_t> file) {
  llvm::StringRef text(reinterpret_cast<const char *>(file.data()),
                       file.size());
  bool pickle =
      file.size() > 2 && file[0] == 0x80 && file[1] >= 2 && file[1] <= 5;
  if (!pickle && !text.starts_with("PK\x03\x04"))
    return llvm::Error::success();
  return failure(Exit::Refused,
                 llvm::Twine("it is ") +
                     (pickle ? "a Python pickle"
                             : "a zip archive, as "
                               "PyTorch's .pt files are") +
                     "; loading one would run code that the file chooses: save "
                     "the weights as .safetensors");
}

/// The tensors' ranges must be the data, each byte once.
static llvm::Error checkCover(llvm::ArrayRef<TensorEntry> tensors,
                              uint64_t dataBytes) {
  std::vector<const TensorEntry *> sorted;
  for (const TensorEntry &tensor : tensors)
    sorted.push_back(&tensor);
  llvm::sort(sorted, [](const TensorEntry *a, const TensorEntry *b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  uint64_t at = 0;
  for (const TensorEntry *tensor : sorted) {
    if (tensor->begin != at)
      return failure(Exit::Malformed,
                     "tensor '" + plan::escaped(tensor->name) + "' " +
                         (tensor->begin < at ? "overlaps the one before it"
                                             : "leaves a hole before it") +
                         ", at data byte " + llvm::Twine(tensor->begin));
    at = tensor->end;
  }
  if (at == dataBytes)
    return llvm::Error::success();
  return failure(Exit::Malformed, "its tensors need " + llvm::Twine(at) +
                                      " bytes of data, it has " +
                                      llvm::Twine(dataBytes));
}

llvm::Expected<Safetensors> Safetensors::decode(llvm::ArrayRef<uint8_t> file) {
  if (llvm::Error error = refuseOtherFormats(file))
    return std::move(error);
  if (file.size() < lengthBytes)
    return failure(Exit::Malformed, "it has " + llvm::Twine(file.size()) +
                                        " bytes, too few for safetensors");
  uint64_t length = llvm::support::endian::read64le(file.data());
  if (length > largestHeader || length > file.size() - lengthBytes)
    return failure(Exit::Malformed,
                   "its header would have " + llvm::Twine(length) +
                       " bytes, but " +
                       (length > largestHeader
                            ? llvm::Twine("100 MB is the most")
                            : "only " + llvm::Twine(file.size() - lengthBytes) +
                                  " follow") +
                       "; it is no safetensors file, or a damaged one");
  llvm::StringRef text(
      reinterpret_cast<const char *>(file.data()) + lengthBytes, length);
  llvm::ArrayRef<uint8_t> data = file.drop_front(lengthBytes + length);
  llvm::Expected<std::vector<TensorEntry>> entries =
      parseSafetensorsHeader(text);
  if (!entries)
    return entries.takeError();
  if (llvm::Error error = checkCover(*entries, data.size()))
    return std::move(error);
  Safetensors result;
  for (TensorEntry &entry : *entries) {
    result.names[entry.name] = result.all.size();
    result.all.push_back({std::move(entry.name), entry.type,
                          std::move(entry.shape),
                          data.slice(entry.begin, entry.end - entry.begin)});
  }
  return result;
}

const Safetensors::Tensor *Safetensors::find(llvm::StringRef name) const {
  auto found = names.find(name);
  return found == names.end() ? nullptr : &all[found->second];
}

void Safetensors::add(Safetensors other) {
  llvm::append_range(files, std::move(other.files));
  for (Tensor &tensor : other.all) {
    names[tensor.name] = all.size();
    all.push_back(std::move(tensor));
  }
}

/// Shard by tensor, as an index says.
static llvm::Expected<std::map<std::string, std::string>>
parseIndex(llvm::StringRef text) {
  constexpr size_t most = 8'000'000; // a hundred thousand tensors
  llvm::Expected<llvm::json::Object> object = parseJsonObject(text, most);
  if (!object)
    return object.takeError();
  const llvm::json::Object *map = object->getObject("weight_map");
  if (!map)
    return failure(Exit::Malformed, "it has no weight_map");
  std::map<std::string, std::string> shards;
  for (const auto &[name, shard] : *map) {
    std::optional<llvm::StringRef> file = shard.getAsString();
    if (!file)
      return failure(Exit::Malformed,
                     "it gives no shard for '" + plan::escaped(name) + "'");
    if (file->contains('/') || file->contains("..") || file->contains('\\') ||
        file->contains('\0') || !file->ends_with(".safetensors"))
      return failure(Exit::Refused,
                     "it names the shard '" + plan::escaped(*file) +
                         "'; a shard is a .safetensors file beside the index");
    shards[name.str()] = file->str();
  }
  return shards;
}

llvm::Error Safetensors::openShards(llvm::StringRef path) {
  llvm::Expected<plan::MappedFile> index = plan::MappedFile::open(path);
  if (!index)
    return index.takeError();
  llvm::Expected<std::map<std::string, std::string>> shards =
      parseIndex({reinterpret_cast<const char *>(index->bytes().data()),
                  index->bytes().size()});
  if (!shards)
    return plan::within(shards.takeError(), "'" + plan::escaped(path) + "'");
  std::set<std::string> names;
  for (const auto &[tensor, shard] : *shards)
    names.insert(shard);
  for (const std::string &shard : names) {
    llvm::SmallString<128> place(llvm::sys::path::parent_path(path));
    llvm::sys::path::append(place, shard);
    llvm::Expected<Safetensors> part = open(place);
    if (!part)
      return part.takeError();
    for (const Tensor &tensor : part->tensors()) {
      auto known = shards->find(tensor.name);
      if (known == shards->end() || known->second != shard)
        return failure(Exit::Malformed,
                       "'" + plan::escaped(path) + "': it does not say that '" +
                           plan::escaped(shard) + "' has tensor '" +
                           plan::escaped(tensor.name) + "'");
      shards->erase(known);
    }
    add(std::move(*part));
  }
  if (shards->empty())
    return llvm::Error::success();
  return failure(Exit::Malformed, "'" + plan::escaped(path) + "': tensor '" +
                                      plan::escaped(shards->begin()->first) +
                                      "' is not in its shard '" +
                                      plan::escaped(shards->begin()->second) +
                                      "'");
}

llvm::Expected<Safetensors> Safetensors::open(llvm::StringRef path) {
  if (path.ends_with(".safetensors.index.json")) {
    Safetensors result;
    if (llvm::Error error = result.openShards(path))
      return std::move(error);
    return result;
  }
  llvm::Expected<plan::MappedFile> file = plan::MappedFile::open(path);
  if (!file)
    return file.takeError();
  auto kept = std::make_shared<plan::MappedFile>(std::move(*file));
  llvm::Expected<Safetensors> result = decode(kept->bytes());
  if (!result)
    return plan::within(result.takeError(), "'" + plan::escaped(path) + "'");
  result->files.push_back(std::move(kept));
  return result;
}

llvm::Expected<Safetensors> Safetensors::collect(const TensorFile &file) {
  auto bytes = std::make_shared<std::vector<uint8_t>>();
  if (llvm::Error error = file.stream([&](llvm::ArrayRef<uint8_t> part) {
        bytes->insert(bytes->end(), part.begin(), part.end());
        return llvm::Error::success();
      }))
    return std::move(error);
  llvm::Expected<Safetensors> result = decode(*bytes);
  if (result)
    result->files.push_back(std::move(bytes));
  return result;
}
