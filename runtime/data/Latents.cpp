//===- Latents.cpp - Pictures that a VAE encoded, as .npy files -----------===//

#include "runtime/data/Latents.h"

#include "runtime/data/Npy.h"
#include "runtime/diffusion/Philox.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <set>

using namespace dit;
using namespace dit::runtime;
using dit::plan::ElementType;
using dit::plan::Exit;
using dit::plan::failure;

bool dit::runtime::isLatentFolder(llvm::StringRef folder) {
  return llvm::sys::fs::is_directory(pathIn(folder, "features")) &&
         llvm::sys::fs::is_directory(pathIn(folder, "labels"));
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

//===----------------------------------------------------------------------===//
// One file
//===----------------------------------------------------------------------===//

/// The shape [channels, H, W] of an array with or without a batch of one.
static llvm::ArrayRef<int64_t> shapeOf(const Array &array) {
  llvm::ArrayRef<int64_t> shape = array.shape;
  return shape.size() == 4 && shape[0] == 1 ? shape.drop_front() : shape;
}

llvm::Expected<int64_t> dit::runtime::countPlanes(llvm::StringRef path,
                                                  const SampleShape &shape) {
  llvm::Expected<Array> array = readArray(path, {});
  if (!array)
    return array.takeError();
  llvm::ArrayRef<int64_t> given = shapeOf(*array);
  return given.size() == 3 && given[0] == 2 * shape.channels ? 2 : 1;
}

llvm::Error dit::runtime::readLatent(llvm::StringRef path,
                                     const SampleShape &shape, int64_t planes,
                                     llvm::MutableArrayRef<float> sample) {
  llvm::Expected<Array> array = readArray(path, {});
  if (!array)
    return array.takeError();
  std::string context = "'" + plan::escaped(path) + "': ";
  llvm::ArrayRef<int64_t> given = shapeOf(*array);
  const int64_t wanted[] = {planes * shape.channels, shape.height, shape.width};
  if (given != llvm::ArrayRef(wanted) || !plan::isFloat(array->type))
    return failure(Exit::Contradiction,
                   context + plan::elementName(array->type) +
                       plan::printShape(array->shape) +
                       (planes == 2 ? ", the set's means and deviations for "
                                      "the model are floats "
                                    : ", the model takes floats ") +
                       plan::printShape(wanted));
  plan::convertFloats(array->type, array->bytes.data(), ElementType::F32,
                      sample.data(), sample.size());
  for (size_t i = 0; i != sample.size(); ++i)
    if (!std::isfinite(sample[i]))
      return failure(Exit::Malformed,
                     context + "value " + llvm::Twine(i) + " is not finite");
  for (size_t i = planes == 2 ? sample.size() / 2 : sample.size();
       i != sample.size(); ++i)
    if (sample[i] < 0)
      return failure(Exit::Malformed,
                     context + "value " + llvm::Twine(i) +
                         ", a standard deviation, is negative; logarithms of "
                         "variances are not read");
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Pairs of files
//===----------------------------------------------------------------------===//

namespace {

/// Pairs of files.
class LatentDataset : public Dataset {
public:
  LatentDataset(llvm::StringRef folder, std::vector<std::string> stems,
                const SampleShape &shape)
      : folder(folder), stems(std::move(stems)), shape(shape) {}

  int64_t size() const override { return stems.size(); }
  bool mirrors() const override { return false; }
  bool isDistribution() const override { return planes == 2; }
  /// Reads the first sample, which says what all files have.
  llvm::Error checkFirst();
  llvm::Expected<int64_t>
  read(int64_t index, llvm::MutableArrayRef<float> sample) const override;
  std::string describe(int64_t index) const override {
    return "features/" + plan::escaped(stems[index]) + ".npy";
  }

private:
  llvm::Expected<int64_t> readLabel(llvm::StringRef path) const;

  std::string folder;
  std::vector<std::string> stems;
  SampleShape shape;
  int64_t planes = 1; // 2: means and standard deviations
};

} // namespace

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
  if (llvm::Error error = readLatent(pathIn(pathIn(folder, "features"), name),
                                     shape, planes, sample))
    return std::move(error);
  return readLabel(pathIn(pathIn(folder, "labels"), name));
}

llvm::Error LatentDataset::checkFirst() {
  llvm::Expected<int64_t> found = countPlanes(
      pathIn(pathIn(folder, "features"), stems.front() + ".npy"), shape);
  if (!found)
    return found.takeError();
  planes = *found;
  std::vector<float> first(planes * shape.elements());
  return read(0, first).takeError();
}

llvm::Expected<std::unique_ptr<Dataset>>
dit::runtime::openLatentFolder(llvm::StringRef folder, DatasetPart,
                               const SampleShape &shape) {
  llvm::Expected<std::vector<std::string>> features =
      listStems(pathIn(folder, "features"));
  if (!features)
    return features.takeError();
  llvm::Expected<std::vector<std::string>> labels =
      listStems(pathIn(folder, "labels"));
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
  if (dataset->size())
    if (llvm::Error error = dataset->checkFirst())
      return std::move(error);
  return dataset;
}

void dit::runtime::drawLatent(llvm::ArrayRef<float> moments, double scale,
                              uint64_t seed, int64_t number,
                              llvm::MutableArrayRef<float> sample) {
  assert(moments.size() == 2 * sample.size());
  const auto factor = static_cast<float>(scale);
  for (size_t i = 0; i < sample.size(); i += 4) {
    std::array<float, 4> noise = normals(philox(
        philoxCounter(static_cast<uint32_t>(i / 4), number, 0, LatentNoise),
        seed));
    for (size_t k = i; k < std::min(i + 4, sample.size()); ++k)
      sample[k] =
          (moments[k] + moments[sample.size() + k] * noise[k - i]) * factor;
  }
}
