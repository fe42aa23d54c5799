//===- TrainingStep.cpp - Forward, gradient and blocks of a step ----------===//
//
// Blocks are found by what is alive, not by names. Between two attentions there
// is a place where the bytes that the forward pass still needs are fewest: the
// residual stream alone, without the modulations of a block that has begun. It
// is where a block ends; of equal places the last one.
//
//===----------------------------------------------------------------------===//
#include "passes/recompute/TrainingStep.h"

#include "dialects/dit/Builders.h"
#include "dialects/dit/StridedView.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dit;

bool dit::isSeenThrough(Operation *op) {
  return isViewOp(op) || isa_and_present<BroadcastOp, arith::ExtFOp>(op);
}

Value dit::getStored(Value value) {
  while (isSeenThrough(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

/// Scores of all heads: pairs of a query and a key.
static int64_t countScores(Value query, Value key) {
  RankedTensorType type = getTensorType(query);
  return type.getDimSize(0) * type.getDimSize(1) * type.getDimSize(2) *
         getTensorType(key).getDimSize(1);
}

int64_t dit::countFlops(Operation *op) {
  auto headSize = [](Value value) {
    return getTensorType(value).getDimSize(3);
  };
  return llvm::TypeSwitch<Operation *, int64_t>(op)
      .Case([](MatmulOp matmul) {
        MatmulOp::Sizes sizes = matmul.getSizes();
        return 2 * sizes.m * sizes.n * sizes.k * sizes.batch;
      })
      .Case([&](AttentionOp attention) {
        return 2 * countScores(attention.getQuery(), attention.getKey()) *
               (headSize(attention.getQuery()) +
                headSize(attention.getValue()));
      })
      .Case([&](AttentionGradOp gradient) {
        return 2 * countScores(gradient.getQuery(), gradient.getKey()) *
               (3 * headSize(gradient.getQuery()) +
                2 * headSize(gradient.getValue()));
      })
      .Default([](Operation *other) {
        bool isFree = isSeenThrough(other) || other->getNumResults() == 0 ||
                      isa<ReadOp, arith::ConstantOp>(other);
        return isFree ? 0 : getTensorType(other->getResult(0)).getNumElements();
      });
}

TrainingStep::TrainingStep(func::FuncOp function) : function(function) {
  findForward();
  findSaved();
  if (!saved.empty())
    findBlocks();
}

/// What writes of outputs need.
void TrainingStep::findForward() {
  SymbolTable symbols(function->getParentOfType<ModuleOp>());
  SmallVector<Operation *> pending;
  for (auto write : function.getOps<WriteOp>())
    if (symbols.lookup<GlobalOp>(write.getGlobal()).getRole() == Role::Output)
      pending.push_back(write);
  while (!pending.empty()) {
    Operation *op = pending.pop_back_val();
    if (!op || !forward.insert(op).second)
      continue;
    for (Value operand : op->getOperands())
      pending.push_back(operand.getDefiningOp());
  }
}

void TrainingStep::findSaved() {
  for (Operation &op : function.getBody().front()) {
    flops += countFlops(&op);
    if (forward.contains(&op)) {
      for (Value operand : op.getOperands())
        lastReads[getStored(operand)] = order.size();
      places[&op] = order.size();
      order.push_back(&op);
      continue;
    }
    for (Value operand : op.getOperands())
      if (Value stored = getStored(operand);
          forward.contains(stored.getDefiningOp()))
        saved.insert(stored);
  }
}

/// True where `stored` takes memory for its own sake: parameters and constants
/// are there anyway.
static bool isActivation(Value stored) {
  return stored.getDefiningOp() &&
         !isa<ReadOp, arith::ConstantOp>(stored.getDefiningOp());
}

void TrainingStep::findBlocks() {
  // Bytes alive before each op, as differences first.
  std::vector<int64_t> alive(order.size() + 1, 0);
  SmallVector<unsigned> attentions;
  for (Operation *op : order) {
    if (isa<AttentionOp>(op))
      attentions.push_back(places.lookup(op));
    for (Value result : op->getResults()) {
      auto last = lastReads.find(result);
      if (last == lastReads.end() || isSeenThrough(op) || !isActivation(result))
        continue;
      alive[places.lookup(op) + 1] += countBytes(getTensorType(result));
      alive[last->second + 1] -= countBytes(getTensorType(result));
    }
  }
  for (unsigned i = 1; i < alive.size(); ++i)
    alive[i] += alive[i - 1];

  std::vector<unsigned> begins;
  for (unsigned i = 0; i < attentions.size(); ++i) {
    unsigned best = attentions[i];
    for (unsigned p = best; p > (i ? attentions[i - 1] : 0); --p)
      if (alive[p] < alive[best])
        best = p;
    begins.push_back(best);
  }
  // Before the first block is the picture, which is smaller than the stream.
  if (begins.size() > 1)
    for (unsigned p = attentions[0]; p > begins[0]; --p)
      if (alive[p] <= alive[begins[1]])
        begins[0] = p;
  begins.push_back(order.size());
  for (unsigned i = 0; i + 1 < begins.size(); ++i)
    blocks.push_back(makeBlock(begins[i], begins[i + 1]));
}

ModelBlock TrainingStep::makeBlock(unsigned begin, unsigned end) const {
  ModelBlock block;
  for (unsigned i = 0; i < begin; ++i)
    for (Value result : order[i]->getResults()) {
      auto last = lastReads.find(result);
      if (last == lastReads.end() || last->second < begin ||
          isSeenThrough(order[i]) || !isActivation(result))
        continue;
      if (!block.stream || countBytes(getTensorType(block.stream)) <=
                               countBytes(getTensorType(result)))
        block.stream = result;
    }

  DenseSet<Value> dependent;
  for (unsigned i = begin; i < end && block.stream; ++i) {
    Operation *op = order[i];
    bool depends = llvm::any_of(op->getOperands(), [&](Value operand) {
      return dependent.contains(operand) || getStored(operand) == block.stream;
    });
    if (!depends || op->getNumResults() == 0 || op->getNumRegions() ||
        isa<RandomOp>(op) || !isMemoryEffectFree(op))
      continue;
    block.ops.push_back(op);
    for (Value result : op->getResults()) {
      dependent.insert(result);
      auto last = lastReads.find(result);
      if (last != lastReads.end() && last->second >= end)
        block.results.insert(result);
    }
  }
  return block;
}
