//===- MultiUse.cpp - Values that several loops of a row need -------------===//
//
// One walk down for the costs, one up for the loops: a value is needed in every
// loop that a user's value is needed in, but for two exceptions. A reduction's
// operand is needed in the reduction's own loops (and where the user is a
// normalised tensor, also where that is needed). A kept value's operands are
// needed only in the first of its loops.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/MultiUse.h"

#include "compiler/codegen/IndexMap.h"
#include "dialects/dit/ColumnSums.h"
#include <limits>

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

/// In units of an addition; what is above `cheap` is kept.
static constexpr int cheap = 3, function = 10, lookup = 6, most = 1000;

int MultiUse::costOf(Operation *op) {
  int cost = 0;
  for (Value operand : op->getOperands())
    cost += costs.lookup(operand);
  if (isa<GatherOp, tensor::ConcatOp, TransposeOp>(op))
    cost += lookup;
  else if (isa<RandomOp>(op))
    cost += 10 * function;
  else if (isa<GeluOp, GeluGradOp, SigmoidOp, SoftmaxOp>(op) ||
           op->getName().getDialectNamespace() == "math")
    cost += function;
  else if (isa<ReduceOp>(op))
    cost = 0;
  else if (!isView(op) && !isa<arith::ExtFOp, arith::ConstantOp>(op))
    cost += 1;
  return std::min(cost, most);
}

bool MultiUse::isCheap(Value value) const {
  return costs.lookup(value) <= 2 * function;
}

MultiUse::MultiUse(Region &body) {
  Block &block = body.front();
  for (Value argument : block.getArguments())
    costs[argument] = 1;
  llvm::DenseMap<Operation *, unsigned> positions;
  for (auto [position, op] : llvm::enumerate(block)) {
    positions[&op] = position;
    int cost = costOf(&op);
    for (Value result : op.getResults())
      costs[result] = cost;
    // Statistics are one number a row.
    if (isa<LayerNormOp, RmsNormOp>(op))
      for (Value result : op.getResults().drop_front())
        costs[result] = 0;
  }

  constexpr unsigned lastLoop = std::numeric_limits<unsigned>::max();
  llvm::DenseMap<Value, Loops> loops;
  for (Operation &op : llvm::reverse(block)) {
    unsigned first = 2 * positions[&op], second = first + 1;
    if (op.hasTrait<OpTrait::IsTerminator>()) {
      for (Value operand : op.getOperands())
        loops[operand].insert(lastLoop);
      continue;
    }
    Loops needed;
    for (Value result : op.getResults()) {
      Loops &own = loops[result];
      if (own.size() > 1 && costs[result] > cheap &&
          !isa<LayerNormOp, RmsNormOp, SoftmaxOp, ReduceOp>(op)) {
        kept.insert({result, 0});
        own = {*own.begin()};
      }
      needed.insert(own.begin(), own.end());
    }
    // A column sum adds what the last loop computes.
    if (isa<ReduceOp>(op))
      needed = {getColumnSum(op.getResult(0)) ? lastLoop : first};
    if (isa<LayerNormOp, RmsNormOp>(op)) {
      needed = loops[op.getResult(0)];
      needed.insert({first, second});
      if (isa<RmsNormOp>(op))
        needed.erase(second);
    }
    if (isa<SoftmaxOp>(op)) {
      kept.insert({op.getResult(0), 1});
      needed = {first, second};
    }
    for (Value operand : op.getOperands())
      loops[operand].insert(needed.begin(), needed.end());
  }
}
