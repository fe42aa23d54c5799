//===- OpsReduction.cpp - Ops that combine elements along axes ------------===//
//
// Axes are an attribute or, in newer operator sets, an input; files mix the
// two. Half-precision means are taken in fp32, as every exporter's framework
// does: a sum of many fp16 numbers overflows.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/NodeBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <numeric>

using namespace mlir;

namespace dit::onnx {

namespace {

/// The axes of a reduction and the shapes around it.
struct Reduction {
  Shape axes;
  /// The input's shape with 1 at the axes, and without them.
  Shape kept, dropped;
  /// Elements that become one.
  int64_t count = 1;

  /// `value`, of shape `dropped`, as the node wants it.
  Value finish(NodeBuilder &n, Value value) const {
    return n.reshape(value, n.integer("keepdims", 1) ? kept : dropped);
  }
};

} // namespace

static llvm::Expected<Reduction>
getReduction(NodeBuilder &n, ArrayRef<int64_t> listed, bool none) {
  ArrayRef<int64_t> shape = getTensorType(n.input(0)).getShape();
  Reduction result;
  result.axes = n.axes(listed, shape.size());
  if (listed.empty() && !none) {
    result.axes.resize(shape.size());
    std::iota(result.axes.begin(), result.axes.end(), 0);
  }
  for (auto [dim, size] : llvm::enumerate(shape)) {
    bool reduced = llvm::is_contained(result.axes, dim);
    result.kept.push_back(reduced ? 1 : size);
    if (reduced)
      result.count *= size;
    else
      result.dropped.push_back(size);
  }
  if (llvm::Error error = n.takeFailure())
    return error;
  if (!result.count)
    return n.unsupported("it reduces a dimension without elements");
  return result;
}

static llvm::Expected<Reduction> getReduction(NodeBuilder &n) {
  Shape listed = n.integers("axes");
  if (n.input(1)) {
    std::optional<Shape> given = n.constantIntegers(1, "axes");
    if (!given)
      return n.takeFailure();
    listed = *given;
  }
  return getReduction(n, listed, n.integer("noop_with_empty_axes", 0));
}

template <ReduceKind kind>
static Outputs reduction(NodeBuilder &n) {
  llvm::Expected<Reduction> reduction = getReduction(n);
  if (!reduction)
    return reduction.takeError();
  return Values{
      reduction->finish(n, n.reduce(kind, n.input(0), reduction->axes))};
}

/// A sum over `prepare` of each element, then `finish` of the sum.
template <Value (*prepare)(NodeBuilder &, Value),
          Value (*finish)(NodeBuilder &, Value, int64_t)>
static Outputs sumOf(NodeBuilder &n) {
  llvm::Expected<Reduction> reduction = getReduction(n);
  if (!reduction)
    return reduction.takeError();
  Type element = getTensorType(n.input(0)).getElementType();
  auto floating = dyn_cast<FloatType>(element);
  if (!floating)
    return n.unsupported("on integers");
  Value x = floating.getWidth() < 32
                ? n.cast(n.input(0), n.builder.getF32Type())
                : n.input(0);
  Value sum = n.reduce(ReduceKind::Sum, prepare(n, x), reduction->axes);
  return Values{
      reduction->finish(n, n.cast(finish(n, sum, reduction->count), element))};
}

static Value same(NodeBuilder &, Value x) { return x; }
static Value absolute(NodeBuilder &n, Value x) {
  return n.make<math::AbsFOp>(x);
}
static Value squared(NodeBuilder &n, Value x) {
  return n.make<arith::MulFOp>(x, x);
}
static Value justSum(NodeBuilder &, Value sum, int64_t) { return sum; }
static Value meanOf(NodeBuilder &n, Value sum, int64_t count) {
  return n.make<arith::DivFOp>(sum, n.splat(sum, count));
}
static Value rootOf(NodeBuilder &n, Value sum, int64_t) {
  return n.make<math::SqrtOp>(sum);
}
static Value logOf(NodeBuilder &n, Value sum, int64_t) {
  return n.make<math::LogOp>(sum);
}

/// `value`, of the reduced shape, repeated along the axes again.
static llvm::Expected<Value> spread(NodeBuilder &n, Value value,
                                    const Reduction &reduction) {
  return n.broadcast(n.reshape(value, reduction.kept),
                     getTensorType(n.input(0)).getShape());
}

/// max + log Σ exp(x − max).
static Outputs logSumExp(NodeBuilder &n) {
  llvm::Expected<Reduction> reduction = getReduction(n);
  if (!reduction)
    return reduction.takeError();
  Value x = n.input(0);
  if (llvm::Error error = n.wantFloat(x))
    return error;
  Value largest = n.reduce(ReduceKind::Max, x, reduction->axes);
  llvm::Expected<Value> wide = spread(n, largest, *reduction);
  if (!wide)
    return wide.takeError();
  Value terms = n.make<math::ExpOp>(n.make<arith::SubFOp>(x, *wide));
  Value log =
      n.make<math::LogOp>(n.reduce(ReduceKind::Sum, terms, reduction->axes));
  return Values{reduction->finish(n, n.make<arith::AddFOp>(largest, log))};
}

/// Softmax along `axis`, which is moved to the end for it.
static Outputs softmax(NodeBuilder &n) {
  Value x = n.input(0);
  if (llvm::Error error = n.wantFloat(x))
    return error;
  int64_t rank = getTensorType(x).getRank(),
          axis = n.axis(n.integer("axis", -1), rank);
  if (llvm::Error error = n.takeFailure())
    return error;
  Value last = n.make<SoftmaxOp>(n.moveDimension(x, axis, rank - 1));
  return Values{n.moveDimension(last, rank - 1, axis)};
}

static Outputs logSoftmax(NodeBuilder &n) {
  Value x = n.input(0);
  if (llvm::Error error = n.wantFloat(x))
    return error;
  llvm::Expected<Reduction> reduction =
      getReduction(n, {n.integer("axis", -1)}, true);
  if (!reduction)
    return reduction.takeError();
  llvm::Expected<Value> largest =
      spread(n, n.reduce(ReduceKind::Max, x, reduction->axes), *reduction);
  if (!largest)
    return largest.takeError();
  Value shifted = n.make<arith::SubFOp>(x, *largest);
  Value sum =
      n.reduce(ReduceKind::Sum, n.make<math::ExpOp>(shifted), reduction->axes);
  llvm::Expected<Value> log = spread(n, n.make<math::LogOp>(sum), *reduction);
  if (!log)
    return log.takeError();
  return Values{n.make<arith::SubFOp>(shifted, *log)};
}

/// The place of the extreme: the first (or last) index whose element equals it.
template <ReduceKind kind>
static Outputs argument(NodeBuilder &n) {
  Value x = n.input(0);
  ArrayRef<int64_t> shape = getTensorType(x).getShape();
  llvm::Expected<Reduction> reduction =
      getReduction(n, {n.integer("axis", 0)}, true);
  if (!reduction)
    return reduction.takeError();
  if (reduction->count > mostFolded)
    return n.unsupported("along an axis of more than " +
                         llvm::Twine(mostFolded) + " elements");
  bool last = n.integer("select_last_index", 0),
       floating = isa<FloatType>(getTensorType(x).getElementType());
  llvm::Expected<Value> extreme =
      spread(n, n.reduce(kind, x, reduction->axes), *reduction);
  if (!extreme)
    return extreme.takeError();
  Value found =
      floating ? n.make<arith::CmpFOp>(arith::CmpFPredicate::OEQ, x, *extreme)
               : n.make<arith::CmpIOp>(arith::CmpIPredicate::eq, x, *extreme);
  Shape places(reduction->count);
  std::iota(places.begin(), places.end(), 0);
  RankedTensorType type = n.tensor(shape, n.builder.getI64Type());
  Value index = createBroadcast(n.builder, n.loc, n.integerConstant(places),
                                shape, reduction->axes);
  Value none =
      createSplat(n.builder, n.loc, type, last ? -1 : reduction->count);
  Value candidates = n.make<arith::SelectOp>(found, index, none);
  return Values{
      reduction->finish(n, n.reduce(last ? ReduceKind::Max : ReduceKind::Min,
                                    candidates, reduction->axes))};
}

/// The average of every spatial position: [N, C, …] to [N, C, 1, …].
static Outputs globalAveragePool(NodeBuilder &n) {
  if (llvm::Error error = n.wantFloat(n.input(0)))
    return error;
  int64_t rank = getTensorType(n.input(0)).getRank();
  Shape axes;
  for (int64_t dim = 2; dim < rank; ++dim)
    axes.push_back(dim);
  llvm::Expected<Reduction> reduction = getReduction(n, axes, true);
  if (!reduction)
    return reduction.takeError();
  Value sum = n.reduce(ReduceKind::Sum, n.input(0), reduction->axes);
  return Values{n.reshape(meanOf(n, sum, reduction->count), reduction->kept)};
}

ArrayRef<OpRow> reductionOps() {
  static const OpRow rows[] = {
      {"ArgMax", 1, 1, argument<ReduceKind::Max>},
      {"ArgMin", 1, 1, argument<ReduceKind::Min>},
      {"GlobalAveragePool", 1, 1, globalAveragePool},
      {"LogSoftmax", 1, 1, logSoftmax},
      {"ReduceL1", 1, 2, sumOf<absolute, justSum>},
      {"ReduceL2", 1, 2, sumOf<squared, rootOf>},
      {"ReduceLogSum", 1, 2, sumOf<same, logOf>},
      {"ReduceLogSumExp", 1, 2, logSumExp},
      {"ReduceMax", 1, 2, reduction<ReduceKind::Max>},
      {"ReduceMean", 1, 2, sumOf<same, meanOf>},
      {"ReduceMin", 1, 2, reduction<ReduceKind::Min>},
      {"ReduceProd", 1, 2, reduction<ReduceKind::Prod>},
      {"ReduceSum", 1, 2, reduction<ReduceKind::Sum>},
      {"ReduceSumSquare", 1, 2, sumOf<squared, justSum>},
      {"Softmax", 1, 1, softmax},
  };
  return rows;
}

} // namespace dit::onnx
