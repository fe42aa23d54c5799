//===- EmitLoops.cpp - A kernel's function and its loops ------------------===//
//
// A kernel without reductions whose every access is contiguous in the space's
// row-major order is one loop over a block's elements. All others are a loop
// over rows, with loops over the lane inside.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/IndexMap.h"
#include "compiler/codegen/KernelEmitter.h"
#include "dialects/dit/ColumnSums.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

KernelEmitter::KernelEmitter(ModuleOp module, const KernelSource &source,
                             VectorTarget target)
    : module(module), source(source), builder(module.getContext()),
      lanes(builder, source.body->getLoc(), target), multiUse(*source.body),
      run(getRun(source.body->front())) {}

/// The element types that generated code knows.
static bool isSupported(Type type) {
  Type element = cast<RankedTensorType>(type).getElementType();
  if (element.isF32() || element.isF64() || element.isBF16() || element.isF16())
    return true;
  return element.isSignlessInteger() &&
         llvm::is_contained({1u, 8u, 16u, 32u, 64u},
                            element.getIntOrFloatBitWidth());
}

LogicalResult KernelEmitter::emit() {
  Block &body = source.body->front();
  for (BlockArgument argument : body.getArguments())
    if (!isSupported(argument.getType()))
      return emitError(argument.getLoc())
             << "no code can be generated for " << argument.getType();
  for (Operation &op : body.without_terminator())
    for (Type type : op.getResultTypes())
      if (!isSupported(type))
        return op.emitOpError("no code can be generated for ") << type;

  builder.setInsertionPointToEnd(module.getBody());
  auto function =
      func::FuncOp::create(builder, lanes.loc, source.symbol,
                           builder.getFunctionType(getArguments(), {}));
  Block *entry = function.addEntryBlock();
  Scope top(entry);
  scopes.push_back(&top);
  setInsertionPoint();
  emitFunction(entry);
  func::ReturnOp::create(builder, lanes.loc);
  scopes.pop_back();
  if (hasFailed)
    function.erase();
  return failure(hasFailed);
}

SmallVector<Type> KernelEmitter::getArguments() {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Type integer = builder.getI64Type();
  return {pointer, integer, integer};
}

void KernelEmitter::emitFunction(Block *entry) {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Block &body = source.body->front();
  // The operands' addresses: inputs, then results.
  Value table = entry->getArgument(0);
  int64_t position = 0;
  auto nextBuffer = [&](Type type) -> Buffer {
    Value place = LLVM::GEPOp::create(
        builder, lanes.loc, pointer, pointer, table,
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(position++)});
    return {LLVM::LoadOp::create(builder, lanes.loc, pointer, place),
            cast<RankedTensorType>(type)};
  };
  for (BlockArgument argument : body.getArguments())
    buffers[argument] = nextBuffer(argument.getType());
  for (Value result : body.getTerminator()->getOperands())
    results.push_back(nextBuffer(result.getType()));

  if (isFlat())
    emitFlat(entry->getArgument(1), entry->getArgument(2));
  else
    emitRows(entry->getArgument(1), entry->getArgument(2));
}

//===----------------------------------------------------------------------===//
// The space
//===----------------------------------------------------------------------===//

namespace {
/// Collects where a concatenation of rows goes over from one operand to the
/// next.
class CollectRowCuts : public ElementWalk {
public:
  using ElementWalk::ElementWalk;
  std::map<AtomId, std::set<int64_t>> cuts;

protected:
  void visitConcat(tensor::ConcatOp op, const Index &index) override {
    const IndexExpr &along = index[op.getDim()];
    // One number a row may as well be selected.
    if (along.terms.size() != 1 || along.terms[0].second != 1 ||
        !table.isVector(index))
      return;
    auto [atom, _] = along.terms[0];
    if (table[atom].kind != Atom::Variable || table[atom].isVector)
      return;
    IndexRange range = table[atom].range;
    for (ConcatPiece &piece : mapConcat(table, op, index))
      if (int64_t cut = piece.start - along.constant;
          cut > range.low && cut <= range.high)
        cuts[atom].insert(cut);
  }
};
} // namespace

