//===- Edm2Folder.cpp - Samples that a dataset.json lists -----------------===//
//
// Format: NVlabs/edm2 dataset_tool.py; sihyun-yu/REPA preprocessing/
// dataset_tools.py and encoders.py, whose .npy files are means and standard
// deviations of a VAE's distributions, [2 C, H, W].
//
//===----------------------------------------------------------------------===//

#include "runtime/data/Edm2Folder.h"

#include "runtime/data/Latents.h"
#include "runtime/data/PictureFile.h"
#include "runtime/data/PictureFolder.h"
#include "runtime/data/SampleList.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Reader.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <vector>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

bool dit::runtime::isEdm2Folder(llvm::StringRef folder) {
  return llvm::sys::fs::exists(pathIn(folder, "dataset.json"));
}

namespace {

/// Paths and classes.
class Edm2Folder : public Dataset {
public:
  Edm2Folder(llvm::StringRef folder, const SampleShape &shape)
      : folder(folder), shape(shape) {}

  llvm::Error addSample(llvm::StringRef path, int64_t label);
  /// Checks that the files fit the model, of .npy files the first one.
  llvm::Error checkFiles();
  int64_t size() const override { return samples.size(); }
  bool mirrors() const override { return hasPictures; }
  bool isDistribution() const override { return planes == 2; }
  llvm::Expected<int64_t>
  read(int64_t index, llvm::MutableArrayRef<float> sample) const override;
  std::string describe(int64_t index) const override {
    return plan::escaped(nameOf(index));
  }

private:
  llvm::StringRef nameOf(int64_t index) const {
    return llvm::StringRef(names).slice(index ? samples[index - 1].nameEnd : 0,
                                        samples[index].nameEnd);
  }

  struct Sample {
    size_t nameEnd;
    int64_t label;
  };

  std::string folder;
  SampleShape shape;
  bool hasPictures = false;
  int64_t planes = 1; // 2: means and standard deviations
  std::string names;  // one after the other: a list may have millions
  std::vector<Sample> samples;
};

} // namespace

/// Whether a path from outside stays within the folder it is appended to.
static bool staysWithin(llvm::StringRef path) {
  return !llvm::sys::path::is_absolute(path) && !path.contains('\\') &&
         !path.contains('\0') &&
         llvm::none_of(llvm::make_range(llvm::sys::path::begin(path),
                                        llvm::sys::path::end(path)),
                       [](llvm::StringRef part) { return part == ".."; });
}

llvm::Error Edm2Folder::addSample(llvm::StringRef path, int64_t label) {
  bool isPicture = isPictureName(path);
  if (!isPicture && !path.ends_with_insensitive(".npy"))
    return failure(Exit::Unsupported,
                   "files of this kind are not supported, only .npy, .png, "
                   ".jpg and .jpeg");
  if (!staysWithin(path))
    return failure(Exit::Refused, "refused: the path must stay in the folder");
  if (samples.empty())
    hasPictures = isPicture;
  if (isPicture != hasPictures)
    return failure(Exit::Malformed,
                   "the list has both pictures and .npy files; give each a "
                   "folder and a dataset.json of its own");
  if (llvm::Error error = checkLabel(label, shape))
    return error;
  names.append(path.data(), path.size());
  samples.push_back({names.size(), label});
  return llvm::Error::success();
}

llvm::Error Edm2Folder::checkFiles() {
  if (samples.empty())
    return llvm::Error::success();
  if (hasPictures) {
    llvm::Error error = checkTakesPictures(shape);
    return error ? plan::within(std::move(error),
                                "'" + plan::escaped(folder) + "'")
                 : llvm::Error::success();
  }
  llvm::Expected<int64_t> found = countPlanes(pathIn(folder, nameOf(0)), shape);
  if (!found)
    return found.takeError();
  planes = *found;
  std::vector<float> first(planes * shape.elements());
  return read(0, first).takeError();
}

llvm::Expected<int64_t>
Edm2Folder::read(int64_t index, llvm::MutableArrayRef<float> sample) const {
  std::string path = pathIn(folder, nameOf(index));
  if (!hasPictures) {
    if (llvm::Error error = readLatent(path, shape, planes, sample))
      return std::move(error);
    return samples[index].label;
  }
  if (llvm::Error error = readPictureFile(path, shape, sample))
    return std::move(error);
  return samples[index].label;
}

llvm::Expected<std::unique_ptr<Dataset>>
dit::runtime::openEdm2Folder(llvm::StringRef folder, DatasetPart,
                             const SampleShape &shape) {
  std::string path = pathIn(folder, "dataset.json");
  std::string context = "'" + plan::escaped(path) + "'";
  llvm::Expected<plan::MappedFile> file = plan::MappedFile::open(path);
  if (!file)
    return file.takeError();
  auto dataset = std::make_unique<Edm2Folder>(folder, shape);
  llvm::Expected<bool> hasLabels =
      readSampleList(llvm::toStringRef(file->bytes()),
                     [&](llvm::StringRef path, int64_t label) {
                       return dataset->addSample(path, label);
                     });
  if (!hasLabels)
    return plan::within(hasLabels.takeError(), context);
  if (!*hasLabels)
    return failure(Exit::Contradiction,
                   context + " has no labels, and training needs a class for "
                             "each sample: write them into it, or say "
                             "--dataset folder where folders of pictures are "
                             "the classes");
  if (llvm::Error error = dataset->checkFiles())
    return std::move(error);
  return dataset;
}
