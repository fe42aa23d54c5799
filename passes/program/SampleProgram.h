//===- SampleProgram.h - The step functions of sampling ---------*- C++ -*-===//
#ifndef PASSES_PROGRAM_SAMPLEPROGRAM_H
#define PASSES_PROGRAM_SAMPLEPROGRAM_H

#include "passes/program/Denoiser.h"
#include "passes/program/StepBuilder.h"

#include <optional>

namespace dit {

/// What the user chose, already checked.
struct SampleOptions {
  int64_t classes = 0;
  int64_t guidedChannels = 0;
  bool learnedSigma = false;
  std::string prediction, schedule;
  int64_t maxSteps = 0;
  bool keepModelOutput = false;
  /// Steps for which the conditioning is computed at once; 0: none, nothing:
  /// as many as make `hoistRows` rows, from where on more steps gain nothing.
  std::optional<int64_t> hoistSteps;
  int64_t hoistRows = 0;
};

/// Adds the globals and step functions of a sample program to `module`, for
/// `model` at twice the batch and `single` (null where there is none) at the
/// batch itself, and sets `dit.mode` and `dit.sampling`. Fails where steps are
/// asked to be hoisted and nothing of the model can be.
mlir::LogicalResult buildSampleProgram(mlir::ModuleOp module,
                                       const Denoiser &denoiser,
                                       const SampleOptions &options,
                                       mlir::func::FuncOp model,
                                       mlir::func::FuncOp single);

} // namespace dit

#endif // PASSES_PROGRAM_SAMPLEPROGRAM_H
