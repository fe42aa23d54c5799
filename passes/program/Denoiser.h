//===- Denoiser.h - Which model can be sampled ------------------*- C++ -*-===//
//
// A denoiser takes a noisy picture, a timestep and a class label and says what
// the noise is. Which argument is which follows from types and names.
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_PROGRAM_DENOISER_H
#define PASSES_PROGRAM_DENOISER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <string>

namespace dit {

/// A denoiser's arguments and sizes.
struct Denoiser {
  unsigned picture = 0;  ///< argument [batch, channels, height, width]
  unsigned timestep = 0; ///< argument [batch], [1] or []
  unsigned label = 0;    ///< argument [batch], integers
  int64_t batch = 0;     ///< of the model: twice the pictures under guidance
  int64_t channels = 0, height = 0, width = 0;
  int64_t classes = 0;       ///< rows of the label table less one; 0: not found
  bool learnedSigma = false; ///< the result has twice the channels
};

/// Which arguments the user named; -1 where he did not.
struct DenoiserArguments {
  int64_t picture = -1, timestep = -1, label = -1;
};

/// Recognises a denoiser in `model`, whose `dit.inputs` name its arguments:
/// the picture is the only float tensor of rank 4, the timestep is named t or
/// time…, the label y, label… or class…. `named` goes before. Fails with a
/// sentence in `reason`.
mlir::FailureOr<Denoiser> recogniseDenoiser(mlir::func::FuncOp model,
                                            DenoiserArguments named,
                                            std::string &reason);

/// The number of classes: `given`, or where that is 0 the denoiser's. An error
/// at `model` where neither is known, or its label table is too small.
mlir::FailureOr<int64_t> chooseClasses(mlir::func::FuncOp model,
                                       const Denoiser &denoiser, int64_t given);

/// Whether the model's variance is used: `wanted` is auto, yes or no. An error
/// at `model` for another word, or a yes that its result has no channels for.
mlir::FailureOr<bool> chooseLearnedSigma(mlir::func::FuncOp model,
                                         const Denoiser &denoiser,
                                         llvm::StringRef wanted);

/// An error at `model` for a prediction other than eps, v or flow, a schedule
/// other than ddpm-linear or flow, or a flow's with another.
mlir::LogicalResult checkPrediction(mlir::func::FuncOp model,
                                    llvm::StringRef prediction,
                                    llvm::StringRef schedule);

} // namespace dit

#endif // PASSES_PROGRAM_DENOISER_H
