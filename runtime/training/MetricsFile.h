//===- MetricsFile.h - metrics.jsonl: one line a logged step --------------===//
#ifndef DIT_RUNTIME_TRAINING_METRICSFILE_H
#define DIT_RUNTIME_TRAINING_METRICSFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace dit::runtime {

/// Means over parts of the range of t.
struct LossByTime {
  static constexpr int64_t parts = 10;

  std::array<double, parts> sum = {};
  std::array<int64_t, parts> count = {};

  /// The loss of a sample at `t` of a range of `timesteps`.
  void add(double t, double timesteps, double loss);
  /// The mean of a part; nothing where no sample fell into it.
  std::optional<double> mean(int64_t part) const;
};

/// What a step of training was like.
struct StepMetrics {
  int64_t step = 0; // steps done, this one included
  double mse = 0;
  double vb = 0; // 0 without learned sigma
  double gradientNorm = 0;
  double learningRate = 0;
  double imagesPerSecond = 0;
  double milliseconds = 0;
  uint64_t memoryBytes = 0;
  std::optional<double> lossScale;
  LossByTime byTime;
  bool skipped = false; // gradients not finite: nothing was changed

  double loss() const { return mse + vb; }
};

/// One line of JSON, without its end. Numbers that are not finite are null.
std::string encodeMetrics(const StepMetrics &metrics);

/// The same for an evaluation: step, eval_mse, eval_vb.
std::string encodeEvaluation(int64_t step, double mse, double vb);

/// The file; a line is in it when add() returns.
class MetricsFile {
public:
  /// Opens FOLDER/metrics.jsonl and cuts off what a run that is gone on with
  /// wrote after `step`, and a line without an end.
  static llvm::Expected<MetricsFile> open(llvm::StringRef folder, int64_t step);

  MetricsFile(MetricsFile &&other) noexcept;
  MetricsFile &operator=(MetricsFile &&) = delete;
  ~MetricsFile();

  llvm::Error add(llvm::StringRef line);

private:
  MetricsFile(std::string path, int descriptor)
      : path(std::move(path)), descriptor(descriptor) {}

  std::string path;
  int descriptor;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TRAINING_METRICSFILE_H
