//===- DitConfig.cpp - Which DiT to build ---------------------------------===//
#include "frontends/builder/DitConfig.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

using namespace dit;
using llvm::StringRef;
using llvm::Twine;

namespace {
struct NamedSize {
  StringRef name;
  int64_t depth, hidden, heads;
};
} // namespace

static constexpr int64_t pixelsPerLatent = 8;
/// Far above any model; products of two sizes stay below 2^63.
static constexpr int64_t largest = 1 << 20;
static const NamedSize namedSizes[] = {{"DiT-XL", 28, 1152, 16},
                                       {"DiT-L", 24, 1024, 16},
                                       {"DiT-B", 12, 768, 12},
                                       {"DiT-S", 12, 384, 6}};
static constexpr int64_t namedPatches[] = {2, 4, 8};

static llvm::Error error(const Twine &message) {
  return llvm::createStringError(message);
}

static llvm::Error setName(StringRef name, DitConfig &config) {
  auto [size, patch] = name.split('/');
  for (const NamedSize &known : namedSizes) {
    int64_t number = 0;
    if (size != known.name || patch.getAsInteger(10, number) ||
        !llvm::is_contained(namedPatches, number))
      continue;
    config.name = name.str();
    config.depth = known.depth;
    config.hidden = known.hidden;
    config.heads = known.heads;
    config.patch = number;
    return llvm::Error::success();
  }
  return error("no built-in model is called '" + name +
               "'; there are DiT-S, DiT-B, DiT-L and DiT-XL with /2, /4 or /8, "
               "and lists like depth=12,hidden=384,heads=6,patch=2");
}

static llvm::Error setField(StringRef key, StringRef text, DitConfig &config) {
  int64_t value = 0;
  if (text.getAsInteger(10, value) || value < 0 || value > largest)
    return error("'" + key + "=" + text + "' needs a number up to " +
                 Twine(largest));
  if (key == "sigma") {
    if (value > 1)
      return error("sigma is 0 or 1: whether the model gives a variance");
    config.learnedSigma = value == 1;
    return llvm::Error::success();
  }
  const std::pair<StringRef, int64_t *> fields[] = {
      {"depth", &config.depth},     {"hidden", &config.hidden},
      {"heads", &config.heads},     {"patch", &config.patch},
      {"size", &config.size},       {"channels", &config.channels},
      {"classes", &config.classes}, {"mlp", &config.mlpRatio}};
  for (const auto &[name, field] : fields)
    if (key == name) {
      *field = value;
      return llvm::Error::success();
    }
  return error("a DiT has no '" + key +
               "'; it has depth, hidden, heads, patch, size, channels, "
               "classes, mlp and sigma");
}

static llvm::Error check(const DitConfig &config) {
  for (auto [name, value] :
       std::initializer_list<std::pair<StringRef, int64_t>>{
           {"depth", config.depth},
           {"hidden", config.hidden},
           {"heads", config.heads},
           {"patch", config.patch},
           {"size", config.size},
           {"channels", config.channels},
           {"classes", config.classes},
           {"mlp", config.mlpRatio}})
    if (value < 1)
      return error("the model needs " + name + "=N, at least 1");
  if (config.hidden % config.heads)
    return error(Twine(config.heads) + " heads do not divide hidden " +
                 Twine(config.hidden));
  if (config.hidden % 4)
    return error("hidden " + Twine(config.hidden) +
                 " is no multiple of 4, which the position table needs");
  if (config.size % config.patch)
    return error("patch " + Twine(config.patch) +
                 " does not divide the latent's size " + Twine(config.size));
  return llvm::Error::success();
}

llvm::Expected<DitConfig> dit::parseDitConfig(StringRef spec,
                                              int64_t imageSize) {
  DitConfig config;
  if (imageSize) {
    if (imageSize < 0 || imageSize % pixelsPerLatent)
      return error("image size " + Twine(imageSize) +
                   " is no multiple of 8, the pixels of one latent");
    config.size = imageSize / pixelsPerLatent;
  }
  llvm::SmallVector<StringRef> words;
  spec.split(words, ',');
  for (auto [index, word] : llvm::enumerate(words)) {
    auto [key, value] = word.split('=');
    bool isField = word.contains('=');
    if (llvm::Error wrong = isField || index ? setField(key, value, config)
                                             : setName(word, config))
      return wrong;
  }
  if (llvm::Error wrong = check(config))
    return wrong;
  if (config.name == "DiT")
    config.name = spec.str();
  return config;
}
