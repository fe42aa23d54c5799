//===- Latents.cpp - Pictures that a VAE encoded, as .npy files -----------===//

#include "runtime/data/Latents.h"

#include "runtime/data/Npy.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

using namespace dit;
using namespace dit::runtime;
using dit::plan::ElementType;
using dit::plan::Exit;
using dit::plan::failure;

static std::string join(llvm::StringRef folder, const llvm::Twine &name) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

bool dit::runtime::isLatentFolder(llvm::StringRef folder) {
  return llvm::sys::fs::is_directory(join(folder, "features")) &&
         llvm::sys::fs::is_directory(join(folder, "labels"));
}

/// The names without .npy, in the order of numbers: shorter ones first.
static llvm::Expected<std::vector<std::string>>
listStems(llvm::StringRef folder) {
  std::vector<std::string> stems;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator file(folder, error), end;
       !error && file != end; file.increment(error))
    if (llvm::sys::path::extension(file->path()) == ".npy")
      stems.push_back(llvm::sys::path::stem(file->path()).str());
  if (error)
    return failure(Exit::Missing, "cannot list '" + plan::escaped(folder) +
                                      "': " + error.message());
  llvm::sort(stems, [](const std::string &a, const std::string &b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return stems;
}

namespace {

/// Pairs of files.
class LatentDataset : public Dataset {
public:
  LatentDataset(llvm::StringRef folder, std::vector<std::string> stems,
                const SampleShape &shape)
      : folder(folder), stems(std::move(stems)), shape(shape) {}

  int64_t size() const override { return stems.size(); }
  bool mirrors() const override { return false; }
  llvm::Expected<int64_t>
  read(int64_t index, llvm::MutableArrayRef<float> sample) const override;
  std::string describe(int64_t index) const override {
    return "features/" + plan::escaped(stems[index]) + ".npy";
  }

private:
  llvm::Error readLatent(llvm::StringRef path,
                         llvm::MutableArrayRef<float> sample) const;
  llvm::Expected<int64_t> readLabel(llvm::StringRef path) const;

  std::string folder;
  std::vector<std::string> stems;
  SampleShape shape;
};

} // namespace

llvm::Error
LatentDataset::readLatent(llvm::StringRef path,
                          llvm::MutableArrayRef<float> sample) const {
  llvm::Expected<Array> array = readArray(path, {});
  if (!array)
    return array.takeError();
  std::string context = "'" + plan::escaped(path) + "': ";
  llvm::ArrayRef<int64_t> given = array->shape;
  if (given.size() == 4 && given[0] == 1)
    given = given.drop_front();
  const int64_t wanted[] = {shape.channels, shape.height, shape.width};
  if (given.size() == 3 && given[0] == 2 * shape.channels &&
      given.drop_front() == llvm::ArrayRef(wanted).drop_front())
    return failure(Exit::Unsupported,
                   context + plan::printShape(given) +
                       " seem to be means and deviations; latents that were "
                       "sampled, " +
                       plan::printShape(wanted) + ", can be read");
  if (given != llvm::ArrayRef(wanted) || !plan::isFloat(array->type))
    return failure(Exit::Contradiction,
                   context + plan::elementName(array->type) +
                       plan::printShape(array->shape) +
                       ", the model takes floats " + plan::printShape(wanted));
  plan::convertFloats(array->type, array->bytes.data(), ElementType::F32,
                      sample.data(), sample.size());
  for (size_t i = 0; i != sample.size(); ++i)
    if (!std::isfinite(sample[i]))
      return failure(Exit::Malformed,
                     context + "value " + llvm::Twine(i) + " is not finite");
  return llvm::Error::success();
}

llvm::Expected<int64_t> LatentDataset::readLabel(llvm::StringRef path) const {
  llvm::Expected<Array> array = readArray(path, {});
  if (!array)
    return array.takeError();
  std::string context = "'" + plan::escaped(path) + "'";
  bool lossy = false;
  Array converted = convertArray(*array, ElementType::I64, lossy);
  if (array->elements() != 1 || lossy)
    return failure(Exit::Malformed, context + ": " +
                                        plan::elementName(array->type) +
                                        plan::printShape(array->shape) +
                                        " is not one class's number");
  int64_t label = 0;
  std::memcpy(&label, converted.bytes.data(), sizeof(label));
  if (llvm::Error error = checkLabel(label, shape))
    return plan::within(std::move(error), context);
  return label;
}

llvm::Expected<int64_t>
LatentDataset::read(int64_t index, llvm::MutableArrayRef<float> sample) const {
  std::string name = stems[index] + ".npy";
  if (llvm::Error error =
          readLatent(join(join(folder, "features"), name), sample))
    return std::move(error);
  return readLabel(join(join(folder, "labels"), name));
}

llvm::Expected<std::unique_ptr<Dataset>>
dit::runtime::openLatentFolder(llvm::StringRef folder, DatasetPart,
                               const SampleShape &shape) {
  llvm::Expected<std::vector<std::string>> features =
      listStems(join(folder, "features"));
  if (!features)
    return features.takeError();
  llvm::Expected<std::vector<std::string>> labels =
      listStems(join(folder, "labels"));
  if (!labels)
    return labels.takeError();
  auto [feature, label] = std::ranges::mismatch(*features, *labels);
  if (feature != features->end() || label != labels->end()) {
    // The sets differ: name one that the other folder lacks.
    std::set<llvm::StringRef> all(labels->begin(), labels->end());
    auto lone = llvm::find_if(*features, [&](const std::string &stem) {
      return !all.contains(stem);
    });
    std::string what =
        lone != features->end()
            ? "features/" + plan::escaped(*lone) + ".npy has no label"
            : "labels/ has files without features";
    return failure(Exit::Malformed,
                   "'" + plan::escaped(folder) + "': " + what + " (" +
                       llvm::Twine(features->size()) + " features, " +
                       llvm::Twine(labels->size()) + " labels)");
  }
  auto dataset =
      std::make_unique<LatentDataset>(folder, std::move(*features), shape);
  if (dataset->size()) {
    std::vector<float> first(shape.elements());
    if (llvm::Expected<int64_t> read = dataset->read(0, first); !read)
      return read.takeError();
  }
  return dataset;
}
