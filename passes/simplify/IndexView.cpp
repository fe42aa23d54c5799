//===- IndexView.cpp - What a chain of views does to indices --------------===//
#include "passes/simplify/IndexView.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace dit;

static int64_t product(ArrayRef<int64_t> sizes) {
  int64_t result = 1;
  for (int64_t size : sizes)
    result *= size;
  return result;
}

/// Drops factors of size 1 and merges neighbours that one stride walks.
static void normalize(IndexView::Dimension &dim) {
  IndexView::Dimension result;
  for (Factor factor : dim) {
    if (factor.size == 1)
      continue;
    if (!result.empty() &&
        result.back().stride == factor.size * factor.stride) {
      result.back() = {result.back().size * factor.size, factor.stride};
      continue;
    }
    result.push_back(factor);
  }
  dim = result;
}

IndexView IndexView::identity(Value base) {
  IndexView view;
  view.base = base;
  RankedTensorType type = getTensorType(base);
  int64_t stride = type.getNumElements();
  for (int64_t size : type.getShape()) {
    if (size)
      stride /= size;
    view.dims.push_back({{size, stride}});
    normalize(view.dims.back());
  }
  return view;
}

SmallVector<int64_t> IndexView::getShape() const {
  SmallVector<int64_t> shape;
  for (const Dimension &dim : dims) {
    int64_t size = 1;
    for (Factor factor : dim)
      size *= factor.size;
    shape.push_back(size);
  }
  return shape;
}

bool IndexView::reshape(ArrayRef<int64_t> shape) {
  SmallVector<Factor> rest;
  for (const Dimension &dim : llvm::reverse(dims))
    for (Factor factor : llvm::reverse(dim))
      rest.push_back(factor);
  SmallVector<Dimension> result;
  for (int64_t size : shape) {
    Dimension dim;
    while (size > 1) {
      if (rest.empty())
        return false;
      Factor &next = rest.back();
      if (size % next.size == 0) {
        size /= next.size;
        dim.push_back(next);
        rest.pop_back();
      } else if (next.size % size == 0) {
        next.size /= size;
        dim.push_back({size, next.stride * next.size});
        size = 1;
      } else {
        return false;
      }
    }
    normalize(dim);
    result.push_back(dim);
  }
  dims = std::move(result);
  return true;
}

void IndexView::transpose(ArrayRef<int64_t> permutation) {
  SmallVector<Dimension> result;
  for (int64_t dim : permutation)
    result.push_back(dims[dim]);
  dims = std::move(result);
}

void IndexView::broadcast(ArrayRef<int64_t> shape, ArrayRef<int64_t> at) {
  SmallVector<Dimension> result;
  for (int64_t size : shape) {
    result.push_back({{size, 0}});
    normalize(result.back());
  }
  for (auto [from, to] : llvm::zip_equal(dims, at))
    result[to] = from;
  dims = std::move(result);
}

/// Slices one dimension, moving `offset`.
static bool sliceDimension(IndexView::Dimension &dim, int64_t &offset,
                           int64_t start, int64_t size, int64_t step) {
  int64_t inner = 1;
  for (Factor factor : dim)
    inner *= factor.size;
  if (start == 0 && size == inner)
    return true;
  if (size == 1) {
    for (Factor factor : dim) {
      inner /= factor.size;
      offset += start / inner * factor.stride;
      start %= inner;
    }
    dim.clear();
    return true;
  }
  inner /= dim.front().size;
  if (start % inner || size % inner || (step != 1 && dim.size() != 1))
    return false;
  offset += start / inner * dim.front().stride;
  dim.front() = {size / inner, dim.front().stride * step};
  normalize(dim);
  return true;
}

bool IndexView::slice(ArrayRef<int64_t> offsets, ArrayRef<int64_t> sizes,
                      ArrayRef<int64_t> steps) {
  IndexView result = *this;
  for (auto [dim, start, size, step] :
       llvm::zip_equal(result.dims, offsets, sizes, steps))
    if (!sliceDimension(dim, result.offset, start, size, step))
      return false;
  *this = std::move(result);
  return true;
}

bool dit::isIndexViewOp(Operation *op) {
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return !ShapedType::isDynamicShape(slice.getStaticOffsets()) &&
           !ShapedType::isDynamicShape(slice.getStaticSizes()) &&
           !ShapedType::isDynamicShape(slice.getStaticStrides());
  return isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, TransposeOp,
             BroadcastOp>(op);
}

