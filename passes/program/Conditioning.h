//===- Conditioning.h - What timestep and label decide alone ----*- C++ -*-===//
//
// The modulations of a DiT depend on timestep and label, not on the picture:
// they can be computed for many steps at once, so that their weights are read
// once for all of these, and once for all rows of the batch that are equal.
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_PROGRAM_CONDITIONING_H
#define PASSES_PROGRAM_CONDITIONING_H

#include "passes/program/Denoiser.h"

#include "mlir/IR/Builders.h"

#include <optional>

namespace dit {

/// How the rows of a value, its first dimension, lie to the batch.
enum class Rows {
  Whole,   ///< no batch; or every row must be there
  Equal,   ///< all rows are the same
  Distinct ///< row i of the batch has the value of its label
};

/// The part of a model that depends on timestep, labels and weights alone: the
/// matrix products among that, and all that leads to them. What comes after
/// them is cheap, and stays where it is used.
///
/// An op belongs to it only if there is a rule for it at many steps and fewer
/// rows: elementwise ops, norms, softmax, products with a weight, gathers from
/// a table, and all ops on shapes.
class Conditioning {
public:
  /// Finds it in `model`. Labels must be one a sample.
  Conditioning(mlir::func::FuncOp model, const Denoiser &denoiser);

  /// The values that the rest of the model reads.
  llvm::ArrayRef<mlir::Value> getStored() const { return stored; }

  /// True for ops that the model need not compute if the stored values are
  /// given.
  bool isComputedAhead(mlir::Operation *op) const;

  /// Computes the stored values at `timesteps` [K] for `labels` [R], of the
  /// types that the model takes. A stored value [B, …] becomes [K, R, …], or
  /// [K, 1, …] where all rows are equal; without K where it does not depend on
  /// the timestep.
  llvm::SmallVector<mlir::Value> build(mlir::OpBuilder &builder,
                                       mlir::Value timesteps,
                                       mlir::Value labels) const;

  /// The value `stored` of one step, as the model has it, out of `table`, which
  /// build() made: at step `row` [1] of the table, row i of the batch being row
  /// `rowOf[i]` of the labels.
  mlir::Value restore(mlir::OpBuilder &builder, mlir::Value stored,
                      mlir::Value table, mlir::Value row,
                      llvm::ArrayRef<int64_t> rowOf) const;

  /// The value that the same model at another batch stores as `value`: the one
  /// product with that weight and bias. Null where it is no product, or where
  /// there is not just one.
  mlir::Value findTwin(mlir::Value value, const Conditioning &other) const;

  /// Floating-point operations of the model's matrix products in it.
  int64_t getFlops() const;
  /// Bytes of the weights that these products read, each once.
  int64_t getWeightBytes() const;

private:
  /// What is known of a value that does not depend on the picture.
  struct Dependence {
    bool timestep = false, label = false;
    Rows rows = Rows::Whole;

    bool isConditioned() const { return timestep || label; }
    bool operator==(const Dependence &) const = default;
  };
  friend struct ConditioningBuilder;

  /// Ops that are rebuilt as they are, on other types: elementwise ones, norms
  /// and products.
  static bool keepsForm(mlir::Operation *op);
  /// Row i of the reshaped or sliced tensor comes from row i of the other.
  static bool keepsRows(mlir::Value from, mlir::Value to);
  std::optional<Rows> findRows(mlir::Operation *op) const;
  void analyse(mlir::Operation *op);
  void collect(mlir::Block &body);

  mlir::Value timestep, label;
  llvm::DenseMap<mlir::Value, Dependence> known;
  llvm::SmallVector<mlir::Operation *> ops; // in program order
  llvm::DenseSet<mlir::Operation *> ahead;  // the same
  llvm::SmallVector<mlir::Value> stored;
};

} // namespace dit

#endif // PASSES_PROGRAM_CONDITIONING_H
