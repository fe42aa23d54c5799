//===- KernelPlan.h - Which values are buffers, and who computes them -----===//
//
// Fusion decides one thing: which values are written to memory. The rest
// follows, because a kernel computes whatever its results need, back to the
// next buffers. The plan visits the ops of a function last to first, so that
// every consumer of an op is decided before it:
//
//  1. What a GEMM, attention or write reads is a buffer.
//  2. An op all of whose consumers are in one kernel goes there too, unless it
//     is a reduction whose row the kernel's points do not share, it would be
//     computed again and again, or the kernel has too many operands.
//  3. A cheap op (a view, a cast, a look-up) goes into every consumer.
//  4. Else the consumers become one kernel where they have one space and none
//     needs the other's results; where that cannot be, an op of one flop on one
//     buffer (1 + scale) goes into each, on GPUs; else the first of them whose
//     points are the value's elements has the value as one more result and the
//     others read it; where that closes a cycle, or none is like that, the
//     value gets a kernel of its own, or joins one that makes another operand
//     of the same attention.
//  5. In the end kernels of nothing but column sums join one over the same rows
//     that reads what they add.
//
// Everything is ordered by the ops' positions: no set or map is iterated.
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_FUSION_KERNELPLAN_H
#define PASSES_FUSION_KERNELPLAN_H

#include "passes/fusion/RowProgram.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

#include <optional>
#include <string>
#include <vector>

namespace dit {

/// A kernel to be: its results and the ops that it computes.
struct PlannedKernel {
  RowSpace space{};
  /// Rows that its column sums add, 0 where it has none.
  int64_t run = 0;
  llvm::SmallVector<mlir::OpResult> results;
  /// In the order in which they were taken in: consumers first.
  std::vector<mlir::Operation *> body;
  /// What it reads, views and casts looked through; an op leaves when it is
  /// taken in.
  llvm::DenseSet<mlir::Value> operands;
  /// The kernel that it was merged into; itself where it was not.
  unsigned mergedInto = 0;
  /// Positions of its first result and of its last op.
  unsigned first = 0, last = 0;
};

/// Why an op went where it did, for people.
struct FusionNote {
  mlir::Operation *op;
  std::string text;
};

/// Plans the kernels of one block of body ops and anchors.
class KernelPlan {
public:
  /// Plans `block`; the ops' order must be topological, as in any block. With
  /// `repeatsFlops` a flop is done again rather than launched once.
  KernelPlan(mlir::Block &block, bool repeatsFlops);

  /// The kernel one of whose results is `value`, null where there is none.
  const PlannedKernel *getProducer(mlir::Value value) const;
  /// The body of `kernel` in program order.
  std::vector<mlir::Operation *> getBody(const PlannedKernel &kernel) const;
  /// True for the anchors that somebody needs.
  bool isLive(mlir::Operation *anchor) const {
    return liveAnchors.contains(anchor);
  }
  /// Refusals in program order.
  llvm::ArrayRef<FusionNote> getNotes() const { return notes; }
  /// The op that no kernel can compute, where there is one.
  const std::optional<FusionNote> &getFailure() const { return failure; }

private:
  /// Somebody in kernel `kernel` wants a value at `access`.
  struct Demand {
    unsigned kernel;
    Access access;
  };
  /// A step of a walk over launches: a kernel, or an anchor.
  struct Launch {
    mlir::Operation *anchor;
    unsigned kernel;
  };

  void visit(mlir::Operation *op);
  void visitBodyOp(mlir::Operation *op);
  void mergeConsumers(mlir::Operation *op,
                      llvm::SmallVectorImpl<unsigned> &consumers);
  void makeBuffer(mlir::Operation *op, llvm::ArrayRef<unsigned> consumers,
                  std::string reason);

  void joinColumnSums();
  bool canJoinColumnSums(unsigned kernel, unsigned sums) const;

  unsigned addKernel(mlir::OpResult result);
  std::optional<unsigned>
  findNeighbour(mlir::Operation *op,
                llvm::ArrayRef<mlir::OpResult> results) const;
  void addResult(unsigned kernel, mlir::OpResult result);
  void take(unsigned kernel, mlir::Operation *op);
  void merge(unsigned first, unsigned second);

  bool canTake(unsigned kernel, mlir::Operation *op, std::string &reason) const;
  bool isRepeated(unsigned kernel, mlir::Operation *op,
                  std::string &reason) const;
  bool isAligned(unsigned kernel, mlir::Operation *op) const;
  bool canHold(unsigned kernel, mlir::Operation *op, std::string &reason) const;
  bool canMerge(unsigned first, unsigned second) const;
  bool canJoin(unsigned kernel, mlir::Operation *op,
               llvm::ArrayRef<Launch> readers) const;
  bool isDuplicated(mlir::Operation *op) const;
  bool isDoneAgain(mlir::Operation *op) const;

  void appendReaders(mlir::Value value,
                     llvm::SmallVectorImpl<Launch> &launches) const;
  bool reaches(Launch from, unsigned to) const;
  unsigned find(unsigned kernel) const;
  llvm::SmallVector<Access, 1> getAccesses(unsigned kernel,
                                           mlir::Value value) const;
  llvm::SmallVector<unsigned> getConsumers(mlir::Operation *op) const;
  bool isComputedIn(mlir::Operation *op, unsigned kernel) const;
  void note(mlir::Operation *op, const llvm::Twine &text);

  bool repeatsFlops;
  std::vector<PlannedKernel> kernels;
  std::vector<FusionNote> notes;
  std::optional<FusionNote> failure;
  llvm::DenseMap<mlir::Operation *, unsigned> positions;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Demand, 2>> demands;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<unsigned, 2>> computedIn;
  llvm::DenseMap<mlir::Value, unsigned> producers;
  llvm::DenseSet<mlir::Value> buffers;
  llvm::DenseSet<mlir::Operation *> liveAnchors;
};

} // namespace dit

#endif // PASSES_FUSION_KERNELPLAN_H
