//===- SplitReductions.cpp - Reductions in stages that kernels have -------===//
//
// Runs of reduced dimensions are made one, and reduced one after the other from
// the last on. Each becomes
//
//   [outer, length]          rows, of which there should be many;
//   [outer, length, inner]   columns: sums of runs of rows first, which come
//                            beside what else a kernel makes of the rows; then
//                            sums of these, few enough for one point each.
//
// Lengths are cut at divisors, by the shape alone: the order of the sums is the
// same on every device.
//
//===----------------------------------------------------------------------===//
#include "passes/fusion/Passes.h"

#include "dialects/dit/Builders.h"
#include "dialects/dit/ColumnSums.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_SPLITREDUCTIONS
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

/// A longer row is cut where there are fewer rows than that, into pieces.
static constexpr int64_t longRow = 8192, manyRows = 64, longestPiece = 4096;
/// Rows of a run: few enough that there are many runs, and that their sums are
/// little memory beside the rows.
static constexpr int64_t longestRun = 32, shortestRun = 8, fewestRuns = 16;
/// Kernels hold the sums of a whole row.
static constexpr int64_t widestSums = 16384;
/// Terms that one point adds, and so few that a kernel does it beside others.
static constexpr int64_t mostTerms = 64, fewTerms = 16;

static int64_t findDivisor(int64_t number, int64_t most) {
  most = std::min(number, most);
  while (number % most)
    --most;
  return most;
}

namespace {
/// Neighbouring dimensions as one: their sizes multiplied.
struct Stretch {
  bool isReduced;
  int64_t size;
  /// Of the last dimension that is not 1.
  int64_t innermost;
};

class Splitter {
public:
  explicit Splitter(ReduceOp op) : op(op), builder(op) {}

  void run();

private:
  SmallVector<Stretch> getStretches();
  Value reduce(Value input, int64_t dim, bool isPartial = false);
  Value reduceRows(Value input);
  Value reduceColumns(Value input, int64_t innermost, bool isFirst = true);
  /// `shape` with dimension `dim` cut into pieces of `size`.
  Value cut(Value input, int64_t dim, int64_t size);
  Value reshape(Value input, ArrayRef<int64_t> shape) {
    return createReshape(builder, op.getLoc(), input, shape);
  }

  ReduceOp op;
  OpBuilder builder;
};
} // namespace

static ArrayRef<int64_t> shapeOf(Value value) {
  return getTensorType(value).getShape();
}

/// Whether the rows of `input` are best reduced as they are.
static bool isShort(Value input) {
  int64_t length = shapeOf(input).back();
  return length <= longRow ||
         getTensorType(input).getNumElements() / length >= manyRows ||
         findDivisor(length, longestPiece) < manyRows;
}

static bool isShortRow(ReduceOp op) {
  int64_t last = getTensorType(op.getInput()).getRank() - 1;
  return op.getDims() == ArrayRef<int64_t>({last}) && isShort(op.getInput());
}

SmallVector<Stretch> Splitter::getStretches() {
  SmallVector<Stretch> stretches;
  for (auto [dim, size] : llvm::enumerate(shapeOf(op.getInput()))) {
    bool isReduced =
        llvm::is_contained(op.getDims(), static_cast<int64_t>(dim));
    if (size == 1)
      continue;
    if (stretches.empty() || stretches.back().isReduced != isReduced)
      stretches.push_back({isReduced, 1, 1});
    stretches.back().size *= size;
    stretches.back().innermost = size;
  }
  return stretches;
}

Value Splitter::reduce(Value input, int64_t dim, bool isPartial) {
  auto made =
      ReduceOp::create(builder, op.getLoc(), op.getKind(), input, {dim});
  if (isPartial)
    made->setAttr(partialAttrName, builder.getUnitAttr());
  return made;
}

Value Splitter::cut(Value input, int64_t dim, int64_t size) {
  SmallVector<int64_t> shape(shapeOf(input));
  shape[dim] /= size;
  shape.insert(shape.begin() + dim + 1, size);
  return reshape(input, shape);
}

Value Splitter::reduceRows(Value input) {
  int64_t dim = getTensorType(input).getRank() - 1;
  if (isShort(input))
    return reduce(input, dim);
  int64_t piece = findDivisor(shapeOf(input)[dim], longestPiece);
  return reduceRows(reduce(cut(input, dim, piece), dim + 1));
}

/// `innermost`: the last of the reduced dimensions, whose divisors other sums
/// over the same rows may have too. The first stage is beside what makes the
/// rows, a later one of few terms beside what reads the sums.
Value Splitter::reduceColumns(Value input, int64_t innermost, bool isFirst) {
  int64_t dim = getTensorType(input).getRank() - 2,
          length = shapeOf(input)[dim], inner = shapeOf(input).back();
  int64_t rows = getTensorType(input).getNumElements() / inner;
  int64_t run = findDivisor(innermost, longestRun);
  if (run < shortestRun)
    run = findDivisor(length, longestRun);
  bool isPartial = run >= shortestRun && rows >= fewestRuns * run &&
                   inner <= widestSums && (isFirst || length > fewTerms);
  if (!isPartial)
    run = findDivisor(length, mostTerms);
  if (!isPartial && (length <= mostTerms || run < shortestRun))
    return reduce(input, dim);
  if (run == length)
    return reduce(input, dim, isPartial);
  int64_t left = length / run;
  return reduceColumns(reduce(cut(input, dim, run), dim + 1, isPartial), left,
                       /*isFirst=*/false);
}

void Splitter::run() {
  SmallVector<Stretch> stretches = getStretches();
  Value value = op.getInput();
  RankedTensorType type = getTensorType(value);
  // Stages are not rounded, the result is.
  bool isNarrow = isa<FloatType>(type.getElementType()) &&
                  type.getElementTypeBitWidth() < 32;
  if (isNarrow)
    value = createCast(builder, op.getLoc(), value, builder.getF32Type());
  while (true) {
    auto last = llvm::find_if(llvm::reverse(stretches),
                              [](Stretch each) { return each.isReduced; });
    if (last == stretches.rend())
      break;
    auto reduced = std::prev(last.base());
    auto multiply = [](auto begin, auto end) {
      int64_t product = 1;
      for (; begin != end; ++begin)
        product *= begin->size;
      return product;
    };
    int64_t inner = multiply(reduced + 1, stretches.end());
    SmallVector<int64_t> shape;
    if (reduced != stretches.begin())
      shape.push_back(multiply(stretches.begin(), reduced));
    shape.push_back(reduced->size);
    if (inner > 1)
      shape.push_back(inner);
    value = reshape(value, shape);
    value = inner > 1 ? reduceColumns(value, reduced->innermost)
                      : reduceRows(value);
    stretches.erase(reduced);
  }
  value = reshape(value, shapeOf(op.getResult()));
  value = createCast(builder, op.getLoc(), value, type.getElementType());
  op.replaceAllUsesWith(value);
  op.erase();
}

namespace {
struct SplitReductions : dit::impl::SplitReductionsBase<SplitReductions> {
  void runOnOperation() override {
    SmallVector<ReduceOp> reductions;
    getOperation().walk([&](ReduceOp op) {
      if (!isShortRow(op))
        reductions.push_back(op);
    });
    for (ReduceOp op : reductions)
      Splitter(op).run();
  }
};
} // namespace
