//===- BlockRerun.cpp - What of a block is computed again -----------------===//
//
// The cone of a dropped value is what must run to have it again: its op, the
// ops that make the operands, and so on, up to values that are kept or come
// from outside the block. Cones overlap; what another value's cone has already
// costs nothing more. A value that is dropped is in its own cone, so that cones
// which ended at it go on through it.
//
//===----------------------------------------------------------------------===//
#include "passes/recompute/BlockRerun.h"

#include "dialects/dit/Builders.h"
#include "dialects/dit/StridedView.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace dit;

BlockRerun::BlockRerun(const TrainingStep &step, const ModelBlock &block)
    : step(step), block(block), inBlock(block.ops.begin(), block.ops.end()) {
  for (Operation *op : block.ops)
    for (Value result : op->getResults())
      if (!isSeenThrough(op) &&
          (step.isSaved(result) || block.results.contains(result)))
        kept.insert(result);
}

/// True where `value`, which the gradient reads, is or sees a dropped value.
bool BlockRerun::isDropped(Value value) const {
  Value stored = getStored(value);
  return inBlock.contains(stored.getDefiningOp()) && !kept.contains(stored);
}

/// Adds what computes `value` and is not computed again yet, and the values
/// that this starts from.
void BlockRerun::visitCone(Value value, llvm::SetVector<Operation *> &added,
                           llvm::SetVector<Value> &starts) const {
  Operation *op = value.getDefiningOp();
  if (!inBlock.contains(op) || rerun.contains(op) || !added.insert(op))
    return;
  for (Value operand : op->getOperands()) {
    Value stored = getStored(operand);
    if (kept.contains(stored) || !inBlock.contains(stored.getDefiningOp()))
      starts.insert(stored);
    else
      visitCone(stored, added, starts);
  }
}

Saving BlockRerun::measure(Value value) const {
  llvm::SetVector<Operation *> added;
  llvm::SetVector<Value> starts;
  visitCone(value, added, starts);
  Saving saving{value, countBytes(getTensorType(value)), 0};
  for (Operation *op : added)
    saving.flops += countFlops(op);
  // What only clones read has to be kept for them.
  for (Value start : starts)
    if (Operation *op = start.getDefiningOp();
        op && !isa<ReadOp, arith::ConstantOp>(op) && !step.isSaved(start) &&
        !sources.contains(start) && !kept.contains(start))
      saving.bytes -= countBytes(getTensorType(start));
  return saving;
}

std::optional<Saving> BlockRerun::findBest() const {
  std::optional<Saving> best;
  for (Value value : kept) {
    if (block.results.contains(value))
      continue;
    Saving saving = measure(value);
    if (saving.bytes > 0 && (!best || saving.isBetterThan(*best)))
      best = saving;
  }
  return best;
}

void BlockRerun::drop(const Saving &saving) {
  llvm::SetVector<Operation *> added;
  llvm::SetVector<Value> starts;
  visitCone(saving.value, added, starts);
  rerun.insert(added.begin(), added.end());
  sources.insert(starts.begin(), starts.end());
  kept.remove(saving.value);
  bytes += saving.bytes;
  flops += saving.flops;
}

void BlockRerun::dropAll() {
  SmallVector<Value> values(kept.begin(), kept.end());
  for (Value value : values)
    if (!block.results.contains(value))
      drop(measure(value));
}

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

/// The last cotangent before `op` that a product or an attention reads, and
/// that is in memory therefore; one that a product made only where there is no
/// other, because fusion changes products that have one reader.
static Value findCotangentBefore(Operation *op, const TrainingStep &step) {
  Value last;
  while ((op = op->getPrevNode())) {
    Value cotangent;
    if (auto matmul = dyn_cast<MatmulOp>(op))
      cotangent = matmul.getLhs();
    else if (auto gradient = dyn_cast<AttentionGradOp>(op))
      cotangent = gradient.getCotangent();
    if (!cotangent || step.isForward(op))
      continue;
    while (isViewOp(cotangent.getDefiningOp()))
      cotangent = cotangent.getDefiningOp()->getOperand(0);
    Operation *producer = cotangent.getDefiningOp();
    if (!producer || step.isForward(producer))
      continue;
    if (!isa<MatmulOp>(producer))
      return cotangent;
    if (!last)
      last = cotangent;
  }
  return last;
}

/// `value`, but not before the gradient has come to this block.
Value BlockRerun::waitFor(OpBuilder &builder, Value value) {
  auto after =
      AfterOp::create(builder, value.getLoc(), value.getType(), value, first);
  again.map(value, after.getResult());
  made.push_back(after);
  return after;
}

/// `value` as clones compute it; itself where it comes from outside the block,
/// but for the stream.
Value BlockRerun::getAgain(OpBuilder &builder, Value value) {
  if (Value known = again.lookupOrNull(value))
    return known;
  if (kept.contains(value) || value == block.stream)
    return waitFor(builder, value);
  Operation *op = value.getDefiningOp();
  if (!inBlock.contains(op) && getStored(value) != block.stream)
    return value;
  for (Value operand : op->getOperands())
    getAgain(builder, operand);
  Operation *clone = builder.clone(*op, again);
  made.push_back(clone);
  return again.lookup(value);
}

/// Moves each new op to where it is needed first.
void BlockRerun::placeLate() {
  for (Operation *op : llvm::reverse(made)) {
    Operation *reader = nullptr;
    for (Operation *user : op->getUsers())
      if (!reader || user->isBeforeInBlock(reader))
        reader = user;
    op->moveBefore(reader);
  }
}

LogicalResult BlockRerun::rewrite() {
  func::FuncOp function = step.getFunction();
  SmallVector<OpOperand *> reads;
  for (Operation &op : function.getBody().front())
    if (!step.isForward(&op))
      for (OpOperand &operand : op.getOpOperands())
        if (isDropped(operand.get()))
          reads.push_back(&operand);
  if (reads.empty())
    return success();

  // A GEMM's epilogue has activations of other bits than kernels. They were
  // kernels as long as the gradient read their inputs.
  OpBuilder builder(reads.front()->getOwner());
  for (Operation *op : block.ops)
    if (isa<GeluOp, SigmoidOp>(op) &&
        step.isSaved(getStored(op->getOperand(0))))
      op->setAttr(DitDialect::rerunAttrName, builder.getUnitAttr());

  first = findCotangentBefore(reads.front()->getOwner(), step);
  if (!first)
    return function.emitOpError("has no gradient before that of a block that "
                                "is to be computed again");
  for (OpOperand *read : reads)
    read->set(getAgain(builder, read->get()));
  placeLate();

  // Who reads a kept value beside what clones make of it reads the same one.
  for (Operation *op : made)
    if (auto after = dyn_cast<AfterOp>(op))
      after.getInput().replaceUsesWithIf(after, [&](OpOperand &use) {
        Operation *user = use.getOwner();
        return !step.isForward(user) && !isa<AfterOp>(user) &&
               after->isBeforeInBlock(user);
      });
  return success();
}
