//===- CheckpointWriter.h - Writes checkpoints beside the training --------===//
#ifndef DIT_RUNTIME_CHECKPOINT_CHECKPOINTWRITER_H
#define DIT_RUNTIME_CHECKPOINT_CHECKPOINTWRITER_H

#include "runtime/checkpoint/RunFolder.h"

#include <chrono>
#include <future>

namespace dit::runtime {

/// A thread that writes one checkpoint at a time: the steps go on while the
/// disk works, unless the next checkpoint comes before the last is done.
class CheckpointWriter {
public:
  /// Keeps the newest `keep` checkpoints; 0: all. `run` must outlive it.
  CheckpointWriter(RunFolder &run, int64_t keep) : run(run), keep(keep) {}
  ~CheckpointWriter();

  /// Begins to write; the files' values must stay as they are until the
  /// thread is done with them, so they own what they read. Waits for the
  /// checkpoint before and returns what went wrong with it.
  llvm::Error start(Manifest manifest, std::vector<TensorFile> files);

  /// Waits at most `limit`; whether nothing is being written any more. What
  /// went wrong finish() and start() say.
  bool isDoneWithin(std::chrono::milliseconds limit) const;

  /// Waits for what is being written, and returns what went wrong with it.
  llvm::Error finish();

  /// The step of the last checkpoint that finish() or start() saw complete.
  std::optional<int64_t> lastStep() const { return written; }

private:
  RunFolder &run;
  int64_t keep;
  std::future<llvm::Error> writing; // valid from start() to finish()
  int64_t startedStep = 0;
  std::optional<int64_t> written;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_CHECKPOINT_CHECKPOINTWRITER_H
