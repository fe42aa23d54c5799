//===- UpdateStep.h - AdamW, clipping and EMA -------------------*- C++ -*-===//
//
// The update of PyTorch's AdamW on the flats, with G the sum of gradients:
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
// `prepare_update` computes n and everything else that is one number, `update`
// the flats, range by range as the forward first reads them. What `update`
// reads beyond the flats only `prepare_update` writes: it may run beside the
// next micro-batch, whose hyper-parameters are other ones.
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

/// Numbers that `prepare_update` hands to `update`.
inline constexpr int64_t updateNumberCount = 10;

/// The numbers that an update reads and writes; of one element unless it says
/// otherwise.
struct UpdateGlobals {
  GlobalOp hyper;        ///< fp32 [hyperCount]
  GlobalOp numbers;      ///< fp32 [updateNumberCount], between the two steps
  GlobalOp lossScale;    ///< fp32
  GlobalOp goodSteps;    ///< i64
  GlobalOp applied;      ///< i64
  GlobalOp skipped;      ///< i64
  GlobalOp gradientNorm; ///< fp32, an output
};

/// Adds the step functions `prepare_update` and `update`. `scalesLoss`: the
/// loss scale is other than 1 and changes.
void buildUpdateStep(StepBuilder &steps, const TrainState &state,
                     const UpdateGlobals &globals, bool scalesLoss);

} // namespace dit

#endif // PASSES_PROGRAM_UPDATESTEP_H