/// Whether `value` at `index` reads memory only at lane + constant or at places
/// that do not depend on the lane, and reduces nothing.
bool KernelEmitter::isFlat(Value value, const Index &index, AtomId lane) {
  Operation *op = value.getDefiningOp();
  auto constant = dyn_cast_if_present<arith::ConstantOp>(op);
  if (constant && isa<SplatElementsAttr>(constant.getValue()))
    return true;
  if (!op || constant) {
    auto type = cast<RankedTensorType>(value.getType());
    IndexExpr position = table.linearize(index, type.getShape());
    return !table.isVector(position) ||
           (position - IndexTable::get(lane)).isConstant();
  }
  if (isView(op))
    return isFlat(op->getOperand(0), mapView(table, op, index), lane);
  return isElementwise(op) && llvm::all_of(op->getOperands(), [&](Value each) {
           return isFlat(each, index, lane);
         });
}

bool KernelEmitter::isFlat() {
  int64_t points = source.getRows() * source.space.back();
  AtomId lane = table.createVariable({0, points - 1}, 1, true);
  for (Value result : source.body->front().getTerminator()->getOperands()) {
    auto type = cast<RankedTensorType>(result.getType());
    if (type.getNumElements() != points)
      return false;
    Index index = table.delinearize(IndexTable::get(lane), type.getShape());
    if (!isFlat(result, index, lane))
      return false;
  }
  return true;
}

/// Stores every full result's element at `point` of the space (or of the flat
/// space), after computing all of them.
void KernelEmitter::storeResults(const Index &point) {
  ArrayRef<int64_t> space = source.space;
  IndexExpr position =
      point.size() == 1 ? point[0] : table.linearize(point, space);
  SmallVector<std::tuple<Value, Buffer, Value>> stores;
  for (auto [result, buffer] :
       llvm::zip(source.body->front().getTerminator()->getOperands(), results))
    if (Value value = getPointValue(result))
      stores.push_back(
          {result, buffer,
           emitElement(
               value,
               table.delinearize(
                   position,
                   cast<RankedTensorType>(value.getType()).getShape()))});
  for (auto [result, buffer, element] : stores) {
    if (ReduceOp columnSum = getColumnSum(result))
      addToSum(columnSum, buffer, point.back(), element);
    else
      store(buffer, position, element);
  }
}

Value KernelEmitter::getPointValue(Value result) {
  if (ReduceOp columnSum = getColumnSum(result))
    return columnSum.getInput();
  auto type = cast<RankedTensorType>(result.getType());
  bool isFull = type.getNumElements() == source.getRows() * source.space.back();
  return isFull ? result : Value();
}

void KernelEmitter::addToSum(ReduceOp columnSum, const Buffer &buffer,
                             const IndexExpr &lane, Value element) {
  IndexExpr position = runNumber * source.space.back() + lane;
  store(buffer, position,
        combine(columnSum.getKind(), load(buffer, position), element));
}

