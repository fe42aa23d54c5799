//===- TrainState.h - The flat globals of a train program -------*- C++ -*-===//
//
// Everything that training keeps of a parameter lies at one element of five or
// six flat globals, so that the optimizer is one kernel over whole flats:
//
//   @masters    fp32  members: the parameters, with the pieces of the file
//   @gradients  fp32  members "NAME.gradient"
//   @moment1, @moment2  fp32
//   @ema        fp32  members "NAME.ema"
//   @weights    bf16 or fp16, members "NAME.bf16": what the forward multiplies;
//               absent where it reads the masters alone
//
// Members follow each other as the model first reads them: bias beside weight,
// block after block. Flats end at a multiple of `flatRow`, so that they can be
// seen as rows, which kernels share out. Those of more than `flatRange`
// elements have ranges too, "masters.range0" and so on, which the optimizer
// takes one by one.
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_PROGRAM_TRAINSTATE_H
#define PASSES_PROGRAM_TRAINSTATE_H

#include "passes/program/StepBuilder.h"

#include <optional>

namespace dit {

/// The elements of a row of a flat global, as the optimizer sees it.
inline constexpr int64_t flatRow = 4096;

/// The elements of a range of a flat global, a multiple of `flatRow`: long
/// enough to fill a machine, short beside the flats of a large model.
inline constexpr int64_t flatRange = 4096 * flatRow;

/// What training keeps of one parameter.
struct TrainedParameter {
  GlobalOp master;   ///< fp32, with the pieces of the file
  GlobalOp read;     ///< what the model reads: `master`, or its low copy
  GlobalOp gradient; ///< fp32
  GlobalOp average;  ///< fp32
};

/// The trained parameters of a program and their flat globals.
struct TrainState {
  llvm::SmallVector<TrainedParameter> parameters;
  GlobalOp masters, gradients, moment1, moment2, ema;
  GlobalOp weights;     ///< null where the model reads no low type
  int64_t elements = 0; ///< of each flat, a multiple of flatRow

  /// The parameter that `read` reads, or null.
  const TrainedParameter *find(ReadOp read) const;
};

/// The same elements of each flat: all, or a range. `weights` may be null.
struct FlatRange {
  GlobalOp masters, gradients, moment1, moment2, ema, weights;
};

/// The flats' ranges in order, whole flats where they are no longer than one.
llvm::SmallVector<FlatRange> makeRanges(StepBuilder &steps,
                                        const TrainState &state);

/// Makes the state of the trainable parameters that `model` reads, which then
/// are members of @masters, and has the model read the low copies. Fails with
/// an error where there is none, or one has another type than the program's.
mlir::FailureOr<TrainState> createTrainState(StepBuilder &steps,
                                             mlir::func::FuncOp model);

} // namespace dit

#endif // PASSES_PROGRAM_TRAINSTATE_H
