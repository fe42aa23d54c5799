//===- StridedView.cpp - Views that are only strides ----------------------===//
#include "dialects/dit/StridedView.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dit;

bool StridedView::isContiguous() const {
  int64_t expected = 1;
  for (int64_t dim = static_cast<int64_t>(sizes.size()) - 1; dim >= 0; --dim) {
    if (sizes[dim] != 1 && strides[dim] != expected)
      return false;
    expected *= sizes[dim];
  }
  return true;
}

bool StridedView::isWhole() const {
  int64_t elements = 1;
  for (int64_t size : sizes)
    elements *= size;
  return offset == 0 && isContiguous() &&
         elements == cast<RankedTensorType>(base.getType()).getNumElements();
}

bool StridedView::collapse(unsigned begin, unsigned end) {
  // Dimensions of size 1 are never walked; their strides mean nothing.
  int64_t size = 1, stride = 0;
  for (unsigned dim = end; dim-- > begin;) {
    if (sizes[dim] == 1)
      continue;
    if (size != 1 && strides[dim] != stride * size)
      return false;
    if (size == 1)
      stride = strides[dim];
    size *= sizes[dim];
  }
  if (size == 1)
    stride = 1;
  sizes.erase(sizes.begin() + begin, sizes.begin() + end);
  strides.erase(strides.begin() + begin, strides.begin() + end);
  sizes.insert(sizes.begin() + begin, size);
  strides.insert(strides.begin() + begin, stride);
  return true;
}

static StridedView viewOfWhole(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  StridedView view{value, 0, SmallVector<int64_t>(type.getShape()), {}};
  view.strides.resize(type.getRank());
  int64_t stride = 1;
  for (int64_t dim = type.getRank() - 1; dim >= 0; --dim) {
    view.strides[dim] = stride;
    stride *= type.getDimSize(dim);
  }
  return view;
}

static bool apply(TransposeOp op, StridedView &view) {
  SmallVector<int64_t> sizes, strides;
  for (int64_t dim : op.getPermutation()) {
    sizes.push_back(view.sizes[dim]);
    strides.push_back(view.strides[dim]);
  }
  view.sizes = std::move(sizes);
  view.strides = std::move(strides);
  return true;
}

static bool apply(tensor::ExtractSliceOp op, StridedView &view) {
  auto isStatic = [](ArrayRef<int64_t> values) {
    return llvm::none_of(values, ShapedType::isDynamic);
  };
  if (!isStatic(op.getStaticOffsets()) || !isStatic(op.getStaticSizes()) ||
      !isStatic(op.getStaticStrides()))
    return false;
  llvm::SmallBitVector dropped = op.getDroppedDims();
  SmallVector<int64_t> sizes, strides;
  for (auto [dim, size] : llvm::enumerate(op.getStaticSizes())) {
    view.offset += op.getStaticOffsets()[dim] * view.strides[dim];
    if (dropped.test(dim))
      continue;
    sizes.push_back(size);
    strides.push_back(view.strides[dim] * op.getStaticStrides()[dim]);
  }
  view.sizes = std::move(sizes);
  view.strides = std::move(strides);
  return true;
}

static bool apply(tensor::ExpandShapeOp op, StridedView &view) {
  ArrayRef<int64_t> shape = op.getResultType().getShape();
  SmallVector<int64_t> strides(shape.size(), 1);
  for (auto [group, stride] :
       llvm::zip_equal(op.getReassociationIndices(), view.strides)) {
    int64_t inner = stride;
    for (int64_t dim : llvm::reverse(group)) {
      strides[dim] = inner;
      inner *= shape[dim];
    }
  }
  view.sizes.assign(shape.begin(), shape.end());
  view.strides = std::move(strides);
  return true;
}

static bool apply(tensor::CollapseShapeOp op, StridedView &view) {
  SmallVector<ReassociationIndices> groups = op.getReassociationIndices();
  if (groups.empty())
    return view.collapse(0, view.sizes.size()) &&
           (view.sizes.clear(), view.strides.clear(), true);
  for (const ReassociationIndices &group : llvm::reverse(groups))
    if (!view.collapse(group.front(), group.back() + 1))
      return false;
  return true;
}

