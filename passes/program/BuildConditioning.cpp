//===- BuildConditioning.cpp - Many steps, fewer rows ---------------------===//
//
// Rebuilds what Conditioning.cpp found with a leading dimension of steps, where
// it depends on the timestep, and with the rows that differ; and looks the
// result up again for one step and all rows.
//
//===----------------------------------------------------------------------===//
#include "passes/program/Conditioning.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dit;

namespace dit {
/// Rebuilds the ops with a leading dimension of steps, where they depend on the
/// timestep, and the rows that are needed.
struct ConditioningBuilder {
  const Conditioning &from;
  OpBuilder &builder;
  int64_t steps, labels;
  IRMapping made = {};

  const Conditioning::Dependence &dependence(Value value) const {
    return from.known.find(value)->second;
  }
  /// 1 where the value has a leading dimension of steps.
  int64_t lead(Value value) const { return dependence(value).timestep; }

  SmallVector<int64_t> shapeAs(Value value, Rows rows, bool timed) const {
    SmallVector<int64_t> shape(getTensorType(value).getShape());
    if (rows == Rows::Equal)
      shape[0] = 1;
    if (rows == Rows::Distinct)
      shape[0] = labels;
    if (timed)
      shape.insert(shape.begin(), steps);
    return shape;
  }
  RankedTensorType typeOf(Value value) const {
    const Conditioning::Dependence &d = dependence(value);
    return getTensorType(value).clone(shapeAs(value, d.rows, d.timestep));
  }

  Value operand(Value value, Rows rows, bool timed);
  void build(Operation *op);
  void buildAlike(Operation *op);
  Value buildShape(Operation *op);
};
} // namespace dit

/// What was made of `value`, repeated where all rows or all steps are wanted.
Value ConditioningBuilder::operand(Value value, Rows rows, bool timed) {
  Value now = made.lookup(value);
  const Conditioning::Dependence &d = dependence(value);
  SmallVector<int64_t> shape(getTensorType(now).getShape()), dims;
  bool repeats = d.rows == Rows::Equal && rows != Rows::Equal;
  if (repeats)
    shape.erase(shape.begin() + d.timestep);
  Value base = createReshape(builder, value.getLoc(), now, shape);
  int64_t missing = timed && !d.timestep;
  for (int64_t dim = 0; dim < static_cast<int64_t>(shape.size()); ++dim) {
    bool behindRows = repeats && dim >= d.timestep;
    dims.push_back(dim + missing + behindRows);
  }
  return createBroadcast(
      builder, value.getLoc(), base,
      shapeAs(value, repeats ? rows : d.rows, timed || d.timestep), dims);
}

/// Ops whose operands are like the result, and those whose first operand
/// carries the rows: the same op on other types.
void ConditioningBuilder::buildAlike(Operation *op) {
  const Conditioning::Dependence &d = dependence(op->getResult(0));
  IRMapping mapping;
  for (auto [index, value] : llvm::enumerate(op->getOperands())) {
    bool isWeight = isa<MatmulOp>(op) && index > 0;
    mapping.map(value, isWeight ? operand(value, Rows::Whole, false)
                                : operand(value, d.rows, d.timestep));
  }
  Operation *copy = builder.clone(*op, mapping);
  for (auto [before, after] : llvm::zip(op->getResults(), copy->getResults()))
    after.setType(typeOf(before));
  made.map(op->getResults(), copy->getResults());
}

static SmallVector<int64_t> shifted(ArrayRef<int64_t> dims, int64_t by) {
  SmallVector<int64_t> result;
  if (by)
    result.push_back(0);
  for (int64_t dim : dims)
    result.push_back(dim + by);
  return result;
}

