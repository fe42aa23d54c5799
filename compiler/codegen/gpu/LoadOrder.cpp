//===- LoadOrder.cpp - What a row's threads ask memory for, and when ------===//
//
// A GPU's threads run in order and wait where a number is first used, so what
// is asked for early costs nothing but registers.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/IndexMap.h"
#include "compiler/codegen/gpu/GpuEmitter.h"

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

namespace {
/// Counts the reductions over threads that a row's results need.
class CountReductions : public ElementWalk {
public:
  using ElementWalk::ElementWalk;
  int64_t count = 0;

protected:
  bool visitReduction(Value value, const Index &row) override {
    if (table.isVector(row))
      return false;
    Operation *op = value.getDefiningOp();
    if (seen.insert({op, row}).second)
      count += isa<LayerNormOp, SoftmaxOp>(op) ? 2 : 1;
    return true;
  }

private:
  std::set<std::pair<Operation *, Index>> seen;
};

/// Collects what is loaded for an element, but not for its statistics.
class CollectLoads : public ElementWalk {
public:
  using ElementWalk::ElementWalk;
  std::vector<std::pair<Value, Index>> loads;

protected:
  void visitLoad(Value value, const Index &index) override {
    loads.push_back({value, index});
  }
  bool visitReduction(Value, const Index &) override { return false; }
};
} // namespace

void GpuEmitter::emitRow(const Index &row) {
  CountReductions walk(table);
  int64_t size = source.space.back(), points = source.getRows() * size;
  AtomId lane = table.createVariable({0, size - 1}, getLevel() + 1, true);
  IndexExpr position = table.linearize(row, source.space.drop_back());
  for (Value value : source.body->front().getTerminator()->getOperands()) {
    auto type = cast<RankedTensorType>(value.getType());
    bool isFull = type.getNumElements() == points;
    walk.visit(value,
               table.delinearize(
                   isFull ? position * size + IndexTable::get(lane) : position,
                   type.getShape()));
  }
  currentRow = row;
  rowLevel = getLevel();
  reductionsLeft = walk.count;
  if (!getenv("XA")) loadAhead(/*isOwn=*/true);
  KernelEmitter::emitRow(row);
}

/// Loads what the full results of `currentRow` are made of: with `isOwn` the
/// inputs that have a number for each point, else the others and gathers. Only
/// in the row's scope, and where its fragments are in registers.
void GpuEmitter::loadAhead(bool isOwn) {
  int64_t size = source.space.back(), points = source.getRows() * size;
  int64_t fragments = llvm::divideCeil(size, lanesPerRow * getWidth(size));
  if (getLevel() != rowLevel || fragments > mostFragments)
    return;
  Scope &parent = scope();
  for (int64_t fragment = 0; fragment < fragments; ++fragment) {
    scopes.push_back(&getFragment(parent, size, fragment));
    setInsertionPoint();
    CollectLoads walk(table);
    Index point = currentRow;
    point.push_back(IndexTable::get(scope().lane->atom));
    IndexExpr position = table.linearize(point, source.space);
    for (Value value : source.body->front().getTerminator()->getOperands()) {
      auto type = cast<RankedTensorType>(value.getType());
      if (type.getNumElements() == points)
        walk.visit(value, table.delinearize(position, type.getShape()));
    }
    for (auto &[value, index] : walk.loads) {
      auto type = cast<RankedTensorType>(value.getType());
      bool isOwnRow = !value.getDefiningOp() && type.getNumElements() >= points;
      if (isOwnRow == isOwn)
        emitElement(value, index);
    }
    scopes.pop_back();
    setInsertionPoint();
  }
}
