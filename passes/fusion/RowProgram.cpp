//===- RowProgram.cpp - Where a kernel's points read its tensors ----------===//
#include "passes/fusion/RowProgram.h"

#include "dialects/dit/ColumnSums.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dit;

ArrayRef<int64_t> dit::getShape(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

int64_t dit::countElements(Value value) {
  return ShapedType::getNumElements(getShape(value));
}

RowSpace RowSpace::of(ArrayRef<int64_t> space) {
  int64_t rows = 1;
  for (int64_t size : space.drop_back())
    rows *= size;
  return {rows, space.back()};
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

bool Access::dependsOn(Coordinate coordinate) const {
  return llvm::any_of(
      indices, [&](const Index &index) { return index.dependsOn(coordinate); });
}

int64_t Access::getEvaluations() const {
  return rows * (dependsOn(Coordinate::Lane) ? lanes : 1) *
         (dependsOn(Coordinate::Term) ? terms : 1);
}

static Index laneIndex(RowSpace space) {
  Index index;
  index.digits.push_back({1, Coordinate::Lane, 1, space.lane});
  normalise(index);
  return index;
}

/// `run`: rows that one row of the result stands for.
static Index resultIndex(RowSpace space, Linearity linearity, int64_t run = 1) {
  Index index;
  int64_t stride = 1;
  if (linearity != Linearity::Row) {
    index = laneIndex(space);
    stride = space.lane;
  }
  index.digits.push_back({stride, Coordinate::Row, run, space.rows / run});
  normalise(index);
  return index;
}

Access dit::getResultAccess(ArrayRef<int64_t> shape, RowSpace space,
                            Linearity linearity) {
  int64_t run =
      linearity == Linearity::Runs
          ? space.rows * space.lane / ShapedType::getNumElements(shape)
          : 1;
  return {delinearise(resultIndex(space, linearity, run), shape), space.rows,
          space.lane};
}

Access dit::getResultAccess(OpResult result, RowSpace space) {
  Linearity linearity = getColumnSum(result) ? Linearity::Runs
                        : countElements(result) == space.rows * space.lane
                            ? Linearity::Full
                            : Linearity::Row;
  return getResultAccess(getShape(result), space, linearity);
}

Linearity dit::getLinearity(const Access &access, ArrayRef<int64_t> shape,
                            RowSpace space) {
  int64_t elements = ShapedType::getNumElements(shape);
  if (access.rows != space.rows || access.lanes != space.lane)
    return Linearity::None;
  Index index = linearise(access.indices, shape);
  if (elements == space.rows * space.lane &&
      index == resultIndex(space, Linearity::Full))
    return Linearity::Full;
  if (elements == space.rows && index == resultIndex(space, Linearity::Row))
    return Linearity::Row;
  return Linearity::None;
}

//===----------------------------------------------------------------------===//
// Pulling through an op
//===----------------------------------------------------------------------===//

bool dit::isReduction(Operation *op) {
  if (auto reduce = dyn_cast<ReduceOp>(op)) {
    auto rank = static_cast<int64_t>(getShape(reduce.getInput()).size());
    return reduce.getDims() == ArrayRef<int64_t>({rank - 1});
  }
  return isa<LayerNormOp, RmsNormOp, SoftmaxOp>(op);
}

ReduceOp dit::getColumnReduction(Operation *op) {
  auto reduce = dyn_cast<ReduceOp>(op);
  if (!reduce)
    return {};
  auto rank = static_cast<int64_t>(getShape(reduce.getInput()).size());
  bool isColumn = reduce.getDims() == ArrayRef<int64_t>({rank - 2});
  return isColumn ? reduce : ReduceOp();
}

bool dit::isLikeInput(OpResult result) {
  return result.getResultNumber() == 0 && !isa<ReduceOp>(result.getOwner());
}

namespace {
/// Maps one access to a result to the accesses of the operands.
struct Puller {
  unsigned result;
  const Access &access;
  RowSpace space;
  SmallVectorImpl<OperandAccess> &operands;
  std::string &reason;

  /// Same rows and lanes, other indices.
  void read(Value operand, SmallVector<Index, 0> indices) {
    operands.push_back(
        {operand,
         {std::move(indices), access.rows, access.lanes, access.terms}});
  }
  LogicalResult fail(const Twine &why) {
    reason = why.str();
    return failure();
  }

  LogicalResult pull(Operation *op);
  LogicalResult pullElementwise(Operation *op);
  LogicalResult pullBroadcast(BroadcastOp op);
  LogicalResult pullTranspose(TransposeOp op);
  LogicalResult pullExpand(tensor::ExpandShapeOp op);
  LogicalResult pullCollapse(tensor::CollapseShapeOp op);
  LogicalResult pullSlice(tensor::ExtractSliceOp op);
  LogicalResult pullConcat(tensor::ConcatOp op);
  LogicalResult pullGather(GatherOp op);
  LogicalResult pullRandom(RandomOp op);
  LogicalResult pullReduction(Operation *op);
  LogicalResult pullColumns(ReduceOp op);
};
} // namespace

LogicalResult Puller::pullElementwise(Operation *op) {
  for (Value operand : op->getOperands()) {
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (!type || type.getRank() != static_cast<int64_t>(access.indices.size()))
      return fail("an operand is not like the result");
    read(operand, access.indices);
  }
  return success();
}

LogicalResult Puller::pullBroadcast(BroadcastOp op) {
  SmallVector<Index, 0> indices;
  for (int64_t dim : op.getDims())
    indices.push_back(access.indices[dim]);
  read(op.getInput(), std::move(indices));
  return success();
}

LogicalResult Puller::pullTranspose(TransposeOp op) {
  SmallVector<Index, 0> indices(access.indices.size());
  for (auto [dim, from] : llvm::enumerate(op.getPermutation()))
    indices[from] = access.indices[dim];
  read(op.getInput(), std::move(indices));
  return success();
}

LogicalResult Puller::pullExpand(tensor::ExpandShapeOp op) {
  SmallVector<Index, 0> indices;
  ArrayRef<int64_t> shape = getShape(op.getResult());
  for (const ReassociationIndices &group : op.getReassociationIndices())
    indices.push_back(
        linearise(ArrayRef(access.indices).slice(group.front(), group.size()),
                  shape.slice(group.front(), group.size())));
  read(op.getSrc(), std::move(indices));
  return success();
}

LogicalResult Puller::pullCollapse(tensor::CollapseShapeOp op) {
  SmallVector<Index, 0> indices;
  ArrayRef<int64_t> shape = getShape(op.getSrc());
  for (auto [dim, group] : llvm::enumerate(op.getReassociationIndices()))
    llvm::append_range(indices,
                       delinearise(access.indices[dim],
                                   shape.slice(group.front(), group.size())));
  // To rank 0: every dimension is 1.
  if (op.getReassociationIndices().empty())
    indices.resize(shape.size());
  read(op.getSrc(), std::move(indices));
  return success();
}

LogicalResult Puller::pullSlice(tensor::ExtractSliceOp op) {
  ArrayRef<int64_t> offsets = op.getStaticOffsets(),
                    strides = op.getStaticStrides();
  if (ShapedType::isDynamicShape(offsets) ||
      ShapedType::isDynamicShape(strides) ||
      ShapedType::isDynamicShape(op.getStaticSizes()))
    return fail("the slice's place is not a constant");
  llvm::SmallBitVector dropped = op.getDroppedDims();
  SmallVector<Index, 0> indices;
  unsigned from = 0;
  for (auto [dim, offset] : llvm::enumerate(offsets)) {
    Index index;
    if (!dropped[dim])
      index = access.indices[from++];
    for (Digit &digit : index.digits)
      if (index.exact)
        digit.coefficient *= strides[dim];
    index.offset = index.offset * strides[dim] + offset;
    if (!index.exact)
      index.offset = 0;
    indices.push_back(std::move(index));
  }
  read(op.getSource(), std::move(indices));
  return success();
}

LogicalResult Puller::pullConcat(tensor::ConcatOp op) {
  int64_t dim = static_cast<int64_t>(op.getDim()), begin = 0;
  const Index &index = access.indices[dim];
  int64_t total = getShape(op.getResult())[dim];
  for (Value input : op.getInputs()) {
    int64_t size = getShape(input)[dim], end = begin + size;
    Access inner = access;
    Index &at = inner.indices[dim];
    at.offset -= begin;
    begin = end;
    bool inside = index.exact && at.offset >= 0 && getMaximum(at) < size;
    if (!inside) {
      if (index.exact && (getMaximum(at) < 0 || at.offset >= size))
        continue;
      at = makeInexact(index);
      int64_t &wanted =
          index.dependsOn(Coordinate::Lane) ? inner.lanes : inner.rows;
      wanted =
          std::max<int64_t>(1, wanted * size / std::max<int64_t>(1, total));
    }
    operands.push_back({input, std::move(inner)});
  }
  return success();
}

LogicalResult Puller::pullGather(GatherOp op) {
  size_t rank = getShape(op.getIndices()).size();
  ArrayRef<Index> indices(access.indices);
  read(op.getIndices(), SmallVector<Index, 0>(indices.take_front(rank)));
  Index all;
  for (const Index &index : indices.take_front(rank))
    llvm::append_range(all.digits, index.digits);
  SmallVector<Index, 0> table{makeInexact(all)};
  llvm::append_range(table, indices.drop_front(rank));
  read(op.getTable(), std::move(table));
  return success();
}

LogicalResult Puller::pullRandom(RandomOp op) {
  auto first = [&](Value value) {
    read(value, SmallVector<Index, 0>(getShape(value).size()));
  };
  first(op.getSeed());
  first(op.getStep());
  read(op.getPictures(), {access.indices.front()});
  return success();
}

LogicalResult Puller::pullReduction(Operation *op) {
  Value input = op->getOperand(0);
  ArrayRef<int64_t> shape = getShape(input);
  if (shape.back() != space.lane)
    return fail("its rows are " + Twine(shape.back()) +
                " wide, but the kernel's are " + Twine(space.lane));
  bool full = isLikeInput(op->getResult(result));
  SmallVector<Index, 0> row(access.indices);
  if (full)
    row.pop_back();
  for (const Index &index : row) {
    if (index.dependsOn(Coordinate::Lane))
      return fail("its row depends on the kernel's lane");
    if (index.dependsOn(Coordinate::Term))
      return fail("its row differs between the terms of a sum");
  }
  row.push_back(laneIndex(space));
  // The whole row is read, whatever part of its result is wanted.
  Access wholeRow{std::move(row), access.rows, space.lane};
  if (full && wholeRow.indices.back() != access.indices.back())
    read(input, access.indices);
  operands.push_back({input, std::move(wholeRow)});
  return success();
}

/// The terms of a point's column; of a column sum, the rows themselves.
LogicalResult Puller::pullColumns(ReduceOp op) {
  ArrayRef<int64_t> shape = getShape(op.getInput());
  if (getColumnSum(op)) {
    bool areRows = shape.back() == space.lane &&
                   countElements(op.getInput()) == space.rows * space.lane;
    if (!areRows || access != getResultAccess(op->getOpResult(0), space))
      return fail(
          "it is a sum of rows, which only a kernel over its rows makes");
    operands.push_back(
        {op.getInput(), getResultAccess(shape, space, Linearity::Full)});
    return success();
  }
  if (access.dependsOn(Coordinate::Term))
    return fail("it would be a sum within the terms of a sum");
  int64_t dim = op.getDims().front();
  Index term;
  term.digits.push_back({1, Coordinate::Term, 1, shape[dim]});
  normalise(term);
  SmallVector<Index, 0> indices(access.indices);
  indices.insert(indices.begin() + dim, std::move(term));
  operands.push_back(
      {op.getInput(),
       {std::move(indices), access.rows, access.lanes, shape[dim]}});
  return success();
}

LogicalResult Puller::pull(Operation *op) {
  if (isReduction(op))
    return pullReduction(op);
  if (ReduceOp columns = getColumnReduction(op))
    return pullColumns(columns);
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](arith::ConstantOp) { return success(); })
      .Case([&](BroadcastOp o) { return pullBroadcast(o); })
      .Case([&](TransposeOp o) { return pullTranspose(o); })
      .Case([&](tensor::ExpandShapeOp o) { return pullExpand(o); })
      .Case([&](tensor::CollapseShapeOp o) { return pullCollapse(o); })
      .Case([&](tensor::ExtractSliceOp o) { return pullSlice(o); })
      .Case([&](tensor::ConcatOp o) { return pullConcat(o); })
      .Case([&](GatherOp o) { return pullGather(o); })
      .Case([&](RandomOp o) { return pullRandom(o); })
      .Default([&](Operation *o) {
        if (o->hasTrait<OpTrait::Elementwise>() && o->getNumResults() == 1)
          return pullElementwise(o);
        return fail("no kernel can compute " + o->getName().getStringRef());
      });
}

