//===- OpsLinearAlgebra.cpp - Products of matrices, and of patches ------===//

#include "frontends/onnx/NodeBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>
#include <numeric>

using namespace mlir;

namespace dit::onnx {

static ArrayRef<int64_t> shapeOf(Value value) {
  return getTensorType(value).getShape();
}
static int64_t rankOf(Value value) { return getTensorType(value).getRank(); }

static llvm::Error wantSameFloats(NodeBuilder &n, ArrayRef<Value> values) {
  Type element = getTensorType(values[0]).getElementType();
  for (Value value : values)
    if (value && (!isa<FloatType>(element) ||
                  getTensorType(value).getElementType() != element))
      return n.unsupported(
          "on operands that are not of one floating-point type");
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

/// numpy's matmul of tensors of rank 2 and more. A rhs of rank 2 stays shared.
static llvm::Expected<Value> product(NodeBuilder &n, Value lhs, Value rhs,
                                     bool transposeRhs = false) {
  int64_t leftDepth = shapeOf(lhs).back(), rightRank = rankOf(rhs);
  int64_t rightDepth = shapeOf(rhs)[rightRank - (transposeRhs ? 1 : 2)];
  int64_t columns = shapeOf(rhs)[rightRank - (transposeRhs ? 2 : 1)];
  if (leftDepth != rightDepth)
    return n.malformed("the shapes contradict: " + describeShape(shapeOf(lhs)) +
                       " times " + describeShape(shapeOf(rhs)));
  if (llvm::all_of(shapeOf(rhs).drop_back(2),
                   [](int64_t size) { return size == 1; }) &&
      rankOf(lhs) >= rightRank)
    rhs = n.reshape(rhs, shapeOf(rhs).take_back(2));
  if (rankOf(rhs) > 2) {
    // Both get the common batch.
    Shape batch;
    int64_t rank = std::max(rankOf(lhs), rankOf(rhs)) - 2;
    for (int64_t dim = 0; dim < rank; ++dim) {
      auto at = [&](Value value) {
        int64_t place = dim - (rank + 2 - rankOf(value));
        return place < 0 ? 1 : shapeOf(value)[place];
      };
      batch.push_back(at(lhs) == 1 ? at(rhs) : at(lhs));
    }
    auto widen = [&](Value value) {
      Shape shape = batch;
      llvm::append_range(shape, shapeOf(value).take_back(2));
      return n.broadcast(value, shape);
    };
    llvm::Expected<Value> left = widen(lhs);
    if (!left)
      return left.takeError();
    llvm::Expected<Value> right = widen(rhs);
    if (!right)
      return right.takeError();
    lhs = *left;
    rhs = *right;
  }
  Shape result(shapeOf(lhs).drop_back());
  result.push_back(columns);
  if (llvm::Error error = checkShape(result))
    return error;
  return n.make<MatmulOp>(getTensorType(lhs).clone(result), lhs, rhs, Value(),
                          transposeRhs);
}

static Outputs matmul(NodeBuilder &n) {
  Value lhs = n.input(0), rhs = n.input(1);
  if (llvm::Error error = wantSameFloats(n, {lhs, rhs}))
    return error;
  if (rankOf(lhs) == 0 || rankOf(rhs) == 0)
    return n.malformed("an operand is a scalar");
  // Vectors are rows on the left, columns on the right, and lose that again.
  bool row = rankOf(lhs) == 1, column = rankOf(rhs) == 1;
  if (row)
    lhs = n.reshape(lhs, {1, shapeOf(lhs)[0]});
  if (column)
    rhs = n.reshape(rhs, {shapeOf(rhs)[0], 1});
  llvm::Expected<Value> result = product(n, lhs, rhs);
  if (!result)
    return result.takeError();
  Shape shape(shapeOf(*result));
  if (column)
    shape.pop_back();
  if (row)
    shape.erase(shape.end() - (column ? 1 : 2));
  return Values{n.reshape(*result, shape)};
}

static Value scaled(NodeBuilder &n, Value value, double factor) {
  return factor == 1 ? value
                     : n.make<arith::MulFOp>(value, n.splat(value, factor));
}

static Outputs gemm(NodeBuilder &n) {
  Value lhs = n.input(0), rhs = n.input(1), bias = n.input(2);
  if (llvm::Error error = wantSameFloats(n, {lhs, rhs, bias}))
    return error;
  if (rankOf(lhs) != 2 || rankOf(rhs) != 2)
    return n.malformed("its operands are not matrices");
  if (n.integer("transA", 0))
    lhs = n.transpose(lhs, {1, 0});
  llvm::Expected<Value> result = product(n, lhs, rhs, n.integer("transB", 0));
  if (!result)
    return result.takeError();
  Value value = scaled(n, *result, n.number("alpha", 1));
  if (!bias || n.number("beta", 1) == 0)
    return Values{value};
  llvm::Expected<Value> term =
      n.broadcast(scaled(n, bias, n.number("beta", 1)), shapeOf(value));
  if (!term)
    return term.takeError();
  return Values{n.make<arith::AddFOp>(value, *term)};
}

/// com.microsoft's MatMul with transposes and a factor.
static Outputs fusedMatmul(NodeBuilder &n) {
  Value lhs = n.input(0), rhs = n.input(1);
  if (llvm::Error error = wantSameFloats(n, {lhs, rhs}))
    return error;
  if (n.integer("transBatchA", 0) || n.integer("transBatchB", 0) ||
      rankOf(lhs) < 2 || rankOf(rhs) < 2)
    return n.unsupported("with transposed batches or vectors");
  if (n.integer("transA", 0))
    lhs = n.moveDimension(lhs, rankOf(lhs) - 1, rankOf(lhs) - 2);
  llvm::Expected<Value> result = product(n, lhs, rhs, n.integer("transB", 0));
  if (!result)
    return result.takeError();
  return Values{scaled(n, *result, n.number("alpha", 1))};
}

//===----------------------------------------------------------------------===//
// Einsum
//===----------------------------------------------------------------------===//

/// Sums `value`, whose dimensions are called `names`, to those in `wanted`, in
/// that order.
static Value arrange(NodeBuilder &n, Value value, std::string names,
                     llvm::StringRef wanted) {
  Shape reduced, permutation;
  std::string kept;
  for (auto [dim, name] : llvm::enumerate(names)) {
    if (wanted.contains(name))
      kept += name;
    else
      reduced.push_back(dim);
  }
  value = n.reduce(ReduceKind::Sum, value, reduced);
  for (char name : wanted)
    permutation.push_back(kept.find(name));
  return n.transpose(value, permutation);
}

/// Two operands: names of both and of the result are the batch, names of both
/// alone are summed, the rest are rows and columns.
static Outputs einsumProduct(NodeBuilder &n, llvm::StringRef left,
                             llvm::StringRef right, llvm::StringRef wanted,
                             llvm::function_ref<int64_t(char)> sizeOf) {
  std::string batch, depth, rows, columns;
  for (char name : left) {
    if (right.contains(name))
      (wanted.contains(name) ? batch : depth) += name;
    else if (wanted.contains(name))
      rows += name;
  }
  for (char name : right)
    if (!left.contains(name) && wanted.contains(name))
      columns += name;
  auto sizes = [&](llvm::StringRef names) {
    Shape shape;
    for (char name : names)
      shape.push_back(sizeOf(name));
    return shape;
  };
  auto count = [&](llvm::StringRef names) {
    Shape shape = sizes(names);
    return std::accumulate(shape.begin(), shape.end(), int64_t(1),
                           std::multiplies<int64_t>());
  };
  std::string order = batch + rows + columns;
  if (llvm::Error error = checkShape(sizes(order)))
    return error;
  Value lhs = arrange(n, n.input(0), left.str(), batch + rows + depth);
  Value rhs = arrange(n, n.input(1), right.str(), batch + depth + columns);
  Shape problem = batch.empty() ? Shape{} : Shape{count(batch)};
  Shape leftShape = problem, rightShape = problem;
  leftShape.append({count(rows), count(depth)});
  rightShape.append({count(depth), count(columns)});
  llvm::Expected<Value> result =
      product(n, n.reshape(lhs, leftShape), n.reshape(rhs, rightShape));
  if (!result)
    return result.takeError();
  return Values{arrange(n, n.reshape(*result, sizes(order)), order, wanted)};
}

static Outputs einsum(NodeBuilder &n) {
  std::string equation;
  for (char c : n.text("equation", ""))
    if (c != ' ')
      equation += c;
  auto [sources, wanted] = llvm::StringRef(equation).split("->");
  SmallVector<llvm::StringRef> names;
  sources.split(names, ',');
  auto letters = [](llvm::StringRef list) {
    std::string sorted = list.str();
    llvm::sort(sorted);
    return llvm::all_of(list, llvm::isAlpha) &&
           std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
  };
  if (!llvm::StringRef(equation).contains("->") || !letters(wanted) ||
      !llvm::all_of(names, letters) || names.size() > 2)
    return n.unsupported(
        "the equation " + quote(equation) +
        " (one or two operands, an explicit result, no diagonals, no '...')");
  if (names.size() != n.numInputs())
    return n.malformed("the equation " + quote(equation) +
                       " has another number of operands");
  llvm::StringMap<int64_t> sizes;
  for (auto [index, list] : llvm::enumerate(names)) {
    if (static_cast<int64_t>(list.size()) != rankOf(n.input(index)))
      return n.malformed("the equation " + quote(equation) +
                         " does not fit operand " + llvm::Twine(index) +
                         " of shape " + describeShape(shapeOf(n.input(index))));
    for (auto [name, size] : llvm::zip(list, shapeOf(n.input(index))))
      if (auto [known, added] =
              sizes.try_emplace(llvm::StringRef(&name, 1), size);
          !added && known->second != size)
        return n.malformed("the equation gives " + llvm::Twine(name) +
                           " two sizes");
  }
  for (char name : wanted)
    if (!sizes.count(llvm::StringRef(&name, 1)))
      return n.malformed("the equation's result has " + llvm::Twine(name) +
                         ", which no operand has");
  if (names.size() == 1)
    return Values{arrange(n, n.input(0), names[0].str(), wanted)};
  if (llvm::Error error = wantSameFloats(n, {n.input(0), n.input(1)}))
    return error;
  return einsumProduct(n, names[0], names[1], wanted, [&](char name) {
    return sizes.lookup(llvm::StringRef(&name, 1));
  });
}

//===----------------------------------------------------------------------===//
// Convolution of patches
//===----------------------------------------------------------------------===//

/// Patches that do not overlap: each is a row of a matrix product.
///
///   [B, C, h·p, w·q] → [B, h, w, C·p·q] · [N, C·p·q]ᵀ → [B, N, h, w]
static Outputs convolution(NodeBuilder &n) {
  Value x = n.input(0), weight = n.input(1), bias = n.input(2);
  if (llvm::Error error = wantSameFloats(n, {x, weight, bias}))
    return error;
  int64_t rank = rankOf(x), spatial = rank - 2;
  if (spatial < 1 || rankOf(weight) != rank)
    return n.malformed("its operands are not [batch, channels, …] and "
                       "[channels, channels, …]");
  Shape kernel(shapeOf(weight).drop_front(2));
  auto all = [&](llvm::StringRef name, int64_t value) {
    return llvm::all_of(n.integers(name),
                        [=](int64_t entry) { return entry == value; });
  };
  Shape strides = n.integers("strides", Shape(spatial, 1));
  llvm::StringRef padding = n.text("auto_pad", "NOTSET");
  bool dense = n.integer("group", 1) == 1 && all("dilations", 1) &&
               all("pads", 0) && strides == kernel;
  if (!dense || (padding != "NOTSET" && padding != "VALID"))
    return n.unsupported("only convolutions whose kernel equals the stride, "
                         "without padding, dilation and groups (patches)");
  if (n.integers("kernel_shape", kernel) != kernel ||
      shapeOf(x)[1] != shapeOf(weight)[1] || llvm::is_contained(kernel, 0) ||
      (bias && shapeOf(bias) != ArrayRef(shapeOf(weight)[0])))
    return n.malformed("its kernel of shape " + describeShape(shapeOf(weight)) +
                       " does not fit its attributes or the input " +
                       describeShape(shapeOf(x)));

  int64_t batch = shapeOf(x)[0], channels = shapeOf(x)[1],
          filters = shapeOf(weight)[0];
  Shape split{batch, channels}, permutation{0}, grid{batch}, inner{1};
  int64_t depth = channels;
  for (int64_t dim = 0; dim < spatial; ++dim) {
    int64_t patches = shapeOf(x)[dim + 2] / kernel[dim];
    x = patches * kernel[dim] == shapeOf(x)[dim + 2]
            ? x
            : n.slice(x, dim + 2, 0, patches * kernel[dim]);
    split.append({patches, kernel[dim]});
    permutation.push_back(2 + 2 * dim);
    inner.push_back(3 + 2 * dim);
    grid.push_back(patches);
    depth *= kernel[dim];
  }
  permutation.append(inner);
  Shape rows = grid;
  rows.push_back(depth);
  Value patches =
      n.reshape(n.transpose(n.reshape(x, split), permutation), rows);
  llvm::Expected<Value> value = product(
      n, patches, n.reshape(weight, {filters, depth}), /*transposeRhs=*/true);
  if (!value)
    return value.takeError();
  if (bias) {
    llvm::Expected<Value> wide = n.broadcast(bias, shapeOf(*value));
    if (!wide)
      return wide.takeError();
    value = n.make<arith::AddFOp>(*value, *wide);
  }
  return Values{n.moveDimension(*value, spatial + 1, 1)};
}

ArrayRef<OpRow> linearAlgebraOps() {
  static const OpRow rows[] = {
      {"Conv", 2, 3, convolution},
      {"Einsum", 1, 2, einsum},
      {"Gemm", 2, 3, gemm},
      {"MatMul", 2, 2, matmul},
      {"FusedMatMul", 2, 2, fusedMatmul, "com.microsoft"},
  };
  return rows;
}

} // namespace dit::onnx
