//===- OpsShape.cpp - Ops that move and repeat elements -------------------===//
//
// Shapes, axes and bounds must be known here; they are, as batch and every
// other dimension have a size.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/NodeBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
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
    if (size > mostElements || (known *= size) > mostElements)
      return n.malformed("its shape overflows: " + describeShape(*target));
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
// Parts
//===----------------------------------------------------------------------===//

static Outputs slice(NodeBuilder &n) {
  Value x = n.input(0);
  int64_t rank = rankOf(x);
  std::optional<Shape> starts = n.constantIntegers(1, "starts"),
                       ends = n.constantIntegers(2, "ends");
  if (!starts || !ends)
    return n.takeFailure();
  Shape axes(starts->size()), steps(starts->size(), 1);
  std::iota(axes.begin(), axes.end(), 0);
  if (n.input(3))
    axes = n.constantIntegers(3, "axes").value_or(axes);
  if (n.input(4))
    steps = n.constantIntegers(4, "steps").value_or(steps);
  if (ends->size() != starts->size() || axes.size() != starts->size() ||
      steps.size() != starts->size())
    return n.malformed(
        "its starts, ends, axes and steps have different lengths");

  SmallVector<OpFoldResult> offsets(rank, n.builder.getIndexAttr(0)),
      strides(rank, n.builder.getIndexAttr(1)), sizes;
  for (int64_t size : shapeOf(x))
    sizes.push_back(n.builder.getIndexAttr(size));
  Shape to(shapeOf(x));
  for (auto [entry, start, end, step] :
       llvm::zip(axes, *starts, *ends, steps)) {
    int64_t dim = n.axis(entry, rank);
    if (rank == 0)
      return n.takeFailure();
    int64_t length = shapeOf(x)[dim];
    if (step < 1)
      return n.unsupported("a slice with step " + llvm::Twine(step));
    auto clamp = [&](int64_t bound) {
      return std::clamp<int64_t>(bound < 0 ? bound + length : bound, 0, length);
    };
    int64_t first = clamp(start), last = clamp(end);
    to[dim] = last > first ? (last - first - 1) / step + 1 : 0;
    offsets[dim] = n.builder.getIndexAttr(first);
    sizes[dim] = n.builder.getIndexAttr(to[dim]);
    // A step over the end is as good as one of the whole length.
    strides[dim] =
        n.builder.getIndexAttr(std::min(step, std::max<int64_t>(length, 1)));
  }
  if (llvm::Error error = n.takeFailure())
    return error;
  if (to == shapeOf(x))
    return Values{x};
  if (llvm::is_contained(to, 0))
    return Values{n.empty(getTensorType(x).clone(to))};
  return Values{n.make<tensor::ExtractSliceOp>(x, offsets, sizes, strides)};
}

/// The sizes of Split's parts: given, or equal with a smaller last one. Files
/// have num_outputs at every opset.
static Outputs split(NodeBuilder &n) {
  Value x = n.input(0);
  int64_t axis = n.axis(n.integer("axis", 0), rankOf(x));
  if (llvm::Error error = n.takeFailure())
    return error;
  int64_t length = shapeOf(x)[axis], parts = n.node.outputs.size();
  if (n.integer("num_outputs", parts) != parts || parts < 1)
    return n.malformed("num_outputs is not the number of its outputs");
  int64_t each = (length + parts - 1) / parts;
  Shape sizes;
  for (int64_t part = 0; part < parts; ++part)
    sizes.push_back(std::clamp<int64_t>(length - part * each, 0, each));
  if (n.input(1)) {
    std::optional<Shape> given = n.constantIntegers(1, "split sizes");
    if (!given)
      return n.takeFailure();
    sizes = *given;
  }
  int64_t total = 0;
  for (int64_t size : sizes)
    total = size < 0 || size > length ? length + 1
                                      : std::min(total + size, length + 1);
  if (static_cast<int64_t>(sizes.size()) != parts || total != length)
    return n.malformed("its sizes do not add up: " + describeShape(sizes) +
                       " of a dimension of " + llvm::Twine(length));
  Values results;
  int64_t offset = 0;
  for (int64_t size : sizes) {
    results.push_back(size == length ? x : n.slice(x, axis, offset, size));
    offset += size;
  }
  return results;
}

