//===- GivenBatches.cpp - Training batches from a file --------------------===//

#include "runtime/training/GivenBatches.h"

#include "runtime/data/Npy.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <cstring>
#include <numeric>

using namespace dit;
using namespace dit::runtime;
using dit::plan::ElementType;
using dit::plan::Exit;
using dit::plan::failure;

/// An array of the file as `T`, whose shape must be [steps, batch] + `rest`.
template <typename T>
static llvm::Error take(llvm::StringRef flag, llvm::StringRef path,
                        const char *name, ElementType type,
                        std::vector<int64_t> &leading,
                        llvm::ArrayRef<int64_t> rest, std::vector<T> &values) {
  llvm::Expected<Array> array = readArray(path, {name});
  if (!array)
    return array.takeError();
  llvm::ArrayRef<int64_t> shape = array->shape;
  if (leading.empty() && shape.size() >= 2)
    leading = shape.take_front(2).vec();
  std::vector<int64_t> expected = leading;
  expected.insert(expected.end(), rest.begin(), rest.end());
  if (leading.empty() || shape != llvm::ArrayRef(expected))
    return failure(Exit::Contradiction,
                   flag + ": " + llvm::Twine(name) + " is " +
                       plan::printShape(shape) + ", expected [steps, batch" +
                       (rest.empty() ? "" : ", C, H, W") +
                       "] = " + plan::printShape(expected));
  bool lossy = false;
  Array converted = convertArray(*array, type, lossy);
  if (lossy)
    return failure(Exit::Malformed, flag + ": " + llvm::Twine(name) +
                                        " has values that are no " +
                                        plan::elementName(type));
  values.resize(converted.elements());
  std::memcpy(values.data(), converted.bytes.data(), converted.bytes.size());
  return llvm::Error::success();
}

/// Times of a flow lie in [0, 1], timesteps are whole and below their number.
static llvm::Error checkTimes(llvm::StringRef flag,
                              llvm::ArrayRef<double> times,
                              const proto::Training &training) {
  const bool isFlow = training.schedule() == "flow";
  for (double t : times) {
    if (isFlow ? t >= 0 && t <= 1
               : t >= 0 && t < static_cast<double>(training.timesteps()) &&
                     t == std::floor(t))
      continue;
    std::string expected = isFlow
                               ? "a flow's times are from 0 to 1"
                               : "timesteps are whole numbers from 0 to " +
                                     std::to_string(training.timesteps() - 1);
    std::string text;
    llvm::raw_string_ostream(text)
        << flag << llvm::format(": t = %g, but ", t) << expected;
    return failure(Exit::Contradiction, text);
  }
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<GivenBatches>>
GivenBatches::open(llvm::StringRef flag, llvm::StringRef path,
                   const proto::Training &training) {
  std::unique_ptr<GivenBatches> file(new GivenBatches);
  file->flag = flag.str();
  std::vector<int64_t> leading;
  const int64_t picture[] = {training.channels(), training.height(),
                             training.width()};
  if (llvm::Error error = take(flag, path, "x0", ElementType::F32, leading,
                               picture, file->pictures))
    return std::move(error);
  if (llvm::Error error = take(flag, path, "noise", ElementType::F32, leading,
                               picture, file->noise))
    return std::move(error);
  if (llvm::Error error =
          take(flag, path, "t", ElementType::F64, leading, {}, file->t))
    return std::move(error);
  if (llvm::Error error = take(flag, path, "labels", ElementType::I64, leading,
                               {}, file->labels))
    return std::move(error);
  file->stepCount = leading[0];
  file->stepBatch = leading[1];
  file->batch = training.batch();
  file->elements = picture[0] * picture[1] * picture[2];
  if (file->stepCount == 0 || file->stepBatch == 0 ||
      file->stepBatch % file->batch != 0)
    return failure(Exit::Contradiction,
                   flag + ": a step has " + llvm::Twine(leading[1]) +
                       " samples, which is no multiple of the plan's batch " +
                       llvm::Twine(file->batch) + ": compile with --batch " +
                       llvm::Twine(leading[1]));
  for (int64_t label : file->labels)
    if (label < 0 || label > training.classes())
      return failure(
          Exit::Contradiction,
          flag + ": label " + llvm::Twine(label) + "; the model has 0 to " +
              llvm::Twine(training.classes()) + ", the last for no label");
  if (llvm::Error error = checkTimes(flag, file->t, training))
    return std::move(error);
  file->samples.resize(file->labels.size());
  std::iota(file->samples.begin(), file->samples.end(), 0);
  return file;
}

llvm::Expected<Batch> GivenBatches::next() {
  if (position + batch > static_cast<int64_t>(samples.size()))
    return failure(Exit::Contradiction, flag + " has " +
                                            llvm::Twine(stepCount) +
                                            " steps, and all are done");
  auto part = [&](const auto &values, int64_t size) {
    return llvm::ArrayRef(values).slice(position * size, batch * size);
  };
  Batch result{part(pictures, elements), part(labels, 1), part(samples, 1),
               part(noise, elements), part(t, 1)};
  position += batch;
  return result;
}

std::string GivenBatches::describe(int64_t sample) const {
  return "step " + std::to_string(sample / stepBatch) + " row " +
         std::to_string(sample % stepBatch) + " of " + flag;
}