/// Ops that only say where elements are, and gathers and reductions.
Value ConditioningBuilder::buildShape(Operation *op) {
  Value result = op->getResult(0);
  Location loc = op->getLoc();
  int64_t by = lead(result);
  RankedTensorType type = typeOf(result);
  Rows rows = dependence(result).rows;
  auto in = [&](Value value, bool keepsRows) {
    return operand(value, keepsRows ? rows : Rows::Whole, by != 0);
  };
  return TypeSwitch<Operation *, Value>(op)
      .Case([&](GatherOp gather) {
        return GatherOp::create(builder, loc, type,
                                operand(gather.getTable(), Rows::Whole, false),
                                in(gather.getIndices(), true));
      })
      .Case([&](BroadcastOp broadcast) {
        ArrayRef<int64_t> dims = broadcast.getDims();
        bool carries = !dims.empty() && dims.front() == 0;
        return createBroadcast(builder, loc, in(broadcast.getInput(), carries),
                               type.getShape(), shifted(dims, by));
      })
      .Case([&](TransposeOp transpose) {
        ArrayRef<int64_t> order = transpose.getPermutation();
        return TransposeOp::create(
            builder, loc,
            in(transpose.getInput(), !order.empty() && order[0] == 0),
            shifted(order, by));
      })
      .Case<tensor::ExpandShapeOp, tensor::CollapseShapeOp>([&](auto reshape) {
        return createReshape(
            builder, loc,
            in(reshape.getSrc(),
               Conditioning::keepsRows(reshape.getSrc(), result)),
            type.getShape());
      })
      .Case([&](tensor::ExtractSliceOp slice) {
        SmallVector<int64_t> offsets(slice.getStaticOffsets()),
            strides(slice.getStaticStrides());
        if (by) {
          offsets.insert(offsets.begin(), 0);
          strides.insert(strides.begin(), 1);
        }
        auto attributes = [&](ArrayRef<int64_t> numbers) {
          return getAsIndexOpFoldResult(builder.getContext(), numbers);
        };
        return tensor::ExtractSliceOp::create(
            builder, loc, type,
            in(slice.getSource(),
               Conditioning::keepsRows(slice.getSource(), result)),
            attributes(offsets), attributes(type.getShape()),
            attributes(strides));
      })
      .Case([&](tensor::ConcatOp concat) {
        SmallVector<Value> inputs;
        for (Value input : concat.getInputs())
          inputs.push_back(in(input, concat.getDim() != 0));
        return tensor::ConcatOp::create(
            builder, loc, static_cast<int64_t>(concat.getDim()) + by, inputs);
      })
      .Case([&](ReduceOp reduce) {
        SmallVector<int64_t> dims;
        for (int64_t dim : reduce.getDims())
          dims.push_back(dim + by);
        return ReduceOp::create(
            builder, loc, reduce.getKind(),
            in(reduce.getInput(), !llvm::is_contained(reduce.getDims(), 0)),
            dims);
      })
      .Default([](Operation *) { return Value(); });
}

void ConditioningBuilder::build(Operation *op) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    Attribute value = constant.getValue();
    if (auto splat = dyn_cast<SplatElementsAttr>(value))
      value = splat.resizeSplat(typeOf(constant));
    made.map(
        constant.getResult(),
        arith::ConstantOp::create(builder, op->getLoc(), cast<TypedAttr>(value))
            .getResult());
    return;
  }
  if (isa<ReadOp>(op)) {
    builder.clone(*op, made);
    return;
  }
  if (Conditioning::keepsForm(op))
    buildAlike(op);
  else
    made.map(op->getResult(0), buildShape(op));
}

SmallVector<Value> Conditioning::build(OpBuilder &builder, Value timesteps,
                                       Value labels) const {
  ConditioningBuilder rebuilt{*this, builder,
                              getTensorType(timesteps).getDimSize(0),
                              getTensorType(labels).getDimSize(0)};
  rebuilt.made.map(timestep,
                   createReshape(builder, timestep.getLoc(), timesteps,
                                 rebuilt.typeOf(timestep).getShape()));
  rebuilt.made.map(label, labels);
  for (Operation *op : ops)
    rebuilt.build(op);
  SmallVector<Value> values;
  for (Value value : stored)
    values.push_back(rebuilt.made.lookup(value));
  return values;
}

Value Conditioning::restore(OpBuilder &builder, Value stored, Value table,
                            Value row, ArrayRef<int64_t> rowOf) const {
  Location loc = stored.getLoc();
  const Dependence &d = known.find(stored)->second;
  RankedTensorType type = getTensorType(stored);
  SmallVector<int64_t> shape(getTensorType(table).getShape());
  bool inOrder = llvm::all_of(llvm::enumerate(rowOf), [](auto entry) {
    return static_cast<int64_t>(entry.index()) == entry.value();
  });
  if (d.rows == Rows::Distinct && !inOrder) {
    // One look-up of both: step · R + row.
    auto count = static_cast<int64_t>(rowOf.size());
    auto indices = RankedTensorType::get({count}, builder.getI64Type());
    Value index = arith::ConstantOp::create(
        builder, loc, DenseIntElementsAttr::get(indices, rowOf));
    if (d.timestep) {
      int64_t rows = shape[1];
      SmallVector<int64_t> flat(ArrayRef(shape).drop_front());
      flat[0] *= shape[0];
      table = createReshape(builder, loc, table, flat);
      Value first = arith::MulIOp::create(
          builder, loc, row,
          createSplat(builder, loc, getTensorType(row), rows));
      index = arith::AddIOp::create(
          builder, loc, createNumpyBroadcast(builder, loc, first, {count}),
          index);
    }
    return GatherOp::create(builder, loc, table, index);
  }
  Value value = table;
  if (d.timestep) {
    shape.erase(shape.begin());
    value = createReshape(builder, loc,
                          GatherOp::create(builder, loc, table, row), shape);
  }
  if (d.rows == Rows::Distinct)
    return createSlice(builder, loc, value, 0, 0, type.getDimSize(0));
  if (d.rows == Rows::Equal)
    return createNumpyBroadcast(builder, loc, value, type.getShape());
  return value;
}
