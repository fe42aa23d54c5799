//===- Flags.h - ditc's command line as a struct ----------------*- C++ -*-===//
#ifndef COMPILER_TOOLS_DITC_FLAGS_H
#define COMPILER_TOOLS_DITC_FLAGS_H

#include "compiler/Compiler.h"

#include "llvm/ADT/StringMap.h"

#include <optional>
#include <string>
#include <vector>

namespace dit {

/// What the user asked of ditc; see Options.td for the spellings.
struct Flags {
  std::string model;  // path of an ONNX file, or dit:NAME
  std::string output; // the plan
  std::optional<int64_t> batch;
  llvm::StringMap<int64_t> dims;
  int64_t imageSize = 0; // pixels; 0: the model's own
  std::string weights;
  std::optional<uint64_t> initSeed;
  bool asIs = false;                    // merged parameters stay merged
  std::vector<std::string> modelInputs; // --inputs: picture, timestep, labels
  std::string emit;                     // dit, plan, llvm, asm or nothing
  bool optReportJson = false;
  bool timing = false;
  bool printPipeline = false;
  bool dryRun = false;
  bool quiet = false;
  bool verbose = false;
  CompileOptions compile;
  bool modeGiven = false; // else guessed from the model
};

/// Parses the arguments after the program's name. Errors carry the exit code
/// (64 usage, 69 not there yet, 78 contradiction). `helpShown` is set where
/// --help or --version was answered on stdout.
llvm::Expected<Flags> parseFlags(llvm::ArrayRef<const char *> arguments,
                                 bool &helpShown);

} // namespace dit

#endif // COMPILER_TOOLS_DITC_FLAGS_H
