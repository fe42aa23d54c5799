//===- IndexMap.cpp - Indices through an op, from result to operand -------===//
#include "compiler/codegen/IndexMap.h"

#include "dialects/dit/DitDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

static ArrayRef<int64_t> getShape(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

bool codegen::isView(Operation *op) {
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return llvm::none_of(slice.getStaticOffsets(), ShapedType::isDynamic) &&
           llvm::none_of(slice.getStaticStrides(), ShapedType::isDynamic);
  return isa<BroadcastOp, TransposeOp, tensor::CollapseShapeOp,
             tensor::ExpandShapeOp>(op);
}

static Index mapSlice(tensor::ExtractSliceOp op, const Index &index) {
  llvm::SmallBitVector dropped = op.getDroppedDims();
  Index source;
  const IndexExpr *next = index.begin();
  for (auto [dim, offset] : llvm::enumerate(op.getStaticOffsets())) {
    IndexExpr expr = dropped[dim] ? IndexExpr() : *next++;
    source.push_back(expr * op.getStaticStrides()[dim] + IndexExpr(offset));
  }
  return source;
}

/// Each dimension of the collapsed shape is a group of the expanded one.
static Index mapCollapse(IndexTable &table, tensor::CollapseShapeOp op,
                         const Index &index) {
  ArrayRef<int64_t> shape = getShape(op.getSrc());
  Index source(shape.size());
  for (auto [dim, group] : llvm::enumerate(op.getReassociationIndices())) {
    ArrayRef<int64_t> sizes = shape.slice(group.front(), group.size());
    Index part = table.delinearize(index[dim], sizes);
    llvm::copy(part, source.begin() + group.front());
  }
  return source;
}

static Index mapExpand(IndexTable &table, tensor::ExpandShapeOp op,
                       const Index &index) {
  ArrayRef<int64_t> shape = getShape(op.getResult());
  Index source;
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    Index part(ArrayRef(index).slice(group.front(), group.size()));
    source.push_back(
        table.linearize(part, shape.slice(group.front(), group.size())));
  }
  return source;
}

Index codegen::mapView(IndexTable &table, Operation *view, const Index &index) {
  return TypeSwitch<Operation *, Index>(view)
      .Case([&](BroadcastOp op) {
        Index source;
        for (int64_t dim : op.getDims())
          source.push_back(index[dim]);
        return source;
      })
      .Case([&](TransposeOp op) {
        Index source(index.size());
        for (auto [dim, from] : llvm::enumerate(op.getPermutation()))
          source[from] = index[dim];
        return source;
      })
      .Case([&](tensor::ExtractSliceOp op) { return mapSlice(op, index); })
      .Case([&](tensor::CollapseShapeOp op) {
        return mapCollapse(table, op, index);
      })
      .Case([&](tensor::ExpandShapeOp op) {
        return mapExpand(table, op, index);
      });
}

bool codegen::isElementwise(Operation *op) {
  if (isa<GeluOp, GeluGradOp, SigmoidOp>(op))
    return true;
  StringRef dialect = op->getName().getDialectNamespace();
  return (dialect == "arith" || dialect == "math") && op->getNumOperands() > 0;
}

SmallVector<ConcatPiece, 2>
codegen::mapConcat(IndexTable &table, tensor::ConcatOp op, const Index &index) {
  const auto dim = static_cast<unsigned>(op.getDim());
  const IndexExpr &along = index[dim];
  if (llvm::all_equal(op.getInputs())) {
    Value input = op.getInputs().front();
    Index source = index;
    source[dim] = table.mod(along, getShape(input)[dim]);
    return {{input, 0, source}};
  }
  IndexRange range = table.getRange(along);
  SmallVector<ConcatPiece, 2> pieces;
  int64_t start = 0;
  for (Value input : op.getInputs()) {
    int64_t size = getShape(input)[dim], end = start + size;
    if (size > 0 && range.high >= start && range.low < end) {
      Index source = index;
      source[dim] = table.clamp(along - IndexExpr(start), {0, size - 1});
      pieces.push_back({input, start, source});
    }
    start = end;
  }
  return pieces;
}

void ElementWalk::visit(Value value, const Index &index) {
  Operation *op = value.getDefiningOp();
  if (!seen.insert({value.getAsOpaquePointer(), index}).second)
    return;
  if (!op || isa<GatherOp>(op))
    return visitLoad(value, index);
  if (isView(op))
    return visit(op->getOperand(0), mapView(table, op, index));
  if (auto concat = dyn_cast<tensor::ConcatOp>(op)) {
    visitConcat(concat, index);
    for (ConcatPiece &piece : mapConcat(table, concat, index))
      visit(piece.input, piece.index);
    return;
  }
  if (isa<LayerNormOp, RmsNormOp, SoftmaxOp>(op)) {
    bool isRow = value != op->getResult(0);
    Index row = index, full = index;
    if (!isRow)
      row.pop_back();
    else
      full.push_back(IndexTable::get(table.createVariable(
          {0, getShape(op->getOperand(0)).back() - 1}, 0, true)));
    if (visitReduction(op->getResult(0), row) || !isRow)
      visit(op->getOperand(0), full);
    return;
  }
  if (auto reduce = dyn_cast<ReduceOp>(op)) {
    if (!visitReduction(value, index))
      return;
    Index full;
    const IndexExpr *next = index.begin();
    for (auto [dim, size] : llvm::enumerate(getShape(reduce.getInput())))
      full.push_back(
          llvm::is_contained(reduce.getDims(), static_cast<int64_t>(dim))
              ? IndexTable::get(table.createVariable({0, size - 1}, 0, true))
              : *next++);
    return visit(reduce.getInput(), full);
  }
  if (isElementwise(op))
    for (Value operand : op->getOperands())
      visit(operand, index);
}
