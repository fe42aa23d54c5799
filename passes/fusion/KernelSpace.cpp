//===- KernelSpace.cpp - The iteration space of a kernel ------------------===//
//
// Looks back from the result, nearest op first, in the result's own linear
// index: its digits tell whether the row of a reduction is a run of the result
// or one element of it.
//
//===----------------------------------------------------------------------===//
#include "passes/fusion/KernelSpace.h"

#include "dialects/dit/ColumnSums.h"
#include "passes/fusion/OpKinds.h"

#include <map>

using namespace mlir;
using namespace dit;

/// Ops that are looked at for a reduction.
static constexpr int lookahead = 64;
/// Places of one value that are followed.
static constexpr size_t maxAccesses = 4;
/// Rows that do not keep all threads busy where each point adds many terms.
static constexpr int64_t fewRows = 16;

/// The lane of points that only lie side by side: a shorter one gives more
/// rows.
static int64_t cutLane(int64_t lane) {
  constexpr int64_t longest = 256, multiple = 16;
  for (int64_t size = longest; size >= 4 * multiple; size -= multiple)
    if (lane % size == 0)
      return size;
  return lane;
}

RowSpace dit::chooseSpace(OpResult result,
                          const DenseMap<Operation *, unsigned> &positions) {
  int64_t points = countElements(result);
  ArrayRef<int64_t> shape = getShape(result);
  if (ReduceOp columnSum = getColumnSum(result)) {
    int64_t lane = getShape(columnSum.getInput()).back();
    return {countElements(columnSum.getInput()) / lane, lane};
  }
  if (isReduction(result.getOwner())) {
    int64_t lane = getShape(result.getOwner()->getOperand(0)).back();
    return {isLikeInput(result) ? points / lane : points, lane};
  }
  bool hasColumns = false;
  RowSpace linear{points, 1};
  std::map<unsigned, Operation *, std::greater<>> pending;
  DenseMap<Value, SmallVector<Access, 1>> accesses;
  accesses[result].push_back(getResultAccess(shape, linear, Linearity::Full));
  pending[positions.at(result.getOwner())] = result.getOwner();
  for (int step = 0; step < lookahead && !pending.empty(); ++step) {
    Operation *op = pending.begin()->second;
    pending.erase(pending.begin());
    for (OpResult wanted : op->getResults())
      for (Access access : accesses.lookup(wanted)) {
        if (isReduction(op)) {
          // One number for all points says nothing about them.
          if (points > 1 && countElements(wanted) == 1)
            continue;
          int64_t lane = getShape(op->getOperand(0)).back();
          ArrayRef<int64_t> rowShape = getShape(wanted);
          if (isLikeInput(wanted)) {
            access.indices.pop_back();
            rowShape = rowShape.drop_back();
          }
          bool fixed = llvm::all_of(access.indices, [&](const Index &index) {
            return llvm::all_of(index.digits, [&](const Digit &digit) {
              return digit.stride % lane == 0;
            });
          });
          if (points % lane == 0 && fixed)
            return {points / lane, lane};
          if (getLinearity(access, rowShape, linear) == Linearity::Full)
            return {points, lane};
          continue;
        }
        hasColumns |= getColumnReduction(op) != nullptr;
        SmallVector<OperandAccess, 4> operands;
        std::string reason;
        if (failed(pullAccess(op, wanted.getResultNumber(), access, linear,
                              operands, reason)))
          continue;
        for (OperandAccess &operand : operands) {
          Operation *producer = operand.operand.getDefiningOp();
          if (!producer || !isBodyOp(producer))
            continue;
          pending[positions.at(producer)] = producer;
          SmallVector<Access, 1> &known = accesses[operand.operand];
          if (known.size() < maxAccesses &&
              !llvm::is_contained(known, operand.access))
            known.push_back(std::move(operand.access));
        }
      }
  }
  int64_t lane = shape.empty() ? 1 : shape.back();
  if (hasColumns && points < fewRows * lane)
    lane = cutLane(lane);
  return {points / lane, lane};
}
