//===- ResumePoint.h - The checkpoint to go on from -----------------------===//
#ifndef DIT_RUNTIME_CHECKPOINT_RESUMEPOINT_H
#define DIT_RUNTIME_CHECKPOINT_RESUMEPOINT_H

#include "runtime/checkpoint/RunFolder.h"

namespace dit::runtime {

/// A whole checkpoint.
struct ResumePoint {
  std::string folder;
  Manifest manifest;
  /// What is wrong with the newer ones, a sentence each.
  std::vector<std::string> damaged;
};

/// The newest checkpoint of a run's folder of which every byte is as written;
/// nothing where there are none. Exit::Malformed where none is whole, with
/// what is wrong with each: a run must not begin anew in silence.
llvm::Expected<std::optional<ResumePoint>>
findResumePoint(const RunFolder &run);

/// The checkpoint that PATH means: itself, or the newest whole one of a run's
/// folder.
llvm::Expected<ResumePoint> openResumePoint(llvm::StringRef path);

} // namespace dit::runtime

#endif // DIT_RUNTIME_CHECKPOINT_RESUMEPOINT_H
