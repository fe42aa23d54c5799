//===- BlockRerun.h - What of a block is computed again ---------*- C++ -*-===//
#ifndef PASSES_RECOMPUTE_BLOCKRERUN_H
#define PASSES_RECOMPUTE_BLOCKRERUN_H

#include "mlir/IR/IRMapping.h"
#include "passes/recompute/TrainingStep.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

#include <optional>

namespace dit {

/// A value that need not be kept, what that saves and what it costs.
struct Saving {
  mlir::Value value;
  int64_t bytes = 0;
  int64_t flops = 0;

  /// More bytes per operation; what costs nothing is before all.
  bool isBetterThan(const Saving &other) const {
    return static_cast<double>(bytes) * static_cast<double>(other.flops) >
           static_cast<double>(other.bytes) * static_cast<double>(flops);
  }
};

/// One block of a training step: which of the values that its gradient reads
/// are kept, and which are computed again before it, from those that are.
class BlockRerun {
public:
  /// At first all are kept. `step` and `block` must outlive this.
  BlockRerun(const TrainingStep &step, const ModelBlock &block);

  /// The best value to drop next; nothing where no value saves anything.
  std::optional<Saving> findBest() const;
  void drop(const Saving &saving);
  void dropAll();

  /// Bytes that are not kept, and operations that are done twice.
  int64_t getBytes() const { return bytes; }
  int64_t getFlops() const { return flops; }

  /// Has the gradient read copies of what was dropped: clones of the block's
  /// ops, each right before its first reader, the first of them after what the
  /// gradient did before (dit.after). Fails, with an error at the function,
  /// where the block's gradient is the first of all.
  llvm::LogicalResult rewrite();

private:
  Saving measure(mlir::Value value) const;
  void visitCone(mlir::Value value, llvm::SetVector<mlir::Operation *> &added,
                 llvm::SetVector<mlir::Value> &starts) const;
  bool isDropped(mlir::Value value) const;
  mlir::Value getAgain(mlir::OpBuilder &builder, mlir::Value value);
  mlir::Value waitFor(mlir::OpBuilder &builder, mlir::Value value);
  void placeLate();

  const TrainingStep &step;
  const ModelBlock &block;
  llvm::DenseSet<mlir::Operation *> inBlock;
  /// Values of the block that are kept, in order; all values that clones start
  /// from; the ops that are cloned.
  llvm::SetVector<mlir::Value> kept;
  llvm::DenseSet<mlir::Value> sources;
  llvm::DenseSet<mlir::Operation *> rerun;
  int64_t bytes = 0, flops = 0;
  /// While rewriting: what the clones wait for, their values by the originals',
  /// and all new ops in order.
  mlir::Value first;
  mlir::IRMapping again;
  std::vector<mlir::Operation *> made;
};

} // namespace dit

#endif // PASSES_RECOMPUTE_BLOCKRERUN_H
