//===- Dataset.cpp - Labelled pictures to train on ------------------------===//

#include "runtime/data/Dataset.h"

#include "runtime/data/Cifar.h"
#include "runtime/data/Edm2Folder.h"
#include "runtime/data/Idx.h"
#include "runtime/data/Latents.h"
#include "runtime/data/PictureFolder.h"
#include "runtime/data/WebDataset.h"
#include "runtime/plan/Failure.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <algorithm>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

Dataset::~Dataset() = default;

//===----------------------------------------------------------------------===//
// Kinds
//===----------------------------------------------------------------------===//

namespace {

/// A kind of data set.
struct Kind {
  llvm::StringRef name;
  bool hasParts; // for training and for tests
  bool (*matches)(llvm::StringRef path);
  llvm::Expected<std::unique_ptr<Dataset>> (*open)(llvm::StringRef path,
                                                   DatasetPart part,
                                                   const SampleShape &shape);
};

} // namespace

static constexpr Kind kinds[] = {
    {"fashion-mnist", true, isIdxFolder, openIdxFolder},
    {"cifar10", true, isCifarFolder, openCifarFolder},
    {"latents", false, isLatentFolder, openLatentFolder},
    {"edm2", false, isEdm2Folder, openEdm2Folder},
    {"webdataset", false, isWebDataset, openWebDataset},
    {"folder", false, isPictureFolder, openPictureFolder}};

std::string dit::runtime::datasetNames() {
  return llvm::join(
      llvm::map_range(kinds, [](const Kind &k) { return k.name; }), ", ");
}

llvm::Expected<std::unique_ptr<Dataset>>
dit::runtime::openDataset(llvm::StringRef path,
                          const std::optional<std::string> &name,
                          DatasetPart part, const SampleShape &shape) {
  const Kind *kind = std::ranges::find_if(kinds, [&](const Kind &kind) {
    return name ? kind.name == *name : kind.matches(path);
  });
  if (kind == std::end(kinds) && name)
    return failure(Exit::Usage, "--dataset '" + plan::escaped(*name) +
                                    "': must be one of " + datasetNames());
  if (!llvm::sys::fs::exists(path))
    return failure(Exit::Missing, "cannot read '" + plan::escaped(path) +
                                      "': it is not there");
  if (kind == std::end(kinds))
    return failure(Exit::Unsupported,
                   "'" + plan::escaped(path) +
                       "' has no data set that ditrun knows (" +
                       datasetNames() + "); --dataset says which it is");
  if (part == DatasetPart::Test && !kind->hasParts)
    return failure(Exit::Contradiction,
                   "'" + plan::escaped(path) + "': " + kind->name +
                       " has no test part; --eval-data says what to evaluate "
                       "on");
  llvm::Expected<std::unique_ptr<Dataset>> dataset =
      kind->open(path, part, shape);
  if (dataset && (*dataset)->size() == 0)
    return failure(Exit::Malformed,
                   "'" + plan::escaped(path) + "' has no samples");
  return dataset;
}

//===----------------------------------------------------------------------===//
// Pictures
//===----------------------------------------------------------------------===//

std::string dit::runtime::pathIn(llvm::StringRef folder,
                                 const llvm::Twine &name) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

void dit::runtime::centrePicture(llvm::ArrayRef<uint8_t> planes, int64_t height,
                                 int64_t width, const SampleShape &shape,
                                 llvm::MutableArrayRef<float> sample) {
  int64_t top = (shape.height - height) / 2, left = (shape.width - width) / 2;
  if (height != shape.height || width != shape.width)
    std::ranges::fill(sample, -1.0f);
  for (int64_t c = 0; c != shape.channels; ++c)
    for (int64_t y = 0; y != height; ++y) {
      const uint8_t *from = &planes[(c * height + y) * width];
      float *to = &sample[(c * shape.height + top + y) * shape.width + left];
      for (int64_t x = 0; x != width; ++x)
        to[x] = static_cast<float>(from[x]) / 127.5f - 1.0f;
    }
}

llvm::Error dit::runtime::checkPictureFits(int64_t channels, int64_t height,
                                           int64_t width,
                                           const SampleShape &shape) {
  if (channels == shape.channels && height > 0 && width > 0 &&
      height <= shape.height && width <= shape.width)
    return llvm::Error::success();
  return failure(Exit::Contradiction,
                 "pictures of " + llvm::Twine(channels) + " x " +
                     llvm::Twine(height) + " x " + llvm::Twine(width) +
                     " do not fit the model's " + llvm::Twine(shape.channels) +
                     " x " + llvm::Twine(shape.height) + " x " +
                     llvm::Twine(shape.width) +
                     ": channels must be equal, the rest no larger");
}

llvm::Error dit::runtime::checkLabel(int64_t label, const SampleShape &shape) {
  if (label >= 0 && label < shape.classes)
    return llvm::Error::success();
  return failure(Exit::Contradiction, "class " + llvm::Twine(label) +
                                          "; the model has 0 to " +
                                          llvm::Twine(shape.classes - 1));
}