bool IndexView::apply(Operation *op) {
  RankedTensorType type = getTensorType(op->getResult(0));
  if (auto transposed = dyn_cast<TransposeOp>(op)) {
    transpose(transposed.getPermutation());
    return true;
  }
  if (auto repeated = dyn_cast<BroadcastOp>(op)) {
    broadcast(type.getShape(), repeated.getDims());
    return true;
  }
  if (auto sliced = dyn_cast<tensor::ExtractSliceOp>(op)) {
    if (!slice(sliced.getStaticOffsets(), sliced.getStaticSizes(),
               sliced.getStaticStrides()))
      return false;
    llvm::SmallBitVector dropped = sliced.getDroppedDims();
    SmallVector<Dimension> kept;
    for (auto [index, dim] : llvm::enumerate(dims))
      if (!dropped.test(index))
        kept.push_back(dim);
    dims = std::move(kept);
    return true;
  }
  return reshape(type.getShape());
}

IndexView dit::traceView(Value value) {
  SmallVector<Operation *> chain;
  Value base = value;
  while (Operation *op = base.getDefiningOp()) {
    if (!isIndexViewOp(op))
      break;
    chain.push_back(op);
    base = op->getOperand(0);
  }
  IndexView view = IndexView::identity(base);
  for (Operation *op : llvm::reverse(chain)) {
    // Elements of an empty tensor have no strides.
    if (getTensorType(op->getResult(0)).getNumElements() == 0 ||
        !view.apply(op))
      view = IndexView::identity(op->getResult(0));
  }
  return view;
}

SmallVector<ViewStep> dit::readChain(Value value, Value base) {
  SmallVector<ViewStep> steps;
  while (value != base) {
    Operation *op = value.getDefiningOp();
    ViewStep step;
    step.shape.assign(getTensorType(value).getShape().begin(),
                      getTensorType(value).getShape().end());
    step.kind = ViewStep::Reshape;
    if (auto transposed = dyn_cast<TransposeOp>(op)) {
      step.kind = ViewStep::Transpose;
      step.numbers.assign(transposed.getPermutation().begin(),
                          transposed.getPermutation().end());
    } else if (auto repeated = dyn_cast<BroadcastOp>(op)) {
      step.kind = ViewStep::Broadcast;
      step.numbers.assign(repeated.getDims().begin(), repeated.getDims().end());
    } else if (auto sliced = dyn_cast<tensor::ExtractSliceOp>(op)) {
      step.kind = ViewStep::Slice;
      step.numbers.assign(sliced.getStaticOffsets().begin(),
                          sliced.getStaticOffsets().end());
      // A step or a dropped dimension is never planned: mark it.
      if (sliced.getStaticSizes() != ArrayRef(step.shape) ||
          llvm::any_of(sliced.getStaticStrides(),
                       [](int64_t stride) { return stride != 1; }))
        step.numbers.push_back(-1);
    }
    steps.push_back(step);
    value = op->getOperand(0);
  }
  std::reverse(steps.begin(), steps.end());
  return steps;
}

Value dit::createChain(OpBuilder &builder, Location loc, Value base,
                       ArrayRef<ViewStep> steps) {
  for (const ViewStep &step : steps) {
    switch (step.kind) {
    case ViewStep::Reshape:
      base = createReshape(builder, loc, base, step.shape);
      break;
    case ViewStep::Transpose:
      base = TransposeOp::create(builder, loc, base, step.numbers);
      break;
    case ViewStep::Broadcast:
      base = createBroadcast(builder, loc, base, step.shape, step.numbers);
      break;
    case ViewStep::Slice: {
      SmallVector<OpFoldResult> offsets, sizes,
          strides(step.shape.size(), builder.getIndexAttr(1));
      for (auto [offset, size] : llvm::zip_equal(step.numbers, step.shape)) {
        offsets.push_back(builder.getIndexAttr(offset));
        sizes.push_back(builder.getIndexAttr(size));
      }
      base = tensor::ExtractSliceOp::create(builder, loc, base, offsets, sizes,
                                            strides);
      break;
    }
    }
  }
  return base;
}
