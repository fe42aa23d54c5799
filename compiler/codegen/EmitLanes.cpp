//===- EmitLanes.cpp - Scopes of a kernel and loops over its lane ---------===//
//
// Where ops are put (scopes), and the loops that run over the lane in vectors,
// with what must be computed before them.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/IndexMap.h"
#include "compiler/codegen/KernelEmitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

//===----------------------------------------------------------------------===//
// Scopes
//===----------------------------------------------------------------------===//

AnchorGuard::AnchorGuard(ArrayRef<Scope *> scopes, Operation *op) {
  for (Scope *scope : llvm::reverse(scopes)) {
    if (scope->block != op->getBlock())
      break;
    before.push_back({scope, scope->anchor});
    scope->anchor = op;
  }
}

AnchorGuard::~AnchorGuard() {
  for (auto [scope, anchor] : before)
    scope->anchor = anchor;
}

void KernelEmitter::setInsertionPoint() {
  if (scope().anchor)
    builder.setInsertionPoint(scope().anchor);
  else
    builder.setInsertionPointToEnd(scope().block);
}

/// Emits in the scope of `depth`, which is around this one.
Value KernelEmitter::inScope(unsigned depth, llvm::function_ref<Value()> emit) {
  SmallVector<Scope *, 6> all = scopes;
  scopes.truncate(depth + 1);
  setInsertionPoint();
  Value value = emit();
  scopes = std::move(all);
  setInsertionPoint();
  return value;
}

/// for (i = low; i < high; i += step), one scope deeper.
SmallVector<Value> KernelEmitter::emitLoop(Value low, Value high, int64_t step,
                                           ValueRange inits, LoopBody body) {
  Value stride = lanes.integer(builder.getI64Type(), step);
  auto loop = scf::ForOp::create(builder, lanes.loc, low, high, stride, inits);
  if (inits.empty())
    loop.getBody()->getTerminator()->erase();
  {
    AnchorGuard guard(scopes, loop);
    Scope inner(loop.getBody());
    inner.lane = scope().lane;
    scopes.push_back(&inner);
    setInsertionPoint();
    SmallVector<Value> next =
        body(loop.getInductionVar(), loop.getRegionIterArgs());
    scf::YieldOp::create(builder, lanes.loc, next);
    scopes.pop_back();
  }
  setInsertionPoint();
  return loop.getResults();
}

int64_t KernelEmitter::getWidth(int64_t size) const {
  return std::min<int64_t>(lanes.target.lanes, llvm::PowerOf2Ceil(size));
}

/// One vector of `width` lanes from `base` on, `valid` of which exist, in the
/// scope that is on top of the stack.
Value KernelEmitter::emitVectorStep(Value base, IndexRange range, int64_t width,
                                    int64_t valid, int64_t size, Value init,
                                    LaneBody body) {
  Lane lane;
  lane.atom = table.createVariable(range, getLevel(), width > 1);
  variables[lane.atom] = base;
  lane.width = width;
  lane.base = base;
  lane.isAligned = range.low % width == 0;
  lane.size = size;
  if (valid < width) {
    SmallVector<bool> exists(width, false);
    std::fill_n(exists.begin(), valid, true);
    auto type = VectorType::get(width, builder.getI1Type());
    lane.mask = arith::ConstantOp::create(builder, lanes.loc,
                                          DenseElementsAttr::get(type, exists));
  }
  scope().lane = lane;
  Value next = body(IndexTable::get(lane.atom), init);
  if (lane.mask && next)
    next = lanes.select(lane.mask, next, init);
  return next;
}