static Outputs concat(NodeBuilder &n) {
  Value first = n.input(0);
  int64_t rank = rankOf(first), axis = n.axis(n.integer("axis", 0), rank);
  if (llvm::Error error = n.takeFailure())
    return error;
  SmallVector<Value> values;
  Shape to(shapeOf(first));
  to[axis] = 0;
  for (unsigned index = 0; index < n.numInputs(); ++index) {
    Value value = n.input(index);
    bool fits =
        rankOf(value) == rank && getTensorType(value).getElementType() ==
                                     getTensorType(first).getElementType();
    for (int64_t dim = 0; fits && dim < rank; ++dim)
      fits = dim == axis || shapeOf(value)[dim] == to[dim];
    if (!fits)
      return n.malformed(
          "its inputs do not fit together: " + describeShape(shapeOf(first)) +
          " and " + describeShape(shapeOf(value)));
    to[axis] += shapeOf(value)[axis];
    values.push_back(value);
  }
  if (llvm::Error error = n.checkShape(to))
    return error;
  return Values{llvm::is_contained(to, 0)
                    ? n.empty(getTensorType(first).clone(to))
                    : n.concat(values, axis)};
}

//===----------------------------------------------------------------------===//
// Repetition
//===----------------------------------------------------------------------===//

static Outputs expand(NodeBuilder &n) {
  std::optional<Shape> target = n.constantIntegers(1, "shape");
  if (!target)
    return n.takeFailure();
  if (llvm::Error error = n.checkShape(*target))
    return error;
  // Both ways: a dimension of the input stays where the target has 1.
  ArrayRef<int64_t> from = shapeOf(n.input(0));
  Shape to = *target;
  if (to.size() < from.size())
    to.insert(to.begin(), from.size() - to.size(), 1);
  for (auto [size, wanted] : llvm::zip(llvm::reverse(from), llvm::reverse(to)))
    wanted = wanted == 1 ? size : wanted;
  llvm::Expected<Value> result = n.broadcast(n.input(0), to);
  if (!result)
    return result.takeError();
  return Values{*result};
}

/// [a, b] repeated (2, 3) times is [2, a, 3, b], flattened.
static Outputs tile(NodeBuilder &n) {
  std::optional<Shape> repeats = n.constantIntegers(1, "repeats");
  if (!repeats)
    return n.takeFailure();
  ArrayRef<int64_t> from = shapeOf(n.input(0));
  if (repeats->size() != from.size())
    return n.malformed("it has " + llvm::Twine(repeats->size()) +
                       " repeats for a tensor of rank " +
                       llvm::Twine(from.size()));
  if (llvm::Error error = n.checkShape(*repeats))
    return error;
  Shape wide, dims, to;
  for (auto [size, times] : llvm::zip(from, *repeats)) {
    if (times != 1)
      wide.push_back(times);
    dims.push_back(wide.size());
    wide.push_back(size);
    to.push_back(size * times);
  }
  if (llvm::Error error = n.checkShape(wide))
    return error;
  if (llvm::is_contained(to, 0))
    return Values{n.empty(getTensorType(n.input(0)).clone(to))};
  return Values{
      n.reshape(createBroadcast(n.builder, n.loc, n.input(0), wide, dims), to)};
}