bool dit::isViewOp(Operation *op) {
  return isa_and_nonnull<TransposeOp, tensor::ExtractSliceOp,
                         tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op);
}

std::optional<StridedView> dit::getStridedView(Value value) {
  SmallVector<Operation *> chain;
  while (isViewOp(value.getDefiningOp())) {
    chain.push_back(value.getDefiningOp());
    value = chain.back()->getOperand(0);
  }
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.hasStaticShape())
    return std::nullopt;
  StridedView view = viewOfWhole(value);
  for (Operation *op : llvm::reverse(chain)) {
    bool strided = llvm::TypeSwitch<Operation *, bool>(op)
                       .Case<TransposeOp, tensor::ExtractSliceOp,
                             tensor::ExpandShapeOp, tensor::CollapseShapeOp>(
                           [&](auto viewOp) { return apply(viewOp, view); });
    if (!strided)
      return std::nullopt;
  }
  return view;
}

//===----------------------------------------------------------------------===//
// Results inside a concat
//===----------------------------------------------------------------------===//

/// `view` is of the shape of the op's result; makes it one of its source.
static bool undo(Operation *op, StridedView &view) {
  if (auto transpose = dyn_cast<TransposeOp>(op)) {
    StridedView result = view;
    for (auto [to, from] : llvm::enumerate(transpose.getPermutation())) {
      view.sizes[from] = result.sizes[to];
      view.strides[from] = result.strides[to];
    }
    return true;
  }
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    SmallVector<ReassociationIndices> groups = expand.getReassociationIndices();
    if (groups.empty())
      return false;
    for (const ReassociationIndices &group : llvm::reverse(groups))
      if (!view.collapse(group.front(), group.back() + 1))
        return false;
    return true;
  }
  auto collapse = dyn_cast<tensor::CollapseShapeOp>(op);
  if (!collapse)
    return false;
  ArrayRef<int64_t> shape = collapse.getSrcType().getShape();
  SmallVector<int64_t> strides(shape.size(), 1);
  for (auto [group, stride] :
       llvm::zip_equal(collapse.getReassociationIndices(), view.strides))
    for (int64_t dim : llvm::reverse(group)) {
      strides[dim] = stride;
      stride *= shape[dim];
    }
  view.sizes.assign(shape.begin(), shape.end());
  view.strides = std::move(strides);
  return true;
}

std::optional<StridedView> dit::getPlaceInConcat(Value value) {
  SmallVector<Operation *> chain;
  Value part = value;
  tensor::ConcatOp concat;
  while (!concat) {
    if (!part.hasOneUse())
      return std::nullopt;
    Operation *user = *part.user_begin();
    concat = dyn_cast<tensor::ConcatOp>(user);
    if (concat)
      break;
    if (!isa<TransposeOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp>(user))
      return std::nullopt;
    chain.push_back(user);
    part = user->getResult(0);
  }
  if (!concat.getResultType().hasStaticShape())
    return std::nullopt;
  StridedView view = viewOfWhole(concat.getResult());
  auto dim = static_cast<int64_t>(concat.getDim());
  for (Value input : concat.getInputs()) {
    int64_t size = cast<RankedTensorType>(input.getType()).getDimSize(dim);
    if (input == part) {
      view.sizes[dim] = size;
      break;
    }
    view.offset += size * view.strides[dim];
  }
  for (Operation *op : llvm::reverse(chain))
    if (!undo(op, view))
      return std::nullopt;
  return view;
}

bool dit::isPlacedConcat(Operation *op) {
  auto concat = dyn_cast_or_null<tensor::ConcatOp>(op);
  if (!concat)
    return false;
  Operation *producer = nullptr;
  for (Value input : concat.getInputs()) {
    while (isViewOp(input.getDefiningOp()))
      input = input.getDefiningOp()->getOperand(0);
    auto gradient = input.getDefiningOp<AttentionGradOp>();
    if (!gradient || (producer && producer != gradient))
      return false;
    producer = gradient;
    std::optional<StridedView> place = getPlaceInConcat(input);
    if (!place || (place->sizes.back() != 1 && place->strides.back() != 1))
      return false;
  }
  return producer;
}