LogicalResult dit::pullAccess(Operation *op, unsigned result,
                              const Access &access, RowSpace space,
                              SmallVectorImpl<OperandAccess> &operands,
                              std::string &reason) {
  return Puller{result, access, space, operands, reason}.pull(op);
}

//===----------------------------------------------------------------------===//
// Checking a kernel
//===----------------------------------------------------------------------===//

LogicalResult dit::verifyRowProgram(KernelOp kernel) {
  RowSpace space = RowSpace::of(kernel.getSpace());
  DenseMap<Value, SmallVector<Access>> accesses;
  auto add = [&](Value value, Access access) {
    SmallVector<Access> &known = accesses[value];
    if (!llvm::is_contained(known, access))
      known.push_back(std::move(access));
  };
  Block &block = kernel.getBody().front();
  for (Value result : block.getTerminator()->getOperands()) {
    auto made = dyn_cast<OpResult>(result);
    if (made && getColumnSum(made) && !made.hasOneUse())
      return made.getOwner()->emitOpError(
          "is a sum of rows that its own kernel "
          "reads");
    bool full = countElements(result) == space.rows * space.lane;
    add(result, made
                    ? getResultAccess(made, space)
                    : getResultAccess(getShape(result), space,
                                      full ? Linearity::Full : Linearity::Row));
  }
  for (Operation &op : llvm::reverse(block.without_terminator()))
    for (OpResult result : op.getResults())
      for (const Access &access : accesses.lookup(result)) {
        SmallVector<OperandAccess> operands;
        std::string reason;
        if (failed(pullAccess(&op, result.getResultNumber(), access, space,
                              operands, reason)))
          return op.emitOpError("cannot be in this kernel: ") << reason;
        for (OperandAccess &operand : operands)
          add(operand.operand, std::move(operand.access));
      }
  return success();
}