static Outputs pad(NodeBuilder &n) {
  Value x = n.input(0);
  int64_t rank = rankOf(x);
  llvm::StringRef mode = n.text("mode", "constant");
  if (mode != "constant")
    return n.unsupported("its mode is " + quoted(mode) + ", not constant");
  std::optional<Shape> pads = n.constantIntegers(1, "pads");
  std::optional<double> value = n.input(2) ? n.constantNumber(2, "value") : 0;
  Shape axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (n.input(3))
    axes = n.constantIntegers(3, "axes").value_or(axes);
  if (llvm::Error error = n.takeFailure())
    return error;
  if (pads->size() != 2 * axes.size())
    return n.malformed("it has " + llvm::Twine(pads->size()) + " pads for " +
                       llvm::Twine(axes.size()) + " axes");
  for (auto [index, entry] : llvm::enumerate(axes)) {
    int64_t dim = n.axis(entry, rank), length = shapeOf(x)[dim];
    int64_t before = (*pads)[index], after = (*pads)[index + axes.size()];
    if (llvm::Error error = n.takeFailure())
      return error;
    if (before < -length || after < -length || before > mostElements ||
        after > mostElements ||
        length + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0) < 0)
      return n.malformed("it pads " + describeShape(shapeOf(x)) + " by " +
                         llvm::Twine(before) + " and " + llvm::Twine(after));
    if (before < 0 || after < 0) // Negative pads cut.
      x = n.slice(x, dim, std::max<int64_t>(-before, 0),
                  length + std::min<int64_t>(before, 0) +
                      std::min<int64_t>(after, 0));
    SmallVector<Value> parts;
    auto border = [&](int64_t size) -> llvm::Error {
      Shape shape(shapeOf(x));
      shape[dim] = size;
      if (size > 0)
        parts.push_back(createSplat(n.builder, n.loc,
                                    getTensorType(x).clone(shape), *value));
      return n.checkShape(shape);
    };
    if (llvm::Error error = border(std::max<int64_t>(before, 0)))
      return error;
    parts.push_back(x);
    if (llvm::Error error = border(std::max<int64_t>(after, 0)))
      return error;
    x = n.concat(parts, dim);
  }
  return Values{x};
}

/// Nearest neighbour by whole factors: every element is repeated.
static Outputs resize(NodeBuilder &n) {
  Value x = n.input(0);
  ArrayRef<int64_t> from = shapeOf(x);
  if (n.text("mode", "nearest") != "nearest" || n.has("axes"))
    return n.unsupported("only nearest-neighbour resizing of all axes");
  Shape factors;
  if (n.input(3) && getTensorType(n.input(3)).getNumElements()) {
    std::optional<Shape> sizes = n.constantIntegers(3, "sizes");
    if (!sizes)
      return n.takeFailure();
    for (auto [size, wanted] : llvm::zip(from, *sizes))
      factors.push_back(size && wanted % size == 0 ? wanted / size : 0);
  } else if (DenseElementsAttr scales = getConstant(n.input(2));
             scales && scales.getElementType().isF32()) {
    for (float scale : scales.getValues<float>())
      factors.push_back(scale >= 1 && scale < 65536 &&
                                scale == static_cast<int64_t>(scale)
                            ? static_cast<int64_t>(scale)
                            : 0);
  }
  if (factors.size() != from.size() ||
      llvm::any_of(factors, [](int64_t factor) { return factor < 1; }))
    return n.unsupported(
        "only enlarging by whole factors known at compile time");
  Shape wide, dims, to;
  for (auto [size, factor] : llvm::zip(from, factors)) {
    dims.push_back(wide.size());
    wide.push_back(size);
    if (factor > 1)
      wide.push_back(factor);
    to.push_back(size * factor);
  }
  if (llvm::Error error = n.checkShape(wide))
    return error;
  return Values{
      n.reshape(createBroadcast(n.builder, n.loc, x, wide, dims), to)};
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
  if (llvm::Error error = n.checkShape(*to))
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
  if (!(count <= mostFolded))
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
      {"Concat", 1, anyNumber, concat},
      {"ConstantOfShape", 1, 1, constantOfShape},
      {"DepthToSpace", 1, 1, depthToSpace},
      {"Expand", 2, 2, expand},
      {"Flatten", 1, 1, flatten},
      {"Pad", 2, 4, pad},
      {"Range", 3, 3, range},
      {"Reshape", 2, 2, reshape},
      {"Resize", 1, 4, resize},
      {"Shape", 1, 1, shape},
      {"Size", 1, 1, size},
      {"Slice", 3, 5, slice},
      {"SpaceToDepth", 1, 1, spaceToDepth},
      {"Split", 1, 2, split},
      {"Squeeze", 1, 2, squeeze},
      {"Tile", 2, 2, tile},
      {"Transpose", 1, 1, transpose},
      {"Unsqueeze", 2, 2, unsqueeze},
  };
  return rows;
}

} // namespace dit::onnx
