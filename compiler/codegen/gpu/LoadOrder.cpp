//===- LoadOrder.cpp - What a row's threads ask memory for, and when ------===//
//
// A GPU's threads run in order and wait where a number is first used, so what
// is asked for early costs nothing but registers.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/IndexMap.h"
#include "compiler/codegen/gpu/GpuEmitter.h"
#include "dialects/dit/ColumnSums.h"

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

namespace {
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
  loadAhead(row);
  KernelEmitter::emitRow(row);
}

/// Loads the vectors of `row` that results are made of, and that belong to it
/// alone, in the scopes of the fragments; nothing where those are a loop. Then
/// rows of which the place is looked up first (a step's modulation) are not
/// waited for before the others are asked for.
///
/// What column sums alone read is loaded ahead where a thread has little of the
/// row: gradients of norm, modulation and gate on an H100, rows of 192 24.8 →
/// 23.1 us; rows of 1152 130 → 151 us, for want of registers.
void GpuEmitter::loadAhead(const Index &row) {
  int64_t size = source.space.back(), points = source.getRows() * size;
  int64_t fragments = llvm::divideCeil(size, lanesPerRow * getWidth(size));
  if (fragments > mostFragments)
    return;
  Scope &parent = scope();
  for (int64_t fragment = 0; fragment < fragments; ++fragment) {
    scopes.push_back(&getFragment(parent, size, fragment));
    setInsertionPoint();
    CollectLoads walk(table);
    Index point = row;
    point.push_back(IndexTable::get(scope().lane->atom));
    IndexExpr position = table.linearize(point, source.space);
    for (Value result : source.body->front().getTerminator()->getOperands()) {
      Value value = getPointValue(result);
      if (!value || (getColumnSum(result) && rowsAtOnce == 1))
        continue;
      auto type = cast<RankedTensorType>(value.getType());
      walk.visit(value, table.delinearize(position, type.getShape()));
    }
    for (auto &[value, index] : walk.loads)
      if (!value.getDefiningOp() &&
          cast<RankedTensorType>(value.getType()).getNumElements() >= points)
        emitElement(value, index);
    scopes.pop_back();
    setInsertionPoint();
  }
}
