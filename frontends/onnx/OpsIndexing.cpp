//===- OpsIndexing.cpp - Ops that look elements up ------------------------===//
//
// Indices known here become slices; others become dit.gather, which looks rows
// of a table up.
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

static llvm::Error wantIndices(NodeBuilder &n, Value indices) {
  Type element = getTensorType(indices).getElementType();
  if (element.isInteger(32) || element.isInteger(64))
    return llvm::Error::success();
  return n.malformed("its indices are not int32 or int64");
}

/// Constant indices from 0 on, checked against `size`.
static llvm::Expected<Shape> knownIndices(NodeBuilder &n, unsigned input,
                                          int64_t size) {
  std::optional<Shape> indices = n.constantIntegers(input, "indices");
  if (!indices)
    return n.takeFailure();
  for (int64_t &index : *indices) {
    if (index < -size || index >= size)
      return n.malformed("index " + llvm::Twine(index) +
                         " is outside of a dimension of " + llvm::Twine(size));
    index += index < 0 ? size : 0;
  }
  return *indices;
}

/// The step from index to index, if it is the same and positive.
static std::optional<int64_t> commonStep(ArrayRef<int64_t> indices) {
  int64_t step = indices.size() > 1 ? indices[1] - indices[0] : 1;
  for (size_t i = 1; i < indices.size(); ++i)
    if (indices[i] - indices[i - 1] != step)
      return std::nullopt;
  return step > 0 ? std::optional<int64_t>(step) : std::nullopt;
}

static Outputs gather(NodeBuilder &n) {
  Value table = n.input(0), indices = n.input(1);
  if (llvm::Error error = wantIndices(n, indices))
    return error;
  int64_t rank = rankOf(table), axis = n.axis(n.integer("axis", 0), rank);
  if (llvm::Error error = n.takeFailure())
    return error;
  ArrayRef<int64_t> from = shapeOf(table);
  Shape to(from.take_front(axis));
  llvm::append_range(to, shapeOf(indices));
  llvm::append_range(to, from.drop_front(axis + 1));
  if (llvm::Error error = checkShape(to))
    return error;
  if (llvm::is_contained(to, 0))
    return Values{n.empty(getTensorType(table).clone(to))};
  if (!from[axis])
    return n.malformed("it looks up a dimension without elements");

  if (DenseElementsAttr constant = getConstant(indices);
      constant && constant.getNumElements() <= mostFolded) {
    llvm::Expected<Shape> known = knownIndices(n, 1, from[axis]);
    if (!known)
      return known.takeError();
    if (std::optional<int64_t> step = commonStep(*known)) {
      SmallVector<OpFoldResult> offsets(rank, n.builder.getIndexAttr(0)),
          strides(rank, n.builder.getIndexAttr(1)), sizes;
      for (int64_t size : from)
        sizes.push_back(n.builder.getIndexAttr(size));
      offsets[axis] = n.builder.getIndexAttr(known->front());
      sizes[axis] = n.builder.getIndexAttr(known->size());
      strides[axis] = n.builder.getIndexAttr(*step);
      return Values{n.reshape(
          n.make<tensor::ExtractSliceOp>(table, offsets, sizes, strides), to)};
    }
    indices = n.reshape(n.integerConstant(*known), shapeOf(indices));
  }
  Value rows = n.make<GatherOp>(n.moveDimension(table, axis, 0), indices);
  // The indices' dimensions stand first; those before the axis belong there.
  Shape permutation;
  int64_t looked = rankOf(indices);
  for (int64_t dim = 0; dim < axis; ++dim)
    permutation.push_back(looked + dim);
  for (int64_t dim = 0; dim < looked; ++dim)
    permutation.push_back(dim);
  for (int64_t dim = axis + looked; dim < rank - 1 + looked; ++dim)
    permutation.push_back(dim);
  return Values{n.transpose(rows, permutation)};
}

/// Row-major strides of `shape`.
static Shape stridesOf(ArrayRef<int64_t> shape) {
  Shape strides(shape.size(), 1);
  for (int64_t dim = shape.size() - 2; dim >= 0; --dim)
    strides[dim] = strides[dim + 1] * shape[dim + 1];
  return strides;
}

/// indices[…, k] as one number: Σ index · stride, negative indices from the
/// end.
static Value linearIndex(NodeBuilder &n, Value indices, ArrayRef<int64_t> sizes,
                         ArrayRef<int64_t> strides) {
  indices = n.cast(indices, n.builder.getI64Type());
  int64_t last = rankOf(indices) - 1;
  Shape shape(shapeOf(indices).drop_back());
  Value sum;
  for (auto [place, size, stride] : llvm::enumerate(sizes, strides)) {
    Value index = n.reshape(n.slice(indices, last, place, 1), shape);
    Value wrapped = n.make<arith::AddIOp>(index, n.splat(index, size));
    Value negative = n.make<arith::CmpIOp>(arith::CmpIPredicate::slt, index,
                                           n.splat(index, 0));
    index = n.make<arith::SelectOp>(negative, wrapped, index);
    Value term = n.make<arith::MulIOp>(index, n.splat(index, stride));
    sum = sum ? n.make<arith::AddIOp>(sum, term) : term;
  }
  return sum;
}

