//===- Batch.h - What a step of training is given -------------------------===//
#ifndef DIT_RUNTIME_TRAINING_BATCH_H
#define DIT_RUNTIME_TRAINING_BATCH_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace dit::runtime {

/// The samples of one micro-batch; what it points to stays until the next is
/// asked for.
struct Batch {
  llvm::ArrayRef<float> pictures;  // [batch, C, H, W]
  llvm::ArrayRef<int64_t> labels;  // [batch]
  llvm::ArrayRef<int64_t> samples; // [batch]: keys of what is drawn for each
  llvm::ArrayRef<float> noise;     // given, or empty: drawn
  llvm::ArrayRef<double> t;        // given where noise is: timesteps, or [0, 1]
};

/// Gives micro-batches in order.
class BatchSource {
public:
  virtual ~BatchSource();

  /// Goes to the sample of this number: the next micro-batch begins with it.
  virtual llvm::Error seek(int64_t sample) = 0;

  /// The next micro-batch.
  virtual llvm::Expected<Batch> next() = 0;

  /// What people call a sample of the last micro-batches: its file, or its
  /// number in the data set.
  virtual std::string describe(int64_t sample) const = 0;

  /// Samples that could not be read so far, for which others stood in.
  virtual int64_t badSamples() const { return 0; }

  /// The first of them since the last call, by name and reason.
  virtual std::vector<std::string> takeComplaints() { return {}; }
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TRAINING_BATCH_H
