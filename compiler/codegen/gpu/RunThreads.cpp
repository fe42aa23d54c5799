//===- RunThreads.cpp - Threads that go through runs of rows --------------===//
//
// The threads of a row make all rows of a run, one after the other, and hold
// its column sums in registers: each thread those of its fragments. So the rows
// are added in order, and no two threads write one sum.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/gpu/GpuEmitter.h"
#include "dialects/dit/ColumnSums.h"

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

void GpuEmitter::emitRunThreads() {
  int64_t runs = source.getRows() / run, size = source.space.back();
  int64_t width = getWidth(size);
  int64_t fragments = llvm::divideCeil(size, lanesPerRow * width);
  Type word = builder.getI32Type(), integer = builder.getI64Type();
  Value number = takePlace(runs);
  AtomId atom = table.createVariable({0, runs - 1}, getLevel(), false);
  variables[atom] = toWide(number);
  runNumber = IndexTable::get(atom);

  SmallVector<std::pair<ReduceOp, Buffer>> columnSums;
  for (auto [result, buffer] :
       llvm::zip(source.body->front().getTerminator()->getOperands(), results))
    if (ReduceOp columnSum = getColumnSum(result))
      columnSums.push_back({columnSum, buffer});
  if (fragments > mostFragments) {
    fail(columnSums.front().first,
         "rows of " + Twine(size) + " are too wide for column sums");
    return;
  }
  SmallVector<Value> begin;
  for (int64_t fragment = 0; fragment < fragments; ++fragment)
    for (auto &[columnSum, buffer] : columnSums) {
      Type element = LaneBuilder::getComputeType(buffer.type.getElementType());
      begin.push_back(
          makeNeutral(columnSum.getKind(), VectorType::get(width, element)));
    }

  Value first = lanes.make<arith::MulIOp>(number, lanes.integer(word, run));
  SmallVector<Value> whole =
      emitLoop(lanes.integer(integer, 0), lanes.integer(integer, run), 1, begin,
               [&](Value step, ValueRange carried) {
                 sums.assign(carried.begin(), carried.end());
                 addedSums = 0;
                 Index row = splitRow(lanes.make<arith::AddIOp>(
                     first, lanes.resizeInteger(step, word)));
                 for (const IndexExpr &expr : row)
                   for (auto [part, _] : expr.terms)
                     variables[part] = toWide(variables[part]);
                 emitRow(row);
                 return SmallVector<Value>(sums);
               });

  Scope &parent = scope();
  const Value *next = whole.begin();
  for (int64_t fragment = 0; fragment < fragments; ++fragment) {
    scopes.push_back(&getFragment(parent, size, fragment));
    setInsertionPoint();
    IndexExpr position = runNumber * size + IndexTable::get(scope().lane->atom);
    for (auto &[columnSum, buffer] : columnSums)
      store(buffer, position, *next++);
    scopes.pop_back();
    setInsertionPoint();
  }
}

void GpuEmitter::addToSum(ReduceOp columnSum, const Buffer &, const IndexExpr &,
                          Value element) {
  Value &sum = sums[addedSums++];
  sum = combine(columnSum.getKind(), sum, element);
}
