//===- Builders.cpp - Making dit IR in few words --------------------------===//
#include "dialects/dit/Builders.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"

#include <numeric>

using namespace mlir;

RankedTensorType dit::getTensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

int64_t dit::countBytes(RankedTensorType type) {
  return type.getNumElements() * static_cast<int64_t>(llvm::divideCeil(
                                     type.getElementTypeBitWidth(), 8));
}

Value dit::createSplat(OpBuilder &builder, Location loc, RankedTensorType type,
                       double value) {
  Type element = type.getElementType();
  Attribute scalar = isa<FloatType>(element)
                         ? Attribute(builder.getFloatAttr(element, value))
                         : Attribute(builder.getIntegerAttr(
                               element, static_cast<int64_t>(value)));
  return arith::ConstantOp::create(builder, loc,
                                   SplatElementsAttr::get(type, scalar));
}

Value dit::createReshape(OpBuilder &builder, Location loc, Value value,
                         ArrayRef<int64_t> shape) {
  RankedTensorType from = getTensorType(value);
  if (from.getShape() == shape)
    return value;
  RankedTensorType to = from.clone(shape);
  auto collapses = [&](RankedTensorType big, RankedTensorType small) {
    return getReassociationIndicesForReshape(big, small);
  };
  if (from.getRank() > to.getRank())
    if (auto groups = collapses(from, to))
      return tensor::CollapseShapeOp::create(builder, loc, to, value, *groups);
  if (from.getRank() < to.getRank())
    if (auto groups = collapses(to, from))
      return tensor::ExpandShapeOp::create(builder, loc, to, value, *groups);

  // Through the finest common grouping would keep more structure; through one
  // dimension is always right, and views cost nothing.
  auto all = [](int64_t rank) {
    ReassociationIndices group(rank);
    std::iota(group.begin(), group.end(), 0);
    return SmallVector<ReassociationIndices>{group};
  };
  if (from.getRank() != 1) {
    RankedTensorType flat = from.clone({from.getNumElements()});
    value =
        from.getRank() == 0
            ? tensor::ExpandShapeOp::create(builder, loc, flat, value,
                                            SmallVector<ReassociationIndices>())
                  .getResult()
            : tensor::CollapseShapeOp::create(builder, loc, flat, value,
                                              all(from.getRank()))
                  .getResult();
  }
  if (shape.size() == 1)
    return value;
  if (shape.empty())
    return tensor::CollapseShapeOp::create(builder, loc, to, value,
                                           SmallVector<ReassociationIndices>());
  return tensor::ExpandShapeOp::create(builder, loc, to, value,
                                       all(to.getRank()));
}

Value dit::createBroadcast(OpBuilder &builder, Location loc, Value value,
                           ArrayRef<int64_t> shape, ArrayRef<int64_t> dims) {
  RankedTensorType type = getTensorType(value);
  if (type.getShape() == shape)
    return value;
  return BroadcastOp::create(builder, loc, type.clone(shape), value, dims);
}

Value dit::createNumpyBroadcast(OpBuilder &builder, Location loc, Value value,
                                ArrayRef<int64_t> shape) {
  RankedTensorType type = getTensorType(value);
  if (type.getShape() == shape)
    return value;
  int64_t missing = static_cast<int64_t>(shape.size()) - type.getRank();
  if (missing < 0)
    return {};
  SmallVector<int64_t> kept, dims;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    int64_t size = type.getDimSize(dim);
    if (size == shape[dim + missing]) {
      kept.push_back(size);
      dims.push_back(dim + missing);
    } else if (size != 1) {
      return {};
    }
  }
  return createBroadcast(builder, loc, createReshape(builder, loc, value, kept),
                         shape, dims);
}

Value dit::createCast(OpBuilder &builder, Location loc, Value value,
                      Type element) {
  RankedTensorType type = getTensorType(value);
  Type from = type.getElementType();
  RankedTensorType to = type.clone(element);
  if (from == element)
    return value;
  auto fromFloat = dyn_cast<FloatType>(from),
       toFloat = dyn_cast<FloatType>(element);
  if (fromFloat && toFloat) {
    if (fromFloat.getWidth() < toFloat.getWidth())
      return arith::ExtFOp::create(builder, loc, to, value);
    if (fromFloat.getWidth() > toFloat.getWidth())
      return arith::TruncFOp::create(builder, loc, to, value);
    // bf16 and fp16 meet in fp32.
    Value wide = arith::ExtFOp::create(builder, loc,
                                       type.clone(builder.getF32Type()), value);
    return arith::TruncFOp::create(builder, loc, to, wide);
  }
  if (fromFloat) {
    if (element.isInteger(1)) {
      Value zero = createSplat(builder, loc, type, 0);
      return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNE,
                                   value, zero);
    }
    return arith::FPToSIOp::create(builder, loc, to, value);
  }
  if (toFloat) {
    if (from.isInteger(1))
      return arith::UIToFPOp::create(builder, loc, to, value);
    return arith::SIToFPOp::create(builder, loc, to, value);
  }
  if (element.isInteger(1)) {
    Value zero = createSplat(builder, loc, type, 0);
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, value,
                                 zero);
  }
  unsigned fromWidth = from.getIntOrFloatBitWidth(),
           toWidth = element.getIntOrFloatBitWidth();
  if (fromWidth > toWidth)
    return arith::TruncIOp::create(builder, loc, to, value);
  if (from.isInteger(1))
    return arith::ExtUIOp::create(builder, loc, to, value);
  return arith::ExtSIOp::create(builder, loc, to, value);
}

Value dit::createSlice(OpBuilder &builder, Location loc, Value value,
                       int64_t dim, int64_t offset, int64_t size) {
  RankedTensorType type = getTensorType(value);
  SmallVector<OpFoldResult> offsets(type.getRank(), builder.getIndexAttr(0));
  SmallVector<OpFoldResult> strides(type.getRank(), builder.getIndexAttr(1));
  SmallVector<OpFoldResult> sizes;
  for (int64_t length : type.getShape())
    sizes.push_back(builder.getIndexAttr(length));
  offsets[dim] = builder.getIndexAttr(offset);
  sizes[dim] = builder.getIndexAttr(size);
  return tensor::ExtractSliceOp::create(builder, loc, value, offsets, sizes,
                                        strides);
}

Value dit::createLinear(OpBuilder &builder, Location loc, Value lhs,
                        Value weight, Value bias) {
  RankedTensorType type = getTensorType(lhs);
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = getTensorType(weight).getDimSize(0);
  return MatmulOp::create(builder, loc, type.clone(shape), lhs, weight, bias);
}

Value dit::createSilu(OpBuilder &builder, Location loc, Value value) {
  Value sigmoid = SigmoidOp::create(builder, loc, value);
  return arith::MulFOp::create(builder, loc, value, sigmoid);
}

Value dit::createRead(OpBuilder &builder, Location loc, GlobalOp global) {
  return ReadOp::create(builder, loc, global.getTensorType(),
                        FlatSymbolRefAttr::get(global.getSymNameAttr()));
}