/// The dimensions that are indexed are made one, and looked up by one number.
static Outputs gatherNd(NodeBuilder &n) {
  Value data = n.input(0), indices = n.input(1);
  if (llvm::Error error = wantIndices(n, indices))
    return error;
  if (n.integer("batch_dims", 0))
    return n.unsupported("with batch_dims");
  int64_t depth = rankOf(indices) ? shapeOf(indices).back() : 0;
  if (depth < 1 || depth > rankOf(data) ||
      !getTensorType(data).getNumElements())
    return n.malformed(
        "its indices of shape " + describeShape(shapeOf(indices)) +
        " do not fit data of shape " + describeShape(shapeOf(data)));
  ArrayRef<int64_t> indexed = shapeOf(data).take_front(depth),
                    rest = shapeOf(data).drop_front(depth);
  Shape flat{std::accumulate(indexed.begin(), indexed.end(), int64_t(1),
                             std::multiplies<int64_t>())};
  llvm::append_range(flat, rest);
  Shape to(shapeOf(indices).drop_back());
  llvm::append_range(to, rest);
  if (llvm::Error error = checkShape(to))
    return error;
  return Values{
      n.make<GatherOp>(n.reshape(data, flat),
                       linearIndex(n, indices, indexed, stridesOf(indexed)))};
}

/// out[i, j] = data[i, indices[i, j]]: all of data looked up by one number.
static Outputs gatherElements(NodeBuilder &n) {
  Value data = n.input(0), indices = n.input(1);
  if (llvm::Error error = wantIndices(n, indices))
    return error;
  int64_t rank = rankOf(data), axis = n.axis(n.integer("axis", 0), rank);
  if (llvm::Error error = n.takeFailure())
    return error;
  ArrayRef<int64_t> shape = shapeOf(indices);
  bool fits = rankOf(indices) == rank && getTensorType(data).getNumElements();
  for (int64_t dim = 0; fits && dim < rank; ++dim)
    fits = dim == axis ||
           (shape[dim] <= shapeOf(data)[dim] && shape[dim] <= mostFolded);
  if (!fits)
    return n.malformed("its indices of shape " + describeShape(shape) +
                       " do not fit data of shape " +
                       describeShape(shapeOf(data)));
  Shape strides = stridesOf(shapeOf(data)), one(shape);
  one.push_back(1);
  Value place = linearIndex(n, n.reshape(indices, one), shapeOf(data)[axis],
                            strides[axis]);
  for (int64_t dim = 0; dim < rank; ++dim) {
    if (dim == axis)
      continue;
    Shape values;
    for (int64_t index = 0; index < shape[dim]; ++index)
      values.push_back(index * strides[dim]);
    Value term = createBroadcast(n.builder, n.loc, n.integerConstant(values),
                                 shape, {dim});
    place = n.make<arith::AddIOp>(place, term);
  }
  return Values{n.make<GatherOp>(
      n.reshape(data, {getTensorType(data).getNumElements()}), place)};
}

static Outputs oneHot(NodeBuilder &n) {
  Value indices = n.cast(n.input(0), n.builder.getI64Type());
  std::optional<double> depth = n.constantNumber(1, "depth");
  if (!depth)
    return n.takeFailure();
  if (!(*depth >= 1 && *depth <= mostFolded) ||
      getTensorType(n.input(2)).getNumElements() != 2)
    return n.malformed("its depth is not from 1 to " + llvm::Twine(mostFolded) +
                       ", or its values are not two");
  int64_t rank = rankOf(indices) + 1, size = *depth,
          axis = n.axis(n.integer("axis", -1), rank);
  if (llvm::Error error = n.takeFailure())
    return error;
  Shape to(shapeOf(indices)), others, places(size);
  to.insert(to.begin() + axis, size);
  if (llvm::Error error = checkShape(to))
    return error;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (dim != axis)
      others.push_back(dim);
  std::iota(places.begin(), places.end(), 0);
  Value negative = n.make<arith::CmpIOp>(arith::CmpIPredicate::slt, indices,
                                         n.splat(indices, 0));
  Value wrapped = n.make<arith::AddIOp>(indices, n.splat(indices, size));
  Value wanted = createBroadcast(
      n.builder, n.loc, n.make<arith::SelectOp>(negative, wrapped, indices), to,
      others);
  Value counter =
      createBroadcast(n.builder, n.loc, n.integerConstant(places), to, {axis});
  Value hit = n.make<arith::CmpIOp>(arith::CmpIPredicate::eq, wanted, counter);
  Value choices[2];
  for (int64_t index : {0, 1})
    choices[index] = createBroadcast(
        n.builder, n.loc, n.reshape(n.slice(n.input(2), 0, index, 1), {}), to,
        {});
  return Values{n.make<arith::SelectOp>(hit, choices[1], choices[0])};
}