/// Vectors over [0, size), cut at `cuts` (which hold 0 and size). Vector j goes
/// to accumulator j mod their number: `accumulators` is kept turned so that the
/// next is in front. Cheap bodies are repeated for all accumulators in a loop's
/// turn, others turn the accumulators instead.
SmallVector<Value> KernelEmitter::emitLanes(ArrayRef<int64_t> cuts,
                                            ValueRange inits, bool isCheap,
                                            LaneBody body) {
  int64_t size = cuts.back(), width = getWidth(size), count = 0;
  SmallVector<Value> accumulators(inits);
  Scope &parent = scope();
  std::map<ElementKey, Value> outer;
  std::swap(outer, parent.beingKept);
  auto turn = [](SmallVectorImpl<Value> &values, int64_t times) {
    if (!values.empty())
      std::rotate(values.begin(), values.begin() + times % values.size(),
                  values.end());
  };
  auto emitStep = [&](Value base, IndexRange range, int64_t valid,
                      SmallVectorImpl<Value> &current) {
    Value next = emitVectorStep(base, range, width, valid, size,
                                current.empty() ? Value() : current[0], body);
    if (next)
      current[0] = next;
    turn(current, 1);
  };
  // A step outside of any loop, in a scope of its own.
  auto emitStraight = [&](int64_t low, int64_t valid) {
    Scope inner(parent.block, parent.anchor);
    scopes.push_back(&inner);
    emitStep(lanes.integer(builder.getI64Type(), low), {low, low + valid - 1},
             valid, accumulators);
    scopes.pop_back();
    setInsertionPoint();
    ++count;
  };

  int64_t together = isCheap ? std::max<int64_t>(inits.size(), 1) : 1;
  for (size_t cut = 0; cut + 1 < cuts.size(); ++cut) {
    int64_t low = cuts[cut], high = cuts[cut + 1];
    int64_t turns = (high - low) / (together * width);
    if (turns > 1) {
      int64_t end = low + turns * together * width;
      Value from = lanes.integer(builder.getI64Type(), low);
      Value to = lanes.integer(builder.getI64Type(), end);
      accumulators =
          emitLoop(from, to, together * width, accumulators,
                   [&](Value base, ValueRange carried) -> SmallVector<Value> {
                     SmallVector<Value> current(carried);
                     for (int64_t step = 0; step < together; ++step) {
                       Value own = base;
                       if (step)
                         own = lanes.make<arith::AddIOp>(
                             base, lanes.integer(base.getType(), step * width));
                       emitStep(own, {low, end - 1}, width, current);
                     }
                     return current;
                   });
      count += turns * together;
      low = end;
    }
    for (; low < high; low += width)
      emitStraight(low, std::min(width, high - low));
  }
  if (!accumulators.empty())
    turn(accumulators, accumulators.size() - count % accumulators.size());
  parent.kept.merge(parent.beingKept);
  parent.beingKept = std::move(outer);
  return accumulators;
}

//===----------------------------------------------------------------------===//
// What a loop over the lane needs before it
//===----------------------------------------------------------------------===//

/// Emits the reductions that are the same for all lanes, and collects the lanes
/// where a concatenation goes over from one operand to the next.
class dit::codegen::PrepareLanes : public ElementWalk {
public:
  PrepareLanes(KernelEmitter &emitter, AtomId lane)
      : ElementWalk(emitter.table), emitter(emitter), lane(lane) {}

  std::set<int64_t> cuts;

protected:
  void visitConcat(tensor::ConcatOp op, const Index &index) override {
    const IndexExpr &along = index[op.getDim()];
    IndexExpr shift = along - IndexTable::get(lane);
    if (shift.isConstant())
      for (ConcatPiece &piece : mapConcat(table, op, index))
        cuts.insert(piece.start - shift.constant);
  }

  bool visitReduction(Value value, const Index &row) override {
    if (table.isVector(row))
      return false;
    Operation *op = value.getDefiningOp();
    if (isa<SoftmaxOp>(op))
      emitter.emitElement(value, row, /*part=*/3);
    else if (isa<ReduceOp>(op))
      emitter.emitElement(value, row);
    for (Value statistic : op->getResults().drop_front())
      emitter.emitElement(statistic, row);
    return false;
  }

private:
  KernelEmitter &emitter;
  AtomId lane;
};

SmallVector<int64_t> KernelEmitter::prepareLanes(ArrayRef<Value> values,
                                                 ArrayRef<Index> indices,
                                                 AtomId lane, int64_t size) {
  constexpr size_t mostCuts = 8;
  PrepareLanes walk(*this, lane);
  for (auto [value, index] : llvm::zip_equal(values, indices))
    walk.visit(value, index);
  SmallVector<int64_t> inside = {0};
  for (int64_t cut : walk.cuts)
    if (cut > 0 && cut < size)
      inside.push_back(cut);
  if (inside.size() > mostCuts)
    inside.resize(1);
  inside.push_back(size);
  return inside;
}
