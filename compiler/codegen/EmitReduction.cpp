//===- EmitReduction.cpp - Loops that combine elements --------------------===//
//
// The order is fixed: vector j of a row goes to accumulator j mod 4 (of one
// where the row has not four vectors); the accumulators are combined as (0, 1),
// (2, 3); the lanes by halves. Where each lane has a row of its own, element j
// goes to accumulator j mod 4. It depends on the row's length and the target's
// vector width alone.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/KernelEmitter.h"
#include "compiler/codegen/LaneMath.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <cmath>

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

static RankedTensorType tensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

Value KernelEmitter::combine(ReduceKind kind, Value lhs, Value rhs) {
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(lhs));
  switch (kind) {
  case ReduceKind::Sum:
    return isFloat ? lanes.add(lhs, rhs) : lanes.make<arith::AddIOp>(lhs, rhs);
  case ReduceKind::Prod:
    return isFloat ? lanes.mul(lhs, rhs) : lanes.make<arith::MulIOp>(lhs, rhs);
  case ReduceKind::Max:
    return isFloat ? lanes.make<arith::MaximumFOp>(lhs, rhs)
                   : lanes.make<arith::MaxSIOp>(lhs, rhs);
  case ReduceKind::Min:
    return isFloat ? lanes.make<arith::MinimumFOp>(lhs, rhs)
                   : lanes.make<arith::MinSIOp>(lhs, rhs);
  }
  llvm_unreachable("unknown reduction");
}

Value KernelEmitter::makeNeutral(ReduceKind kind, Type like) {
  Type element = getElementTypeOrSelf(like);
  bool isLimit = kind == ReduceKind::Max || kind == ReduceKind::Min;
  double sign = kind == ReduceKind::Max ? -1 : 1;
  if (isa<FloatType>(element))
    return lanes.constant(like, isLimit                    ? sign * INFINITY
                                : kind == ReduceKind::Prod ? 1
                                                           : 0);
  unsigned width = element.getIntOrFloatBitWidth();
  if (kind == ReduceKind::Max)
    return lanes.integer(like, APInt::getSignedMinValue(width).getSExtValue());
  if (kind == ReduceKind::Min)
    return lanes.integer(like, APInt::getSignedMaxValue(width).getSExtValue());
  return lanes.integer(like, kind == ReduceKind::Prod ? 1 : 0);
}

/// The lanes of a vector combined, by halves.
Value KernelEmitter::reduceVector(ReduceKind kind, Value vector) {
  auto type = dyn_cast<VectorType>(vector.getType());
  if (!type)
    return vector;
  for (int64_t half = type.getDimSize(0) / 2; half > 0; half /= 2) {
    SmallVector<int64_t> low = llvm::to_vector(llvm::seq(half));
    SmallVector<int64_t> high = llvm::to_vector(llvm::seq(half, 2 * half));
    vector = combine(
        kind,
        vector::ShuffleOp::create(builder, lanes.loc, vector, vector, low),
        vector::ShuffleOp::create(builder, lanes.loc, vector, vector, high));
  }
  return vector::ExtractOp::create(builder, lanes.loc, vector, 0);
}

/// Adds up the accumulators: (0, 1), (2, 3), and so on.
Value KernelEmitter::combineAll(ReduceKind kind, SmallVector<Value> parts) {
  while (parts.size() > 1) {
    for (size_t pair = 0; pair < parts.size() / 2; ++pair)
      parts[pair] = combine(kind, parts[2 * pair], parts[2 * pair + 1]);
    parts.resize(parts.size() / 2);
  }
  return parts[0];
}

/// Combines element(at(i)) for i in [0, size), which are computed from
/// `operand`; `isVector`: at(i) differs from lane to lane for one i.
Value KernelEmitter::reduceOver(ReduceKind kind, Value operand, int64_t size,
                                bool isVector,
                                llvm::function_ref<Index(const IndexExpr &)> at,
                                RowElement element) {
  Type compute =
      LaneBuilder::getComputeType(tensorType(operand).getElementType());
  constexpr int64_t several = 4;

  // One step of all lanes after the other, accumulators in turn.
  if (isVector) {
    Type type = VectorType::get(scope().lane->width, compute);
    SmallVector<Value> parts(size >= 4 * several ? several : 1,
                             makeNeutral(kind, type));
    Value low = lanes.integer(builder.getI64Type(), 0);
    Value high = lanes.integer(builder.getI64Type(), size);
    parts =
        emitLoop(low, high, 1, parts, [&](Value number, ValueRange current) {
          AtomId atom = table.createVariable({0, size - 1}, getLevel(), false);
          variables[atom] = number;
          Value next = element(at(IndexTable::get(atom)));
          SmallVector<Value> turned(current.drop_front());
          turned.push_back(combine(kind, current[0], next));
          return turned;
        });
    std::rotate(parts.begin(), parts.end() - size % parts.size(), parts.end());
    return combineAll(kind, parts);
  }

  AtomId lane = table.createVariable({0, size - 1}, getLevel() + 1, true);
  SmallVector<int64_t> cuts =
      prepareLanes(operand, at(IndexTable::get(lane)), lane, size);
  int64_t width = getWidth(size);
  Type type = width == 1 ? compute : VectorType::get(width, compute);
  SmallVector<Value> inits(size >= several * width ? several : 1,
                           makeNeutral(kind, type));
  SmallVector<Value> parts =
      emitLanes(cuts, inits, multiUse.isCheap(operand),
                [&](const IndexExpr &lane, Value current) {
                  return combine(kind, current, element(at(lane)));
                });
  return reduceVector(kind, combineAll(kind, parts));
}

