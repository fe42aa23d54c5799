//===- OpsParts.cpp - Ops that cut, join and repeat -----------------------===//

#include "frontends/onnx/NodeBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>
#include <numeric>

using namespace mlir;

namespace dit::onnx {

static ArrayRef<int64_t> shapeOf(Value value) {
  return getTensorType(value).getShape();
}
static int64_t rankOf(Value value) { return getTensorType(value).getRank(); }

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

namespace {

/// What a slice takes of one dimension.
struct Bounds {
  int64_t first = 0, step = 1, count = 0;
};

} // namespace

/// ONNX's rule: negative bounds count from the end, then all are clamped.
static Bounds clampBounds(int64_t length, int64_t start, int64_t end,
                          int64_t step) {
  // With a negative step the walk ends before element 0.
  int64_t low = step < 0 ? -1 : 0, high = step < 0 ? length - 1 : length;
  auto clamp = [&](int64_t bound, int64_t lowest) {
    return std::clamp(bound < 0 ? bound + length : bound, lowest,
                      std::max(high, lowest));
  };
  int64_t first = clamp(start, 0), last = clamp(end, low);
  // A step over the end is as good as one of the whole length.
  int64_t most = std::max<int64_t>(length, 1);
  step = std::clamp(step, -most, most);
  int64_t way = step < 0 ? first - last : last - first, stride = std::abs(step);
  return {first, step, way > 0 ? (way - 1) / stride + 1 : 0};
}

/// Backwards: rows looked up by constant indices.
static Value gatherBackwards(NodeBuilder &n, Value x, int64_t dim,
                             Bounds bounds) {
  Shape indices;
  for (int64_t index = 0; index < bounds.count; ++index)
    indices.push_back(bounds.first + index * bounds.step);
  Value rows =
      n.make<GatherOp>(n.moveDimension(x, dim, 0), n.integerConstant(indices));
  return n.moveDimension(rows, 0, dim);
}

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
  SmallVector<std::pair<int64_t, Bounds>> backwards;
  for (auto [entry, start, end, step] :
       llvm::zip(axes, *starts, *ends, steps)) {
    int64_t dim = n.axis(entry, rank);
    if (llvm::Error error = n.takeFailure())
      return error;
    if (step == 0)
      return n.malformed("a slice with step 0");
    Bounds bounds = clampBounds(shapeOf(x)[dim], start, end, step);
    to[dim] = bounds.count;
    if (bounds.step < 0) {
      if (bounds.count > mostFolded)
        return n.unsupported("a slice of more than " + llvm::Twine(mostFolded) +
                             " elements backwards");
      backwards.push_back({dim, bounds});
      continue;
    }
    offsets[dim] = n.builder.getIndexAttr(bounds.first);
    sizes[dim] = n.builder.getIndexAttr(bounds.count);
    strides[dim] = n.builder.getIndexAttr(bounds.step);
  }
  if (to == shapeOf(x) && backwards.empty())
    return Values{x};
  if (llvm::is_contained(to, 0))
    return Values{n.empty(getTensorType(x).clone(to))};
  if (backwards.size() < axes.size())
    x = n.make<tensor::ExtractSliceOp>(x, offsets, sizes, strides);
  for (auto [dim, bounds] : backwards)
    x = gatherBackwards(n, x, dim, bounds);
  return Values{x};
}

/// Consecutive parts of dimension `axis`.
static Outputs cut(NodeBuilder &n, Value x, int64_t axis,
                   ArrayRef<int64_t> sizes) {
  int64_t length = shapeOf(x)[axis], total = 0;
  for (int64_t size : sizes)
    total = size < 0 || size > length ? length + 1
                                      : std::min(total + size, length + 1);
  if (total != length)
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
  if (static_cast<int64_t>(sizes.size()) != parts)
    return n.malformed("it has " + llvm::Twine(sizes.size()) + " sizes for " +
                       llvm::Twine(parts) + " outputs");
  return cut(n, x, axis, sizes);
}

/// The parts as a list, which the importer keeps by the name of the output.
static Outputs splitToSequence(NodeBuilder &n) {
  Value x = n.input(0);
  int64_t axis = n.axis(n.integer("axis", 0), rankOf(x));
  if (llvm::Error error = n.takeFailure())
    return error;
  int64_t length = shapeOf(x)[axis];
  Shape sizes;
  if (n.input(1)) {
    std::optional<Shape> given = n.constantIntegers(1, "split sizes");
    if (!given)
      return n.takeFailure();
    sizes = *given;
  }
  // No sizes mean 1, one size means equal parts of it.
  if (!n.input(1) || rankOf(n.input(1)) == 0) {
    int64_t each = n.input(1) ? sizes.front() : 1;
    if (each < 1 || length / each > mostFolded)
      return n.malformed("parts of " + llvm::Twine(each) +
                         " of a dimension of " + llvm::Twine(length));
    sizes.clear();
    for (int64_t offset = 0; offset < length; offset += each)
      sizes.push_back(std::min(each, length - offset));
  }
  llvm::Expected<Values> parts = cut(n, x, axis, sizes);
  if (!parts || n.input(1) || n.integer("keepdims", 1))
    return parts;
  Shape without(shapeOf(x));
  without.erase(without.begin() + axis);
  for (Value &part : *parts)
    part = n.reshape(part, without);
  return parts;
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
  if (llvm::Error error = checkShape(to))
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
  if (llvm::Error error = checkShape(*target))
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
  if (llvm::Error error = checkShape(*repeats))
    return error;
  Shape wide, dims, to;
  for (auto [size, times] : llvm::zip(from, *repeats)) {
    if (times != 1)
      wide.push_back(times);
    dims.push_back(wide.size());
    wide.push_back(size);
  }
  if (llvm::Error error = checkShape(wide))
    return error;
  for (auto [size, times] : llvm::zip(from, *repeats))
    to.push_back(size * times);
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
    return n.unsupported("its mode is " + quote(mode) + ", not constant");
  std::optional<Shape> pads = n.constantIntegers(1, "pads");
  std::optional<double> value = n.input(2) ? n.constantNumber(2, "value") : 0;
  Shape axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (n.input(3))
    axes = n.constantIntegers(3, "axes").value_or(axes);
  if (llvm::Error error = n.takeFailure())
    return error;
  if (!isa<FloatType>(getTensorType(x).getElementType()) &&
      std::fabs(*value) > 1e15)
    return n.unsupported("it pads with integers beyond 10^15");
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
      return checkShape(shape);
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
  if (llvm::Error error = checkShape(wide))
    return error;
  return Values{
      n.reshape(createBroadcast(n.builder, n.loc, x, wide, dims), to)};
}

ArrayRef<OpRow> partOps() {
  static const OpRow rows[] = {
      {"Concat", 1, anyNumber, concat},
      {"Expand", 2, 2, expand},
      {"Pad", 2, 4, pad},
      {"Resize", 1, 4, resize},
      {"Slice", 3, 5, slice},
      {"Split", 1, 2, split},
      {"SplitToSequence", 1, 2, splitToSequence},
      {"Tile", 2, 2, tile},
  };
  return rows;
}

} // namespace dit::onnx
