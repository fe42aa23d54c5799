//===- Dataset.h - Labelled pictures to train on --------------------------===//
#ifndef DIT_RUNTIME_DATA_DATASET_H
#define DIT_RUNTIME_DATA_DATASET_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace dit::runtime {

/// What the model takes.
struct SampleShape {
  int64_t channels = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t classes = 0;

  int64_t elements() const { return channels * height * width; }
};

/// Which part of a data set: TestOrWhole is the whole of one without parts.
enum class DatasetPart { Train, Test, TestOrWhole };

/// Samples by number. read() and describe() may be called by several threads
/// at once.
class Dataset {
public:
  virtual ~Dataset();

  virtual int64_t size() const = 0;

  /// Whether a sample may be mirrored: pictures may, latents may not.
  virtual bool mirrors() const { return true; }

  /// Whether what is stored are the means and standard deviations of samples,
  /// which are to be drawn: read() then writes [2, C, H, W], the means first.
  virtual bool isDistribution() const { return false; }

  /// Writes sample `index` into `sample` [C, H, W] (pictures: in [-1, 1]), and
  /// gives its label. An error is a bad sample's, which it names.
  virtual llvm::Expected<int64_t>
  read(int64_t index, llvm::MutableArrayRef<float> sample) const = 0;

  /// What people call a sample: its file, or its number in one.
  virtual std::string describe(int64_t index) const = 0;
};

/// The kinds of data sets that openDataset() knows, for messages.
std::string datasetNames();

/// Opens the data set at `path`, of the kind `name` where given, else of the
/// kind that its files say. Exit::Usage for an unknown name, Exit::Missing
/// where files lack, Exit::Malformed where they are wrong, Exit::Contradiction
/// where they do not fit the model or have no such part.
llvm::Expected<std::unique_ptr<Dataset>>
openDataset(llvm::StringRef path, const std::optional<std::string> &name,
            DatasetPart part, const SampleShape &shape);

/// The path of a file or folder in a folder.
std::string pathIn(llvm::StringRef folder, const llvm::Twine &name);

/// Writes a picture [C, height, width] of bytes into the middle of `sample`,
/// which may be larger, byte b as b / 127.5 - 1, and -1 around it.
void centrePicture(llvm::ArrayRef<uint8_t> planes, int64_t height,
                   int64_t width, const SampleShape &shape,
                   llvm::MutableArrayRef<float> sample);

/// Exit::Contradiction where a picture of this size does not fit the model.
llvm::Error checkPictureFits(int64_t channels, int64_t height, int64_t width,
                             const SampleShape &shape);

/// Exit::Contradiction where the model has no such class.
llvm::Error checkLabel(int64_t label, const SampleShape &shape);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_DATASET_H
