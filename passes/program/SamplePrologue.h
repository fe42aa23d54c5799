//===- SamplePrologue.h - Conditioning of many steps at once ----*- C++ -*-===//
#ifndef PASSES_PROGRAM_SAMPLEPROLOGUE_H
#define PASSES_PROGRAM_SAMPLEPROLOGUE_H

#include "passes/program/Conditioning.h"
#include "passes/program/StepBuilder.h"

#include <optional>

namespace dit {

/// The step function `prologue` and the tables that it fills: what a denoiser's
/// conditioning is at the next K steps.
///
/// The labels are those of the pictures and "no label" once, [pictures + 1]:
/// the unconditional half of a guided batch has equal rows, and a step without
/// guidance reads the same tables.
class SamplePrologue {
public:
  /// What the host fills.
  struct Inputs {
    GlobalOp step, timesteps, labels;
    int64_t noLabel = 0; ///< the label of the unconditional rows
  };

  /// `model` has the doubled batch, `single` (null where there is none) the
  /// pictures alone.
  SamplePrologue(StepBuilder &steps, const Denoiser &denoiser,
                 const Inputs &inputs, mlir::func::FuncOp model,
                 mlir::func::FuncOp single);

  /// False where no matrix product depends on timestep and label alone.
  bool isPossible() const { return !guided.getStored().empty(); }

  /// The least steps, a power of 2, that make `rows` rows of timestep and
  /// label, at most 64; 0 where one or two steps do already.
  int64_t chooseSteps(int64_t rows) const;

  /// Adds the tables and the function, for `count` steps, and a remark that
  /// says what it costs and saves.
  void build(int64_t count);

  /// Steps that were built for; 0: none.
  int64_t getSteps() const { return count; }

  /// What `model` (either of the two) need not compute at table row `at`:
  /// values of the model, and what they are.
  llvm::DenseMap<mlir::Value, mlir::Value> restore(mlir::func::FuncOp model,
                                                   mlir::Value at);

private:
  mlir::Value readTimesteps(mlir::Type element);
  mlir::Value readLabels(mlir::Type element);
  void addTables(llvm::ArrayRef<mlir::Value> made);
  void report(mlir::func::FuncOp prologue);

  StepBuilder &steps;
  mlir::OpBuilder &builder;
  mlir::Location loc;
  Denoiser denoiser;
  Inputs inputs;
  mlir::func::FuncOp model;
  Conditioning guided;
  std::optional<Conditioning> unguided;
  bool isSingleApart = false; // it computes its conditioning itself
  int64_t pictures, count = 0;
  llvm::DenseMap<mlir::Value, GlobalOp> tables; // by the model's value
};

} // namespace dit

#endif // PASSES_PROGRAM_SAMPLEPROLOGUE_H
