//===- ResumePoint.cpp - The checkpoint to go on from ---------------------===//

#include "runtime/checkpoint/ResumePoint.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static llvm::Expected<std::optional<ResumePoint>>
newestWhole(llvm::ArrayRef<RunFolder::Entry> entries) {
  std::vector<std::string> damaged;
  for (const RunFolder::Entry &entry : entries) {
    llvm::Expected<Manifest> manifest = verifyCheckpoint(entry.path);
    if (manifest)
      return ResumePoint{entry.path, std::move(*manifest), std::move(damaged)};
    damaged.push_back(plan::describe(manifest.takeError()).second);
  }
  if (damaged.empty())
    return std::nullopt;
  return failure(Exit::Malformed,
                 "no checkpoint is whole:\n  " + llvm::join(damaged, "\n  "));
}

llvm::Expected<std::optional<ResumePoint>>
dit::runtime::findResumePoint(const RunFolder &run) {
  return newestWhole(run.checkpoints());
}

llvm::Expected<ResumePoint>
dit::runtime::openResumePoint(llvm::StringRef path) {
  std::string folder = path.rtrim('/').str();
  if (llvm::sys::fs::exists(folder + "/manifest.json")) {
    llvm::Expected<Manifest> manifest = verifyCheckpoint(folder);
    if (!manifest)
      return manifest.takeError();
    return ResumePoint{std::move(folder), std::move(*manifest), {}};
  }
  llvm::Expected<std::optional<ResumePoint>> newest =
      newestWhole(checkpointsIn(folder));
  if (!newest)
    return newest.takeError();
  if (*newest)
    return std::move(**newest);
  return failure(Exit::Missing, "'" + plan::escaped(folder) +
                                    "' is no checkpoint and has none");
}
