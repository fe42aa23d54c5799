//===- CheckpointWriter.cpp - Writes checkpoints beside the training ------===//

#include "runtime/checkpoint/CheckpointWriter.h"

using namespace dit::runtime;

CheckpointWriter::~CheckpointWriter() { llvm::consumeError(finish()); }

llvm::Error CheckpointWriter::finish() {
  if (!thread.joinable())
    return llvm::Error::success();
  thread.join();
  llvm::Error error = std::move(*result);
  result.reset();
  if (error)
    return error;
  written = startedStep;
  return llvm::Error::success();
}

llvm::Error CheckpointWriter::start(Manifest manifest,
                                    std::vector<TensorFile> files) {
  if (llvm::Error error = finish())
    return error;
  startedStep = manifest.step;
  thread = std::thread([this, manifest = std::move(manifest),
                        files = std::move(files)]() mutable {
    llvm::Error error = run.write(std::move(manifest), files);
    // The copies of the values are no longer needed.
    files.clear();
    if (!error && keep)
      error = run.keepNewest(keep);
    result.emplace(std::move(error));
  });
  return llvm::Error::success();
}