/// Keeps the elements on and above (or below) the k-th diagonal.
static Outputs triangle(NodeBuilder &n) {
  Value x = n.input(0);
  std::optional<double> k = n.input(1) ? n.constantNumber(1, "diagonal") : 0;
  if (!k)
    return n.takeFailure();
  int64_t rank = rankOf(x);
  if (rank < 2)
    return n.malformed("its input is not a matrix");
  int64_t rows = shapeOf(x)[rank - 2], columns = shapeOf(x)[rank - 1];
  if (rows > mostFolded || columns > mostFolded ||
      rows * columns > 256 * mostFolded)
    return n.unsupported("a matrix of more than 2^24 elements");
  bool upper = n.integer("upper", 1);
  SmallVector<bool> kept;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      kept.push_back(upper ? column - row >= *k : column - row <= *k);
  Value mask = n.make<arith::ConstantOp>(DenseElementsAttr::get(
      n.tensor({rows, columns}, n.builder.getI1Type()), kept));
  llvm::Expected<Value> wide = n.broadcast(mask, shapeOf(x));
  if (!wide)
    return wide.takeError();
  return Values{n.make<arith::SelectOp>(*wide, x, n.splat(x, 0))};
}

/// Rows of data replaced by rows of updates at indices that are known: rows of
/// both, one after the other, looked up.
static Outputs scatterNd(NodeBuilder &n) {
  Value data = n.input(0), updates = n.input(2);
  if (llvm::Error error = wantIndices(n, n.input(1)))
    return error;
  if (n.text("reduction", "none") != "none")
    return n.unsupported("with a reduction");
  std::optional<Shape> indices = n.constantIntegers(1, "indices");
  if (!indices)
    return n.takeFailure();
  int64_t depth = rankOf(n.input(1)) ? shapeOf(n.input(1)).back() : 0;
  if (depth < 1 || depth > rankOf(data))
    return n.malformed(
        "its indices of shape " + describeShape(shapeOf(n.input(1))) +
        " do not fit data of shape " + describeShape(shapeOf(data)));
  ArrayRef<int64_t> indexed = shapeOf(data).take_front(depth),
                    rest = shapeOf(data).drop_front(depth);
  Shape wanted(shapeOf(n.input(1)).drop_back()), strides = stridesOf(indexed);
  llvm::append_range(wanted, rest);
  if (shapeOf(updates) != ArrayRef(wanted) ||
      getTensorType(updates).getElementType() !=
          getTensorType(data).getElementType())
    return n.malformed("its updates are not of shape " + describeShape(wanted) +
                       " and of the type of its data");
  int64_t rows = std::accumulate(indexed.begin(), indexed.end(), int64_t(1),
                                 std::multiplies<int64_t>());
  int64_t count = indices->size() / depth;
  if (rows > mostFolded)
    return n.unsupported("on more than " + llvm::Twine(mostFolded) + " rows");
  if (!rows || !count)
    return Values{data};
  Shape source(rows);
  std::iota(source.begin(), source.end(), 0);
  for (int64_t update = 0; update < count; ++update) {
    int64_t row = 0;
    for (int64_t dim = 0; dim < depth; ++dim) {
      int64_t index = (*indices)[update * depth + dim], size = indexed[dim];
      if (index < -size || index >= size)
        return n.malformed("index " + llvm::Twine(index) +
                           " is outside of a dimension of " +
                           llvm::Twine(size));
      row += (index < 0 ? index + size : index) * strides[dim];
    }
    source[row] = rows + update;
  }
  Shape flat{rows}, flatUpdates{count};
  llvm::append_range(flat, rest);
  llvm::append_range(flatUpdates, rest);
  Value both =
      n.concat({n.reshape(data, flat), n.reshape(updates, flatUpdates)}, 0);
  return Values{n.reshape(n.make<GatherOp>(both, n.integerConstant(source)),
                          shapeOf(data))};
}

ArrayRef<OpRow> indexingOps() {
  static const OpRow rows[] = {
      {"Gather", 2, 2, gather},       {"GatherElements", 2, 2, gatherElements},
      {"GatherND", 2, 2, gatherNd},   {"OneHot", 3, 3, oneHot},
      {"ScatterND", 3, 3, scatterNd}, {"Trilu", 1, 2, triangle},
  };
  return rows;
}

} // namespace dit::onnx
