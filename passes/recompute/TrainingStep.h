//===- TrainingStep.h - Forward, gradient and blocks of a step --*- C++ -*-===//
#ifndef PASSES_RECOMPUTE_TRAININGSTEP_H
#define PASSES_RECOMPUTE_TRAININGSTEP_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

#include <vector>

namespace dit {

/// True for ops that every reader computes for itself, so that their operand is
/// what lies in memory: views, repetitions, widening casts.
bool isSeenThrough(mlir::Operation *op);

/// The value that lies in memory where `value` is read.
mlir::Value getStored(mlir::Value value);

/// Floating-point operations of `op`: a multiply-add is two; whatever is no
/// product and no attention counts one for each element that it makes.
int64_t countFlops(mlir::Operation *op);

/// A transformer block of a step's forward pass: what lies around one
/// attention, from where the least is alive to the next such place.
struct ModelBlock {
  /// What the block begins with: the largest of the tensors that are alive
  /// there, of equal ones the last, the residual stream.
  mlir::Value stream;
  /// The ops of the block that depend on the stream, in order. What does not,
  /// such as a modulation, is the same for all tokens, and small. Random
  /// numbers are not among them.
  std::vector<mlir::Operation *> ops;
  /// Their results that ops of the forward pass behind the block read.
  llvm::DenseSet<mlir::Value> results;
};

/// A step function that computes a loss and its gradients, taken apart. The
/// forward pass is what its outputs need, the gradient is the rest.
class TrainingStep {
public:
  /// `function` has one block; dit.read and dit.write name globals that exist.
  explicit TrainingStep(mlir::func::FuncOp function);

  mlir::func::FuncOp getFunction() const { return function; }
  bool isForward(mlir::Operation *op) const { return forward.contains(op); }
  /// In their order; one for each attention of the forward pass.
  llvm::ArrayRef<ModelBlock> getBlocks() const { return blocks; }
  /// True where the gradient reads `stored`, a result of the forward pass.
  bool isSaved(mlir::Value stored) const { return saved.contains(stored); }
  /// Floating-point operations of the whole function.
  int64_t getFlops() const { return flops; }

private:
  void findForward();
  void findSaved();
  void findBlocks();
  ModelBlock makeBlock(unsigned begin, unsigned end) const;

  mlir::func::FuncOp function;
  llvm::DenseSet<mlir::Operation *> forward;
  /// The forward pass in its order, the places of its ops there, and for each
  /// of its values in memory the place of the last op that reads it.
  std::vector<mlir::Operation *> order;
  llvm::DenseMap<mlir::Operation *, unsigned> places;
  llvm::DenseMap<mlir::Value, unsigned> lastReads;
  llvm::DenseSet<mlir::Value> saved;
  std::vector<ModelBlock> blocks;
  int64_t flops = 0;
};

} // namespace dit

#endif // PASSES_RECOMPUTE_TRAININGSTEP_H
