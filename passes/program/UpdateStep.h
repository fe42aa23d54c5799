//===- UpdateStep.h - AdamW, clipping and EMA -------------------*- C++ -*-===//
//
// The update of PyTorch's AdamW on whole flats, with G the sum of gradients:
//
//   k   = 1 / (micro-batches · loss scale)
//   n   = k ‖G‖,   g = k · min(1, clip / (n + 1e-6)) · G
//   m   = β1 m + (1 − β1) g,   v = β2 v + (1 − β2) g²
//   p   = p (1 − lr · wd) − lr · (m / (1 − β1^a)) / (√(v / (1 − β2^a)) + ε)
//   ema = ema + (1 − decay)(p − ema),   weights = p rounded
//
// where a counts the updates that were done, this one among them. A norm that
// is not finite leaves everything as it was and counts in `skipped`; with fp16
// it halves the loss scale, which doubles after 1000 clean steps.
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_PROGRAM_UPDATESTEP_H
#define PASSES_PROGRAM_UPDATESTEP_H

#include "passes/program/TrainState.h"

namespace dit {

/// Entries of the global of hyper-parameters, fp32.
enum class Hyper : int64_t {
  LearningRate,
  Clip, ///< largest norm of the gradients; 0: any
  EmaDecay,
  BatchPart, ///< 1 / number of micro-batches
  WeightDecay,
  Beta1,
  Beta2,
  Epsilon,
};
inline constexpr int64_t hyperCount = 8;

/// The numbers that an update reads and writes, each a global of one element.
struct UpdateGlobals {
  GlobalOp hyper;        ///< fp32 [hyperCount]
  GlobalOp lossScale;    ///< fp32
  GlobalOp goodSteps;    ///< i64
  GlobalOp applied;      ///< i64
  GlobalOp skipped;      ///< i64
  GlobalOp gradientNorm; ///< fp32, an output
};

/// Adds the step function `update`. `scalesLoss`: the loss scale is other than
/// 1 and changes.
void buildUpdateStep(StepBuilder &steps, const TrainState &state,
                     const UpdateGlobals &globals, bool scalesLoss);

} // namespace dit

#endif // PASSES_PROGRAM_UPDATESTEP_H
