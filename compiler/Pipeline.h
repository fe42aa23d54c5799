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
  Recompute,
  Fusion,
  Lowering,
  Memory
};

/// The phase that `name` spells.
std::optional<Phase> parsePhase(llvm::StringRef name);

/// What the plan does.
enum class Mode { Forward, Sample, Train };

/// What a train plan trains and how; the numbers are a run's defaults.
struct TrainingOptions {
  // Regular expressions of parameters' names: these alone, and not these.
  std::string trainable, freeze;
  bool lowResidual = false;       // the residual stream in the low type
  std::string recompute = "none"; // none, block, auto
  int64_t recomputeBytes = 0; // auto: what is not to be kept; Compiler finds it
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weightDecay = 0;
  double clip = 0; // largest norm of the gradients; 0: any
  std::string timestepSampling = "uniform"; // or logit-normal
  double logitMean = 0, logitDeviation = 1; // of t's logit, where it is normal
  double minSnr = 0; // gamma of min-SNR's weights; 0: none
  double emaDecay = 0.9999;
};

/// What decides which passes run and how.
struct PipelineOptions {
  Mode mode = Mode::Forward;
  std::string precision = "fp32"; // fp32, bf16, fp16
  std::string schedule = "ddpm-linear";
  std::string prediction = "eps";
  std::string learnedSigma = "auto"; // auto, yes, no
  // Steps whose conditioning is computed at once: 0 each its own, -1 chosen.
  int64_t hoistSteps = -1;
  // Arguments of the denoiser, -1: found by name and type.
  int64_t picture = -1, timestep = -1, label = -1;
  TrainingOptions training;
  Phase lastPhase = Phase::Memory;
  bool isForGpu = false;  // GEMMs and attention are those of GPU libraries
  bool isForSm90 = false; // and attention our own where that is faster
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
