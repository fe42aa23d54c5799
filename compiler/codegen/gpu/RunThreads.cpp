//===- RunThreads.cpp - Threads that go through runs of rows --------------===//
//
// Several groups of threads share a run: group g of G makes rows g, g + G,
// g + 2 G, … of it, one after the other, and holds their column sums in
// registers: each thread those of its fragments. At the end the groups' sums go
// through shared memory, and are added in the groups' order:
//
//     rows of the run   0 1 2 3 4 5 6 7 …
//     group             0 1 2 3 0 1 2 3 …     sum = ((s0 + s1) + s2) + s3
//
// So the order is fixed, and no two threads write one sum. With one group for a
// run there would be as few threads as there are runs: 512 runs of 32 rows of
// 192 numbers are four warps for each of an H100's multiprocessors.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/gpu/GpuEmitter.h"
#include "dialects/dit/ColumnSums.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

SmallVector<std::pair<ReduceOp, Buffer>> GpuEmitter::getColumnSums() {
  SmallVector<std::pair<ReduceOp, Buffer>> columnSums;
  for (auto [result, buffer] :
       llvm::zip(source.body->front().getTerminator()->getOperands(), results))
    if (ReduceOp columnSum = getColumnSum(result))
      columnSums.push_back({columnSum, buffer});
  return columnSums;
}

bool GpuEmitter::reducesRows() {
  return llvm::any_of(source.body->front(), [](Operation &op) {
    return isa<LayerNormOp, RmsNormOp, SoftmaxOp>(op) ||
           (isa<ReduceOp>(op) && !getColumnSum(op.getResult(0)));
  });
}

/// The type of an element of `sum` while it is summed.
static Type getSumType(RankedTensorType sum) {
  return LaneBuilder::getComputeType(sum.getElementType());
}

int64_t GpuEmitter::getReach() {
  int64_t size = source.space.back();
  return llvm::alignTo(size, lanesPerRow * getWidth(size));
}

/// How many groups share a run: as many as a block holds, a power of two:
/// beyond the last row of a run they idle. Groups wider than a warp would wait
/// for each other where threads exchange numbers, so that there is one.
/// Measured on an H100, in microseconds with one group for a run and with as
/// many as here: gradients of norm, modulation and gate, 16384 rows of 192, 48
/// → 23; a loss's gradient, 16384 patches of 32, 159 → 4.8; sums of 16384 rows
/// of 768 bf16 12.4 → 10.6, of 512 rows of 192 2.3 → 1.4.
int64_t GpuEmitter::chooseRowsAtOnce() {
  constexpr int64_t mostBytes = 32 << 10;
  bool exchanges = reducesRows();
  if (run == 1 || (exchanges && lanesPerRow > warpSize))
    return 1;
  int64_t mostThreads = exchanges ? 256 : 512;
  int64_t reach = getReach(), bytes = 0;
  for (auto [columnSum, buffer] : getColumnSums()) {
    // Vectors of single bits have no elements with addresses.
    if (buffer.type.getElementType().isInteger(1))
      return 1;
    bytes += reach * getBytes(getSumType(buffer.type));
  }
  // A block that holds less than its fewest threads has several runs.
  auto fits = [&](int64_t groups) {
    int64_t threads = std::max(groups * lanesPerRow, fewestThreads);
    return threads <= mostThreads && threads / lanesPerRow * bytes <= mostBytes;
  };
  int64_t groups = 1;
  while (groups < run && fits(2 * groups))
    groups *= 2;
  return groups;
}