/// One loop over the elements of each block.
void KernelEmitter::emitFlat(Value begin, Value end) {
  int64_t points = source.getRows() * source.space.back();
  int64_t block = source.rowsPerBlock * source.space.back();
  int64_t width = getWidth(points);
  Type integer = builder.getI64Type();
  emitLoop(begin, end, 1, {}, [&](Value index, ValueRange) {
    Value low = lanes.make<arith::MulIOp>(index, lanes.integer(integer, block));
    Value high = lanes.make<arith::MinSIOp>(
        lanes.make<arith::AddIOp>(low, lanes.integer(integer, block)),
        lanes.integer(integer, points));
    Value count = lanes.make<arith::SubIOp>(high, low);
    Value rest =
        lanes.make<arith::RemUIOp>(count, lanes.integer(integer, width));
    Value whole = lanes.make<arith::SubIOp>(high, rest);
    auto emitStep = [&](Value base, Value mask) {
      Lane lane{table.createVariable({0, points - 1}, getLevel(), width > 1),
                width,
                base,
                mask,
                /*isAligned=*/false,
                /*size=*/0};
      variables[lane.atom] = base;
      scope().lane = lane;
      storeResults({IndexTable::get(lane.atom)});
    };
    emitLoop(low, whole, width, {}, [&](Value base, ValueRange) {
      emitStep(base, Value());
      return SmallVector<Value>();
    });
    if (block % width || points % width) {
      Scope inner(scope().block, scope().anchor);
      scopes.push_back(&inner);
      SmallVector<int64_t> numbers = llvm::to_vector(llvm::seq(width));
      auto type = VectorType::get(width, integer);
      Value iota = arith::ConstantOp::create(
          builder, lanes.loc, DenseElementsAttr::get(type, ArrayRef(numbers)));
      emitStep(whole, lanes.compare(arith::CmpIPredicate::ult, iota, rest));
      scopes.pop_back();
      setInsertionPoint();
    }
    return SmallVector<Value>();
  });
}

/// One loop over the rows of all blocks.
void KernelEmitter::emitRows(Value begin, Value end) {
  Type integer = builder.getI64Type();
  Value perBlock = lanes.integer(integer, source.rowsPerBlock);
  Value rows = lanes.integer(integer, source.getRows());
  Value low = lanes.make<arith::MulIOp>(begin, perBlock);
  Value high = lanes.make<arith::MinSIOp>(
      lanes.make<arith::MulIOp>(end, perBlock), rows);
  if (run > 1) {
    if (source.rowsPerBlock % run) {
      emitError(lanes.loc) << "a block of " << source.rowsPerBlock
                           << " rows holds no whole runs of " << run
                           << " that are summed";
      hasFailed = true;
    }
    return emitRuns(low, high);
  }
  emitLoop(low, high, 1, {}, [&](Value number, ValueRange) {
    emitCutRows(splitRow(number));
    return SmallVector<Value>();
  });
}

/// Runs of rows in a loop; in each, the column sums begin with nothing.
void KernelEmitter::emitRuns(Value low, Value high) {
  Type integer = builder.getI64Type();
  Value size = lanes.integer(integer, run);
  int64_t runs = source.getRows() / run, lane = source.space.back();
  emitLoop(
      lanes.make<arith::DivUIOp>(low, size),
      lanes.make<arith::DivUIOp>(high, size), 1, {},
      [&](Value number, ValueRange) {
        AtomId atom = table.createVariable({0, runs - 1}, getLevel(), false);
        variables[atom] = number;
        runNumber = IndexTable::get(atom);
        emitLanes({0, lane}, {}, /*isCheap=*/true,
                  [&](const IndexExpr &index, Value) {
                    Operation *yield = source.body->front().getTerminator();
                    for (auto [result, buffer] :
                         llvm::zip(yield->getOperands(), results))
                      if (ReduceOp sum = getColumnSum(result))
                        store(buffer, runNumber * lane + index,
                              makeNeutral(sum.getKind(),
                                          LaneBuilder::getComputeType(
                                              buffer.type.getElementType())));
                    return Value();
                  });
        Value first = lanes.make<arith::MulIOp>(number, size);
        emitLoop(lanes.integer(integer, 0), size, 1, {},
                 [&](Value row, ValueRange) {
                   emitCutRows(splitRow(lanes.make<arith::AddIOp>(first, row)));
                   return SmallVector<Value>();
                 });
        return SmallVector<Value>();
      });
}

