//===- Manifest.h - What a checkpoint's folder holds ----------------------===//
//
// manifest.json, the last file that is written into a checkpoint:
//
//   { "format": 1, "number": 3, "step": 300, "samples": 76800, "seed": 0,
//     "plan": "c2ad...", "model": "tiny", "options": {"lr": "0.001", ...},
//     "files": [{"name": "model.safetensors", "bytes": 751234,
//                "xxh3": "0123..."}, ...],
//     "xxh3": "..." }
//
// The last member is the hash of the text before it, so that no bit of the
// folder can change unseen.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_CHECKPOINT_MANIFEST_H
#define DIT_RUNTIME_CHECKPOINT_MANIFEST_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace dit::runtime {

/// A checkpoint, apart from its tensors.
struct Manifest {
  /// One file beside the manifest.
  struct File {
    std::string name;
    uint64_t bytes = 0;
    std::string hash; // XXH3-128, 32 hexadecimal digits
  };

  int64_t number = 0;  // counts the checkpoints of a run's folder: the newest
                       // has the highest
  int64_t step = 0;    // optimizer steps done
  int64_t samples = 0; // data position: samples taken since the beginning
  uint64_t seed = 0;
  std::string plan;  // the plan's hash
  std::string model; // the plan's name for people
  std::vector<std::pair<std::string, std::string>> options; // for people
  std::vector<File> files;
};

/// The text of a manifest.json.
std::string encodeManifest(const Manifest &manifest);

/// Reads it. Exit::Malformed where a bit differs from what was written;
/// Exit::Refused for a file name that leaves the folder.
llvm::Expected<Manifest> parseManifest(llvm::StringRef text);

/// Reads DIR/manifest.json, and every byte of the files that it lists, whose
/// sizes and hashes must be what it says. Errors begin with the path.
llvm::Expected<Manifest> verifyCheckpoint(llvm::StringRef folder);

/// Reads every byte of one file that a manifest lists; errors as above.
llvm::Error verifyFile(llvm::StringRef folder, const Manifest::File &listed);

/// Reads DIR/manifest.json alone.
llvm::Expected<Manifest> readManifest(llvm::StringRef folder);

} // namespace dit::runtime

#endif // DIT_RUNTIME_CHECKPOINT_MANIFEST_H
