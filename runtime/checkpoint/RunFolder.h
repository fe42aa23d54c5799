//===- RunFolder.h - A training run's folder of checkpoints ---------------===//
//
//   run/step-0000000100/   model.safetensors, ema.safetensors, manifest.json...
//   run/step-0000000200/
//   run/latest             -> step-0000000200
//   run/samples/           pictures
//   run/.partial-...       a checkpoint that is being written
//   run/.removed-...       one that is being removed
//
// A checkpoint appears by one rename, after everything in it has reached the
// disk, and disappears by one: whenever the process is killed, every folder
// named step-... is whole. What begins with a dot is removed by the next run,
// and so are pictures that were being written.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_CHECKPOINT_RUNFOLDER_H
#define DIT_RUNTIME_CHECKPOINT_RUNFOLDER_H

#include "runtime/checkpoint/Manifest.h"
#include "runtime/checkpoint/TensorFile.h"

#include <functional>
#include <optional>

namespace dit::runtime {

/// One folder named step-...; `number` is its manifest's, or -1 where that
/// cannot be read.
struct CheckpointEntry {
  std::string path;
  int64_t step;
  int64_t number;
};

/// All of a run's folder, the newest first.
std::vector<CheckpointEntry> checkpointsIn(llvm::StringRef folder);

/// A run's folder, locked for one process.
class RunFolder {
public:
  /// Makes and locks the folder and removes what killed runs left unfinished.
  /// Exit::CannotCreate where that is not possible, or another process has it.
  static llvm::Expected<RunFolder> open(llvm::StringRef path);

  RunFolder(RunFolder &&other) noexcept;
  RunFolder &operator=(RunFolder &&) = delete;
  ~RunFolder();

  const std::string &path() const { return folder; }

  using Entry = CheckpointEntry;

  /// All of them, the newest first.
  std::vector<Entry> checkpoints() const { return checkpointsIn(folder); }

  /// Writes a checkpoint as step-<manifest.step>, in the place of one of that
  /// step, and points `latest` at it; sets number and files of the manifest.
  /// Exit::InputOutput where the disk is full; then nothing is left of it.
  llvm::Error write(Manifest manifest, llvm::ArrayRef<TensorFile> files);

  /// Removes all checkpoints but the newest `count`.
  llvm::Error keepNewest(int64_t count);

  /// Called with its name before each system call that changes the folder:
  /// tests stop the process there.
  void beforeEachChange(std::function<void(llvm::StringRef)> hook) {
    change = std::move(hook);
  }

private:
  RunFolder(std::string folder, int descriptor)
      : folder(std::move(folder)), descriptor(descriptor) {}
  std::string place(llvm::StringRef name) const;
  void announce(llvm::StringRef call) const {
    if (change)
      change(call);
  }
  llvm::Error systemError(llvm::StringRef call, llvm::StringRef path) const;
  llvm::Error writeFiles(llvm::StringRef partial, Manifest &manifest,
                         llvm::ArrayRef<TensorFile> files) const;
  llvm::Error appear(llvm::StringRef partial, llvm::StringRef name) const;
  llvm::Error pointLatest(llvm::StringRef name) const;
  llvm::Error synchronize(llvm::StringRef path) const;
  llvm::Error removeTree(llvm::StringRef path) const;
  llvm::Error removeLeftovers() const;

  std::string folder;
  int descriptor;
  std::function<void(llvm::StringRef)> change;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_CHECKPOINT_RUNFOLDER_H
