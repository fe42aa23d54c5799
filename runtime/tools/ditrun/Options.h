//===- Options.h - ditrun's command line, taken apart ---------------------===//
#ifndef DIT_RUNTIME_TOOLS_DITRUN_OPTIONS_H
#define DIT_RUNTIME_TOOLS_DITRUN_OPTIONS_H

#include "runtime/diffusion/Schedule.h"
#include "runtime/tools/ditrun/TrainingOptions.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <vector>

namespace dit::runtime {

/// What ditrun is asked to do.
enum class Task { Run, Inspect, Verify, Doctor, Help, Version };

/// The values of all flags; an empty optional is a flag not given.
struct Options {
  Task task = Task::Run;
  std::string plan;
  std::optional<std::string> weights;

  TrainingOptions training;

  // What to sample.
  std::optional<std::string> labels;
  std::optional<int64_t> count;

  // How to sample.
  std::optional<Sampler> sampler;
  std::optional<int64_t> steps;
  std::optional<double> guidance;
  std::optional<int64_t> guidedChannels; // -1: all
  std::optional<double> eta;
  std::optional<double> shift;
  std::optional<uint64_t> seed;
  std::optional<std::string> initialNoise;
  std::optional<std::string> stepNoise;

  // Where pictures go.
  std::optional<std::string> folder;
  std::optional<int64_t> gridColumns;
  std::optional<std::string> savedArray;

  // Forward plans: "NAME=FILE" or "FILE".
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;

  // Comparing.
  std::optional<std::string> expected;
  std::optional<double> absoluteTolerance;
  std::optional<double> relativeTolerance;

  // Looking inside.
  std::optional<double> benchSeconds;
  std::optional<std::string> trace;

  unsigned threads = 0; // 0: all cores
  bool tune = false;    // measure matrix products, keep what is fastest
  bool quiet = false;
  bool verbose = false;

  /// The flags given, in order, for messages about contradictions.
  std::vector<std::string> given;
};

/// Takes a command line apart (without the program's name). Exit::Usage for
/// what is malformed, with the nearest flag where a name is unknown.
llvm::Expected<Options> parseOptions(llvm::ArrayRef<llvm::StringRef> arguments);

/// Whether a flag means something for train plans only.
bool isTrainingFlag(llvm::StringRef name);

/// What --help prints: flags in groups, with examples.
std::string helpText();

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_OPTIONS_H
