//===- CheckpointWriter.cpp - Writes checkpoints beside the training ------===//

#include "runtime/checkpoint/CheckpointWriter.h"

using namespace dit::runtime;

CheckpointWriter::~CheckpointWriter() { llvm::consumeError(finish()); }

llvm::Error CheckpointWriter::finish() {
  if (!writing.valid())
    return llvm::Error::success();
  if (llvm::Error error = writing.get())
    return error;
  written = startedStep;
  return llvm::Error::success();
}

bool CheckpointWriter::isDoneWithin(std::chrono::milliseconds limit) const {
  return !writing.valid() ||
         writing.wait_for(limit) == std::future_status::ready;
}

llvm::Error CheckpointWriter::start(Manifest manifest,
                                    std::vector<TensorFile> files) {
  if (llvm::Error error = finish())
    return error;
  startedStep = manifest.step;
  auto write = [this, manifest = std::move(manifest),
                files = std::move(files)]() mutable -> llvm::Error {
    llvm::Error error = run.write(std::move(manifest), files);
    // The copies of the values are no longer needed.
    files.clear();
    if (!error && keep)
      error = run.keepNewest(keep);
    return error;
  };
  writing = std::async(std::launch::async, std::move(write));
  return llvm::Error::success();
}
