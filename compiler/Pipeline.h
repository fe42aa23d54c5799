//===- Pipeline.h - The one list of passes ----------------------*- C++ -*-===//
#ifndef COMPILER_PIPELINE_H
#define COMPILER_PIPELINE_H

#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>
#include <vector>

namespace dit {

/// The phases in their order; each ends with its verifier.
enum class Phase {
  Import,
  Simplify,
  Precision,
  Program,
  Fusion,
  Lowering,
  Memory
};

/// The phase that `name` spells.
std::optional<Phase> parsePhase(llvm::StringRef name);

/// What the plan does.
enum class Mode { Forward, Sample };

/// What decides which passes run and how.
struct PipelineOptions {
  Mode mode = Mode::Forward;
  std::string precision = "fp32"; // fp32, bf16, fp16
  std::string schedule = "ddpm-linear";
  std::string prediction = "eps";
  std::string learnedSigma = "auto"; // auto, yes, no
  // Arguments of the denoiser, -1: found by name and type.
  int64_t picture = -1, timestep = -1, label = -1;
  Phase lastPhase = Phase::Memory;
  bool isForGpu = false; // GEMMs and attention are those of GPU libraries
  bool externalWeights = false; // leave parameters' values in their files
  bool report = false;          // remarks: what was recognised, fused, refused
  std::vector<std::string> printAfter; // passes by argument
};

/// Adds the passes of one phase; Import has none.
void addPhase(mlir::OpPassManager &manager, Phase phase,
              const PipelineOptions &options);

/// The phases after Import up to `last`.
std::vector<Phase> phasesUpTo(Phase last);

/// The phase's name, as --compile-to spells it.
llvm::StringRef nameOf(Phase phase);

} // namespace dit

#endif // COMPILER_PIPELINE_H
