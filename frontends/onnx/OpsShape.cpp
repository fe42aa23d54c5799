//===- OpsShape.cpp - The same elements in another shape, and shapes ------===//
//
// Shapes and axes must be known here; they are, as batch and every other
// dimension have a size.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/NodeBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <numeric>

using namespace mlir;

namespace dit::onnx {

static ArrayRef<int64_t> shapeOf(Value value) {
  return getTensorType(value).getShape();
}
static int64_t rankOf(Value value) { return getTensorType(value).getRank(); }

//===----------------------------------------------------------------------===//
// The same elements in another shape
//===----------------------------------------------------------------------===//

static Outputs reshape(NodeBuilder &n) {
  ArrayRef<int64_t> from = shapeOf(n.input(0));
  std::optional<Shape> target = n.constantIntegers(1, "shape");
  if (!target)
    return n.takeFailure();
  Shape to = *target;
  int64_t known = 1, inferred = -1;
  for (auto [dim, size] : llvm::enumerate(to)) {
    if (size == 0 && !n.integer("allowzero", 0)) {
      if (dim >= from.size())
        return n.malformed("its shape copies dimension " + llvm::Twine(dim) +
                           ", which the input does not have");
      size = from[dim];
    }
    if (size == -1 && inferred < 0) {
      inferred = dim;
      continue;
    }
    if (size < 0)
      return n.malformed("its shape is not one: " + describeShape(*target));
    if (size > mostElements / std::max<int64_t>(known, 1))
      return n.malformed("its shape overflows: " + describeShape(*target));
    known *= size;
  }
  int64_t elements = getTensorType(n.input(0)).getNumElements();
  if (inferred >= 0)
    to[inferred] = known ? elements / known : 0;
  if ((inferred >= 0 ? known * to[inferred] : known) != elements)
    return n.malformed("the shapes contradict: " + describeShape(from) +
                       " has " + llvm::Twine(elements) +
                       " elements and cannot become " + describeShape(*target));
  return Values{n.reshape(n.input(0), to)};
}

static Outputs flatten(NodeBuilder &n) {
  ArrayRef<int64_t> from = shapeOf(n.input(0));
  int64_t rank = from.size(), axis = n.integer("axis", 1);
  if (axis < -rank || axis > rank)
    return n.malformed("axis " + llvm::Twine(axis) +
                       " is outside of a tensor of rank " + llvm::Twine(rank));
  axis += axis < 0 ? rank : 0;
  int64_t rows = 1, columns = 1;
  for (int64_t dim = 0; dim < rank; ++dim)
    (dim < axis ? rows : columns) *= from[dim];
  return Values{n.reshape(n.input(0), {rows, columns})};
}

static Outputs unsqueeze(NodeBuilder &n) {
  std::optional<Shape> list = n.constantIntegers(1, "axes");
  if (!list)
    return n.takeFailure();
  ArrayRef<int64_t> from = shapeOf(n.input(0));
  int64_t rank = from.size() + list->size();
  Shape axes = n.axes(*list, rank), to;
  for (int64_t dim = 0; dim < rank; ++dim) {
    bool added = llvm::is_contained(axes, dim);
    to.push_back(added || from.empty() ? 1 : from.front());
    from = from.drop_front(!added && !from.empty());
  }
  if (llvm::Error error = n.takeFailure())
    return error;
  return Values{n.reshape(n.input(0), to)};
}

/// A dimension that is not 1 stays: torch's squeeze, exported by dynamo as
/// Squeeze with such an axis, does nothing then.
static Outputs squeeze(NodeBuilder &n) {
  ArrayRef<int64_t> from = shapeOf(n.input(0));
  Shape axes, to;
  if (n.input(1)) {
    std::optional<Shape> list = n.constantIntegers(1, "axes");
    if (!list)
      return n.takeFailure();
    axes = n.axes(*list, from.size());
  }
  for (auto [dim, size] : llvm::enumerate(from))
    if (size != 1 || (n.input(1) && !llvm::is_contained(axes, dim)))
      to.push_back(size);
  return Values{n.reshape(n.input(0), to)};
}

static Outputs transpose(NodeBuilder &n) {
  int64_t rank = rankOf(n.input(0));
  Shape backwards;
  for (int64_t dim = rank; dim-- > 0;)
    backwards.push_back(dim);
  Shape permutation = n.integers("perm", backwards), sorted = permutation,
        all(rank);
  llvm::sort(sorted);
  std::iota(all.begin(), all.end(), 0);
  if (sorted != all)
    return n.malformed("perm does not name each of the " + llvm::Twine(rank) +
                       " dimensions once");
  return Values{n.transpose(n.input(0), permutation)};
}

/// [N, C·b², H, W] and back; `blocks` b.
static Outputs depthToSpace(NodeBuilder &n) {
  ArrayRef<int64_t> s = shapeOf(n.input(0));
  int64_t b = n.integer("blocksize", 0);
  if (s.size() != 4 || b < 1 || b > 4096 || s[1] % (b * b))
    return n.malformed("a block of " + llvm::Twine(b) +
                       " does not fit the shape " + describeShape(s));
  int64_t c = s[1] / (b * b);
  bool columnRow = n.text("mode", "DCR") == "CRD";
  Value x =
      columnRow
          ? n.transpose(n.reshape(n.input(0), {s[0], c, b, b, s[2], s[3]}),
                        {0, 1, 4, 2, 5, 3})
          : n.transpose(n.reshape(n.input(0), {s[0], b, b, c, s[2], s[3]}),
                        {0, 3, 4, 1, 5, 2});
  return Values{n.reshape(x, {s[0], c, s[2] * b, s[3] * b})};
}

static Outputs spaceToDepth(NodeBuilder &n) {
  ArrayRef<int64_t> s = shapeOf(n.input(0));
  int64_t b = n.integer("blocksize", 0);
  if (s.size() != 4 || b < 1 || s[2] % b || s[3] % b)
    return n.malformed("a block of " + llvm::Twine(b) +
                       " does not fit the shape " + describeShape(s));
  Value x = n.reshape(n.input(0), {s[0], s[1], s[2] / b, b, s[3] / b, b});
  return Values{n.reshape(n.transpose(x, {0, 3, 5, 1, 2, 4}),
                          {s[0], s[1] * b * b, s[2] / b, s[3] / b})};
}

//===----------------------------------------------------------------------===//
// Shapes as values, and constants
//===----------------------------------------------------------------------===//

static Outputs shape(NodeBuilder &n) {
  ArrayRef<int64_t> sizes = shapeOf(n.input(0));
  int64_t rank = sizes.size();
  auto bound = [&](llvm::StringRef name, int64_t otherwise) {
    int64_t value = n.integer(name, otherwise);
    return std::clamp<int64_t>(value < 0 ? value + rank : value, 0, rank);
  };
  int64_t start = bound("start", 0), end = bound("end", rank);
  return Values{
      n.integerConstant(sizes.slice(start, std::max<int64_t>(end - start, 0)))};
}

static Outputs size(NodeBuilder &n) {
  return Values{n.integerConstant(getTensorType(n.input(0)).getNumElements(),
                                  /*scalar=*/true)};
}

static Outputs constantOfShape(NodeBuilder &n) {
  std::optional<Shape> to = n.constantIntegers(0, "shape");
  if (!to)
    return n.takeFailure();
  if (llvm::Error error = checkShape(*to))
    return error;
  const NodeAttribute *value = n.node.find("value");
  if (!value)
    return Values{createSplat(n.builder, n.loc,
                              n.tensor(*to, n.builder.getF32Type()), 0)};
  DenseElementsAttr number =
      value->tensor ? getElements(n.builder.getContext(), *value->tensor)
                    : DenseElementsAttr();
  if (!number || number.getNumElements() != 1)
    return n.malformed("its value is not one number");
  return Values{n.make<arith::ConstantOp>(
      number.resizeSplat(n.tensor(*to, number.getElementType())))};
}

static Outputs range(NodeBuilder &n) {
  std::optional<double> start = n.constantNumber(0, "start"),
                        limit = n.constantNumber(1, "limit"),
                        delta = n.constantNumber(2, "delta");
  if (!start || !limit || !delta)
    return n.takeFailure();
  Type element = getTensorType(n.input(0)).getElementType();
  double count = *delta ? std::ceil((*limit - *start) / *delta)
                        : std::numeric_limits<double>::quiet_NaN();
  if (!(count <= mostFolded) ||
      !(std::fabs(*start) < 1e15 && std::fabs(*limit) < 1e15))
    return n.unsupported("a range of more than " + llvm::Twine(mostFolded) +
                         " values, or with a step of 0");
  SmallVector<Attribute> values;
  for (int64_t index = 0; index < count; ++index) {
    double value = *start + index * *delta;
    values.push_back(isa<FloatType>(element)
                         ? Attribute(n.builder.getFloatAttr(element, value))
                         : Attribute(n.builder.getIntegerAttr(
                               element, static_cast<int64_t>(value))));
  }
  int64_t length = values.size();
  return Values{n.make<arith::ConstantOp>(
      DenseElementsAttr::get(n.tensor(length, element), values))};
}

ArrayRef<OpRow> shapeOps() {
  static const OpRow rows[] = {
      {"ConstantOfShape", 1, 1, constantOfShape},
      {"DepthToSpace", 1, 1, depthToSpace},
      {"Flatten", 1, 1, flatten},
      {"Range", 3, 3, range},
      {"Reshape", 2, 2, reshape},
      {"Shape", 1, 1, shape},
      {"Size", 1, 1, size},
      {"SpaceToDepth", 1, 1, spaceToDepth},
      {"Squeeze", 1, 2, squeeze},
      {"Transpose", 1, 1, transpose},
      {"Unsqueeze", 2, 2, unsqueeze},
  };
  return rows;
}

} // namespace dit::onnx