/// The index of row `number`, in this scope.
Index KernelEmitter::splitRow(Value number) {
  ArrayRef<int64_t> outer = source.space.drop_back();
  Index row(outer.size());
  Value rest = number;
  for (size_t dim = outer.size(); dim-- > 0;) {
    if (outer[dim] == 1)
      continue;
    AtomId atom = table.createVariable({0, outer[dim] - 1}, getLevel(), false);
    row[dim] = IndexTable::get(atom);
    variables[atom] = rest;
    if (llvm::all_of(outer.take_front(dim),
                     [](int64_t size) { return size == 1; }))
      continue;
    Value size = lanes.integer(rest.getType(), outer[dim]);
    variables[atom] = lanes.make<arith::RemUIOp>(rest, size);
    rest = lanes.make<arith::DivUIOp>(rest, size);
  }
  return row;
}

/// The row, in as many forms as concatenations of rows make: each form knows
/// which operand it reads.
void KernelEmitter::emitCutRows(const Index &row) {
  constexpr size_t mostCuts = 3;
  CollectRowCuts walk(table);
  AtomId lane =
      table.createVariable({0, source.space.back() - 1}, getLevel() + 1, true);
  Index point = row;
  point.push_back(IndexTable::get(lane));
  IndexExpr position = table.linearize(point, source.space);
  for (Value result : source.body->front().getTerminator()->getOperands())
    if (Value value = getPointValue(result)) {
      auto type = cast<RankedTensorType>(value.getType());
      walk.visit(value, table.delinearize(position, type.getShape()));
    }
  if (walk.cuts.empty() || walk.cuts.begin()->second.size() > mostCuts)
    return emitRow(row);

  // Another atom's cuts are found inside of each form.
  auto [atom, cuts] = *walk.cuts.begin();
  Value number = variables[atom];
  Type type = number.getType();
  cuts.insert(table[atom].range.high + 1);
  for (int64_t low = table[atom].range.low; int64_t high : cuts) {
    Value isHere = lanes.make<arith::AndIOp>(
        lanes.compare(arith::CmpIPredicate::sge, number,
                      lanes.integer(type, low)),
        lanes.compare(arith::CmpIPredicate::slt, number,
                      lanes.integer(type, high)));
    auto branch = scf::IfOp::create(builder, lanes.loc, isHere,
                                    /*withElseRegion=*/false);
    {
      AnchorGuard guard(scopes, branch);
      Scope inner(branch.thenBlock(), branch.thenBlock()->getTerminator());
      scopes.push_back(&inner);
      setInsertionPoint();
      AtomId part = table.createVariable({low, high - 1}, getLevel(), false);
      variables[part] = number;
      Index narrowed = row;
      for (IndexExpr &expr : narrowed)
        if (expr == IndexTable::get(atom))
          expr = IndexTable::get(part);
      emitCutRows(narrowed);
      scopes.pop_back();
    }
    setInsertionPoint();
    low = high;
  }
}

void KernelEmitter::emitRow(const Index &row) {
  ArrayRef<int64_t> space = source.space;
  int64_t size = space.back();
  IndexExpr position = table.linearize(row, space.drop_back());
  SmallVector<std::pair<Buffer, Value>> rowResults;
  SmallVector<Value> values;
  SmallVector<Index, 2> indices;
  AtomId lane = table.createVariable({0, size - 1}, getLevel() + 1, true);
  IndexExpr point = position * size + IndexTable::get(lane);
  for (auto [result, buffer] : llvm::zip(
           source.body->front().getTerminator()->getOperands(), results)) {
    if (Value value = getPointValue(result)) {
      auto type = cast<RankedTensorType>(value.getType());
      values.push_back(value);
      indices.push_back(table.delinearize(point, type.getShape()));
      continue;
    }
    rowResults.push_back(
        {buffer, emitElement(result, table.delinearize(
                                         position, buffer.type.getShape()))});
  }
  if (!values.empty())
    emitLanes(prepareLanes(values, indices, lane, size), {}, /*isCheap=*/false,
              [&](const IndexExpr &index, Value) {
                Index point = row;
                point.push_back(index);
                storeResults(point);
                return Value();
              });
  for (auto [buffer, value] : rowResults)
    store(buffer, position, value);
}
