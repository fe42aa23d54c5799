//===- TrainProgram.h - The step functions of training ----------*- C++ -*-===//
#ifndef PASSES_PROGRAM_TRAINPROGRAM_H
#define PASSES_PROGRAM_TRAINPROGRAM_H

#include "passes/program/Denoiser.h"
#include "passes/program/TimeSampling.h"

#include <string>

namespace dit {

/// What a run does unless ditrun is told otherwise: DiT's recipe.
struct TrainDefaults {
  double learningRate = 1e-4;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weightDecay = 0;
  double clip = 0; ///< largest norm of the gradients; 0: any
  double emaDecay = 0.9999;
  double labelDropout = 0.1;
};

/// What is trained, and for what.
struct TrainOptions {
  int64_t classes = 0;
  bool learnedSigma = false;
  std::string prediction; ///< eps, v or flow
  std::string schedule;   ///< ddpm-linear; of a flow flow
  /// Of the schedule; a flow's model is told t times this.
  int64_t timesteps = 1000;
  TimeSampling times;
  double minSnr = 0;       ///< γ of min-SNR's weights; 0: none
  bool scalesLoss = false; ///< fp16: gradients are of loss · loss_scale
  TrainDefaults defaults;
};

/// Adds globals and step functions to `module` that train `model`, and sets
/// `dit.mode` and `dit.training`; dit-program-train describes them. What must
/// hold of the options was checked. Fails where `model` has an op without a
/// gradient, or nothing to train.
mlir::LogicalResult buildTrainProgram(mlir::ModuleOp module,
                                      const Denoiser &denoiser,
                                      const TrainOptions &options,
                                      mlir::func::FuncOp model);

} // namespace dit

#endif // PASSES_PROGRAM_TRAINPROGRAM_H
