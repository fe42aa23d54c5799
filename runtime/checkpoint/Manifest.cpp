//===- Manifest.cpp - What a checkpoint's folder holds --------------------===//

#include "runtime/checkpoint/Manifest.h"

#include "runtime/checkpoint/JsonText.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Format.h"
#include "runtime/plan/Reader.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static constexpr int64_t formatVersion = 1;
static constexpr llvm::StringLiteral fileName = "manifest.json";
/// What stands before and after the hash at the text's end.
static constexpr llvm::StringLiteral hashBegin = ",\n  \"xxh3\": \"";
static constexpr llvm::StringLiteral hashEnd = "\"\n}\n";
static constexpr size_t hashDigits = 32;
static constexpr size_t tailBytes =
    hashBegin.size() + hashDigits + hashEnd.size();

static std::string hashOf(llvm::StringRef text) {
  return plan::hexadecimal(plan::hashBytes(
      {reinterpret_cast<const uint8_t *>(text.data()), text.size()}));
}

std::string dit::runtime::encodeManifest(const Manifest &manifest) {
  using namespace llvm::json;
  auto text = [](const std::string &value) { return fixUTF8(value); };
  Object options;
  for (const auto &[name, value] : manifest.options)
    options[text(name)] = text(value);
  Array files;
  for (const Manifest::File &file : manifest.files)
    files.push_back(Object{
        {"name", text(file.name)}, {"bytes", file.bytes}, {"xxh3", file.hash}});
  Value value =
      Object{{"format", formatVersion},       {"number", manifest.number},
             {"step", manifest.step},         {"samples", manifest.samples},
             {"seed", manifest.seed},         {"plan", text(manifest.plan)},
             {"model", text(manifest.model)}, {"options", std::move(options)},
             {"files", std::move(files)}};
  std::string result = llvm::formatv("{0:2}", value).str();
  // "\n}" gives way to the hash of what stands before it.
  result.resize(result.size() - 2);
  std::string hash = hashOf(result);
  return result + hashBegin.str() + hash + hashEnd.str();
}

static llvm::Error malformed(const llvm::Twine &why) {
  return failure(Exit::Malformed, why);
}

static llvm::Error readFiles(const llvm::json::Object &object,
                             Manifest &manifest) {
  const llvm::json::Array *files = object.getArray("files");
  if (!files)
    return malformed("it lists no files");
  for (const llvm::json::Value &value : *files) {
    const llvm::json::Object *entry = value.getAsObject();
    std::optional<llvm::StringRef> name, hash;
    std::optional<int64_t> bytes;
    if (entry) {
      name = entry->getString("name");
      hash = entry->getString("xxh3");
      bytes = entry->getInteger("bytes");
    }
    if (!name || !hash || !bytes || *bytes < 0)
      return malformed("a file has no name, bytes or xxh3");
    if (name->empty() || name->contains('/') || name->contains('\\') ||
        name->contains('\0') || name->starts_with("."))
      return failure(Exit::Refused, "it lists the file '" +
                                        plan::escaped(*name) +
                                        "', which is no plain name");
    manifest.files.push_back(
        {name->str(), static_cast<uint64_t>(*bytes), hash->str()});
  }
  return llvm::Error::success();
}

llvm::Expected<Manifest> dit::runtime::parseManifest(llvm::StringRef text) {
  llvm::StringRef body = text.drop_back(std::min(tailBytes, text.size()));
  llvm::StringRef tail = text.drop_front(body.size());
  if (!tail.consume_front(hashBegin) || !tail.consume_back(hashEnd) ||
      tail != hashOf(body))
    return malformed("it is damaged: its own hash does not fit");
  constexpr size_t most = 1 << 20;
  llvm::Expected<llvm::json::Object> object = parseJsonObject(text, most);
  if (!object)
    return object.takeError();
  std::optional<int64_t> format = object->getInteger("format");
  if (format != formatVersion)
    return failure(Exit::Unsupported, "its format is not 1");
  Manifest manifest;
  auto integer = [&](llvm::StringRef key, int64_t &value) {
    std::optional<int64_t> number = object->getInteger(key);
    value = number.value_or(-1);
    return value >= 0;
  };
  const llvm::json::Value *seed = object->get("seed");
  std::optional<uint64_t> seedNumber =
      seed ? seed->getAsUINT64() : std::nullopt;
  std::optional<llvm::StringRef> plan = object->getString("plan");
  std::optional<llvm::StringRef> model = object->getString("model");
  const llvm::json::Object *options = object->getObject("options");
  if (!integer("number", manifest.number) || !integer("step", manifest.step) ||
      !integer("samples", manifest.samples) || !seedNumber || !plan || !model ||
      !options)
    return malformed("it lacks number, step, samples, seed, plan, model or "
                     "options");
  manifest.seed = *seedNumber;
  manifest.plan = plan->str();
  manifest.model = model->str();
  for (const auto &[name, value] : *options)
    manifest.options.push_back(
        {name.str(), value.getAsString().value_or("").str()});
  llvm::sort(manifest.options);
  if (llvm::Error error = readFiles(*object, manifest))
    return std::move(error);
  return manifest;
}

static llvm::SmallString<128> within(llvm::StringRef folder,
                                     llvm::StringRef name) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return path;
}

llvm::Expected<Manifest> dit::runtime::readManifest(llvm::StringRef folder) {
  llvm::SmallString<128> path = within(folder, fileName);
  llvm::Expected<plan::MappedFile> file = plan::MappedFile::open(path);
  if (!file)
    return file.takeError();
  llvm::Expected<Manifest> manifest =
      parseManifest({reinterpret_cast<const char *>(file->bytes().data()),
                     file->bytes().size()});
  if (!manifest)
    return plan::within(manifest.takeError(), "'" + plan::escaped(path) + "'");
  return manifest;
}

llvm::Error dit::runtime::verifyFile(llvm::StringRef folder,
                                     const Manifest::File &listed) {
  llvm::SmallString<128> path = within(folder, listed.name);
  llvm::Expected<plan::MappedFile> file = plan::MappedFile::open(path);
  if (!file)
    return file.takeError();
  if (file->bytes().size() != listed.bytes)
    return malformed("'" + plan::escaped(path) + "' has " +
                     llvm::Twine(file->bytes().size()) +
                     " bytes, its manifest says " + llvm::Twine(listed.bytes));
  if (plan::hexadecimal(plan::hashBytes(file->bytes())) != listed.hash)
    return malformed("'" + plan::escaped(path) +
                     "' is damaged: its hash is not the manifest's");
  return llvm::Error::success();
}

llvm::Expected<Manifest>
dit::runtime::verifyCheckpoint(llvm::StringRef folder) {
  llvm::Expected<Manifest> manifest = readManifest(folder);
  if (!manifest)
    return manifest.takeError();
  for (const Manifest::File &listed : manifest->files)
    if (llvm::Error error = verifyFile(folder, listed))
      return std::move(error);
  return manifest;
}