/// Combines element(row, i) over the last dimension of `operand`.
Value KernelEmitter::reduceRow(ReduceKind kind, Value operand, const Index &row,
                               RowElement element) {
  auto at = [&](const IndexExpr &lane) {
    Index index = row;
    index.push_back(lane);
    return index;
  };
  return reduceOver(kind, operand, tensorType(operand).getShape().back(),
                    table.isVector(row), at, element);
}

/// dit.reduce: over all reduced dimensions in row-major order.
Value KernelEmitter::reduceDims(ReduceOp op, const Index &index) {
  ArrayRef<int64_t> shape = tensorType(op.getInput()).getShape();
  SmallVector<int64_t> sizes;
  int64_t count = 1;
  for (int64_t dim : op.getDims())
    sizes.push_back(shape[dim]), count *= shape[dim];
  auto at = [&](const IndexExpr &position) {
    Index part = table.delinearize(position, sizes), source;
    const IndexExpr *reduced = part.begin(), *other = index.begin();
    for (int64_t dim = 0; dim < static_cast<int64_t>(shape.size()); ++dim)
      source.push_back(llvm::is_contained(op.getDims(), dim) ? *reduced++
                                                             : *other++);
    return source;
  };
  Value sum = reduceOver(
      op.getKind(), op.getInput(), count, table.isVector(index), at,
      [&](const Index &source) { return emitElement(op.getInput(), source); });
  return lanes.round(sum, tensorType(op.getInput()).getElementType());
}

/// Mean, then the variance of the centred row: two passes over a row in L1.
Value KernelEmitter::emitLayerNorm(LayerNormOp op, unsigned result,
                                   const Index &index) {
  Value input = op.getInput();
  RankedTensorType type = tensorType(input);
  auto size = static_cast<double>(type.getShape().back());
  Index row = index;
  if (result == 0) {
    row.pop_back();
    Value centred =
        lanes.sub(emitElement(input, index), emitElement(op.getMean(), row));
    return lanes.round(lanes.mul(centred, emitElement(op.getRstd(), row)),
                       type.getElementType());
  }
  if (result == 1) {
    Value sum = reduceRow(ReduceKind::Sum, input, row, [&](const Index &at) {
      return emitElement(input, at);
    });
    return lanes.divideFast(sum, lanes.constant(sum.getType(), size));
  }
  Value mean = emitElement(op.getMean(), row);
  Value sum = reduceRow(ReduceKind::Sum, input, row, [&](const Index &at) {
    Value centred = lanes.sub(emitElement(input, at), mean);
    return lanes.mul(centred, centred);
  });
  Value variance = lanes.divideFast(sum, lanes.constant(sum.getType(), size));
  return emitRsqrt(lanes, lanes.add(variance, op.getEps().convertToDouble()));
}

Value KernelEmitter::emitRmsNorm(RmsNormOp op, unsigned result,
                                 const Index &index) {
  Value input = op.getInput();
  RankedTensorType type = tensorType(input);
  Index row = index;
  if (result == 0) {
    row.pop_back();
    return lanes.round(
        lanes.mul(emitElement(input, index), emitElement(op.getRstd(), row)),
        type.getElementType());
  }
  Value sum = reduceRow(ReduceKind::Sum, input, row, [&](const Index &at) {
    Value element = emitElement(input, at);
    return lanes.mul(element, element);
  });
  auto size = static_cast<double>(type.getShape().back());
  Value mean = lanes.divideFast(sum, lanes.constant(sum.getType(), size));
  return emitRsqrt(lanes, lanes.add(mean, op.getEps().convertToDouble()));
}

/// Part 0: the result; 1: exp(x - max); 2: the row's maximum; 3: 1 / Σ exp.
Value KernelEmitter::emitSoftmax(SoftmaxOp op, unsigned part,
                                 const Index &index) {
  Value input = op.getInput(), result = op.getResult();
  Type element = tensorType(input).getElementType();
  Index row = index;
  switch (part) {
  case 0: {
    row.pop_back();
    Value scale = emitElement(result, row, 3);
    return lanes.round(lanes.mul(emitElement(result, index, 1), scale),
                       element);
  }
  case 1: {
    row.pop_back();
    Value max = emitElement(result, row, 2);
    return emitExp(lanes, lanes.sub(emitElement(input, index), max));
  }
  case 2:
    return reduceRow(ReduceKind::Max, input, row,
                     [&](const Index &at) { return emitElement(input, at); });
  default: {
    emitElement(result, row, 2);
    Value sum = reduceRow(ReduceKind::Sum, input, row, [&](const Index &at) {
      return emitElement(result, at, 1);
    });
    return lanes.divideFast(lanes.constant(sum.getType(), 1.0), sum);
  }
  }
}