void GpuEmitter::emitRunThreads() {
  int64_t runs = source.getRows() / run, size = source.space.back();
  int64_t width = getWidth(size);
  int64_t fragments = llvm::divideCeil(size, lanesPerRow * width);
  Type word = builder.getI32Type(), integer = builder.getI64Type();
  Value number = takePlace(runs);
  AtomId atom = table.createVariable({0, runs - 1}, getLevel(), false);
  variables[atom] = toWide(number);
  runNumber = IndexTable::get(atom);

  SmallVector<std::pair<ReduceOp, Buffer>> columnSums = getColumnSums();
  if (fragments > mostFragments) {
    fail(columnSums.front().first,
         "rows of " + Twine(size) + " are too wide for column sums");
    return;
  }
  SmallVector<Value> begin;
  for (int64_t fragment = 0; fragment < fragments; ++fragment)
    for (auto [columnSum, buffer] : columnSums)
      begin.push_back(
          makeNeutral(columnSum.getKind(),
                      VectorType::get(width, getSumType(buffer.type))));

  Value first = lanes.make<arith::MulIOp>(number, lanes.integer(word, run));
  Value group = lanes.make<arith::RemUIOp>(
      lanes.make<arith::DivUIOp>(thread, lanes.integer(word, lanesPerRow)),
      lanes.integer(word, rowsAtOnce));
  Value runExists = rowExists;
  auto emitStep = [&](Value step, ValueRange carried) {
    sums.assign(carried.begin(), carried.end());
    addedSums = 0;
    Value inRun =
        lanes.make<arith::AddIOp>(lanes.resizeInteger(step, word), group);
    if (run % rowsAtOnce) {
      isInRun = lanes.compare(arith::CmpIPredicate::ult, inRun,
                              lanes.integer(word, run));
      inRun = lanes.select(isInRun, inRun, lanes.integer(word, run - 1));
      rowExists =
          runExists ? lanes.make<arith::AndIOp>(runExists, isInRun) : isInRun;
    }
    Index row = splitRow(lanes.make<arith::AddIOp>(first, inRun));
    for (const IndexExpr &expr : row)
      for (auto [part, _] : expr.terms)
        variables[part] = toWide(variables[part]);
    emitRow(row);
    return SmallVector<Value>(sums);
  };
  Value zero = lanes.integer(integer, 0);
  SmallVector<Value> whole = rowsAtOnce >= run
                                 ? emitStep(zero, begin)
                                 : emitLoop(zero, lanes.integer(integer, run),
                                            rowsAtOnce, begin, emitStep);
  rowExists = runExists;
  if (rowsAtOnce > 1)
    return addGroups(columnSums, whole);

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

/// Adds up what each group has of each sum, `parts`, and stores it. In shared
/// memory a group has a row for each sum,
///
///     [sum] [run of the block] [group] [fragment] [thread] [element],
///
/// as long as its threads reach; then a thread adds a column of each.
void GpuEmitter::addGroups(ArrayRef<std::pair<ReduceOp, Buffer>> columnSums,
                           ArrayRef<Value> parts) {
  int64_t size = source.space.back(), width = getWidth(size);
  int64_t step = lanesPerRow * width, reach = getReach();
  int64_t groups = launch.threads / lanesPerRow;
  int64_t together = getThreadsOfRun();
  Type word = builder.getI32Type(), byte = builder.getI8Type();
  auto number = [&](int64_t value) { return lanes.integer(word, value); };
  int64_t bytes = 0;
  for (auto &[columnSum, buffer] : columnSums)
    bytes += groups * reach * getBytes(getSumType(buffer.type));
  Value memory = allocateShared(source.symbol + "_sums", byte, bytes);
  auto addressOf = [&](Value element, int64_t size, int64_t offset) -> Value {
    Value place = lanes.make<arith::AddIOp>(
        lanes.make<arith::MulIOp>(element, number(size)), number(offset));
    return LLVM::GEPOp::create(builder, lanes.loc, memory.getType(), byte,
                               memory, ArrayRef<LLVM::GEPArg>{place});
  };

  Value group = lanes.make<arith::DivUIOp>(thread, number(lanesPerRow));
  Value own =
      lanes.make<arith::AddIOp>(lanes.make<arith::MulIOp>(group, number(reach)),
                                lanes.make<arith::MulIOp>(lane, number(width)));
  const Value *next = parts.begin();
  for (int64_t first = 0; first < reach; first += step) {
    int64_t offset = 0;
    for (auto [columnSum, buffer] : columnSums) {
      int64_t size = getBytes(getSumType(buffer.type));
      LLVM::StoreOp::create(builder, lanes.loc, *next++,
                            addressOf(own, size, offset + first * size),
                            std::min<int64_t>(16, powerIn(width * size)));
      offset += groups * reach * size;
    }
  }
  waitForBlock();

  Value inRun = lanes.make<arith::RemUIOp>(thread, number(together));
  Value row = lanes.make<arith::MulIOp>(
      lanes.make<arith::DivUIOp>(thread, number(together)),
      number(rowsAtOnce * reach));
  for (int64_t first = 0; first < size; first += together) {
    int64_t high = std::min(first + together, size);
    Value column = lanes.make<arith::AddIOp>(inRun, number(first)), exists;
    if (high - first < together) {
      exists = lanes.compare(arith::CmpIPredicate::ult, column, number(high));
      column = lanes.select(exists, column, number(first));
    }
    Scope inner(scope().block, scope().anchor);
    scopes.push_back(&inner);
    inner.lane = makeLane(toWide(column), exists, {first, high - 1},
                          /*width=*/1, /*size=*/0);
    Value element = lanes.make<arith::AddIOp>(row, column);
    IndexExpr position = runNumber * size + IndexTable::get(inner.lane->atom);
    int64_t offset = 0;
    for (auto [columnSum, buffer] : columnSums) {
      int64_t size = getBytes(getSumType(buffer.type));
      Value sum;
      for (int64_t i = 0; i < rowsAtOnce; ++i) {
        Value part = LLVM::LoadOp::create(
            builder, lanes.loc, getSumType(buffer.type),
            addressOf(element, size, offset + i * reach * size));
        sum = sum ? combine(columnSum.getKind(), sum, part) : part;
      }
      offset += groups * reach * size;
      store(buffer, position, sum);
    }
    scopes.pop_back();
    setInsertionPoint();
  }
}

void GpuEmitter::addToSum(ReduceOp columnSum, const Buffer &, const IndexExpr &,
                          Value element) {
  Value &sum = sums[addedSums++];
  Value next = combine(columnSum.getKind(), sum, element);
  sum = isInRun ? lanes.select(isInRun, next, sum) : next;
}
