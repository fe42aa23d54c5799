//===- RowProgramTest.cpp - Symbolic indices against numbers --------------===//
//
// Random chains of views: at every point of the space the symbolic index of the
// chain's source must be the one that walking the chain with numbers gives.
//
//===----------------------------------------------------------------------===//
#include "passes/fusion/RowProgram.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "gtest/gtest.h"

#include <random>

using namespace mlir;
using namespace dit;

namespace {

using Numbers = SmallVector<int64_t>;

/// The multi-index of element `flat`.
Numbers unravel(int64_t flat, ArrayRef<int64_t> shape) {
  Numbers index(shape.size());
  for (size_t dim = shape.size(); dim-- > 0;) {
    index[dim] = flat % shape[dim];
    flat /= shape[dim];
  }
  return index;
}

int64_t ravel(ArrayRef<int64_t> index, ArrayRef<int64_t> shape) {
  int64_t flat = 0;
  for (auto [i, size] : llvm::zip_equal(index, shape))
    flat = flat * size + i;
  return flat;
}

/// Where `op` reads its operand for element `index` of its result: from the
/// ops' definitions.
Numbers readAt(Operation *op, ArrayRef<int64_t> index) {
  ArrayRef<int64_t> from = getShape(op->getOperand(0));
  Numbers source;
  if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
    for (int64_t dim : broadcast.getDims())
      source.push_back(index[dim]);
  } else if (auto transpose = dyn_cast<TransposeOp>(op)) {
    source.resize(index.size());
    for (auto [dim, to] : llvm::enumerate(transpose.getPermutation()))
      source[to] = index[dim];
  } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    for (auto [dim, i] : llvm::enumerate(index))
      source.push_back(slice.getStaticOffsets()[dim] +
                       i * slice.getStaticStrides()[dim]);
  } else {
    source = unravel(ravel(index, getShape(op->getResult(0))), from);
  }
  return source;
}

int64_t evaluate(const Index &index, int64_t row, int64_t lane) {
  int64_t value = index.offset;
  for (const Digit &digit : index.digits)
    value += digit.coefficient *
             ((digit.coordinate == Coordinate::Row ? row : lane) /
              digit.stride % digit.size);
  return value;
}

class RowProgramTest : public testing::Test {
protected:
  RowProgramTest() : builder(&context) {
    context
        .loadDialect<DitDialect, arith::ArithDialect, tensor::TensorDialect>();
    block = std::make_unique<Block>();
    builder.setInsertionPointToStart(block.get());
  }

  Value argument(ArrayRef<int64_t> shape) {
    return block->addArgument(
        RankedTensorType::get(shape, builder.getF32Type()),
        builder.getUnknownLoc());
  }
  Location loc() { return builder.getUnknownLoc(); }
  int64_t pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }
  Value addRandomView(Value value);

  MLIRContext context;
  OpBuilder builder;
  std::unique_ptr<Block> block;
  std::mt19937 random{7};
};

Value RowProgramTest::addRandomView(Value value) {
  SmallVector<int64_t> shape(getShape(value));
  int64_t rank = static_cast<int64_t>(shape.size());
  int64_t dim = pick(0, rank - 1);
  switch (pick(0, 4)) {
  case 0: {
    if (countElements(value) > 2000)
      return value;
    SmallVector<int64_t> dims;
    for (int64_t d = 0; d <= rank; ++d)
      if (d != dim)
        dims.push_back(d);
    shape.insert(shape.begin() + dim, pick(2, 3));
    return createBroadcast(builder, loc(), value, shape, dims);
  }
  case 1: {
    SmallVector<int64_t> order(rank);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    return TransposeOp::create(builder, loc(), value, order);
  }
  case 2: {
    int64_t size = pick(1, shape[dim]);
    return createSlice(builder, loc(), value, dim, pick(0, shape[dim] - size),
                       size);
  }
  case 3:
    if (dim + 1 < rank) {
      shape[dim] *= shape[dim + 1];
      shape.erase(shape.begin() + dim + 1);
    }
    return createReshape(builder, loc(), value, shape);
  default:
    for (int64_t factor : {2, 3})
      if (shape[dim] % factor == 0) {
        shape[dim] /= factor;
        shape.insert(shape.begin() + dim + 1, factor);
        break;
      }
    return createReshape(builder, loc(), value, shape);
  }
}

TEST_F(RowProgramTest, ChainsOfViewsReadWhatTheirDefinitionsSay) {
  int exact = 0;
  for (int round = 0; round < 300; ++round) {
    Value source = argument({pick(1, 3) * 2, pick(1, 3) * 3, pick(1, 4) * 2});
    Value value = source;
    for (int64_t length = pick(1, 5); length-- > 0;)
      value = addRandomView(value);

    ArrayRef<int64_t> shape = getShape(value);
    RowSpace space{countElements(value) / shape.back(), shape.back()};
    Access access = getResultAccess(shape, space, Linearity::Full);
    ASSERT_EQ(getLinearity(access, shape, space), Linearity::Full);
    SmallVector<Operation *> chain;
    for (Value at = value; at != source;) {
      Operation *op = at.getDefiningOp();
      chain.push_back(op);
      SmallVector<OperandAccess, 1> operands;
      std::string reason;
      ASSERT_TRUE(succeeded(pullAccess(op, 0, access, space, operands, reason)))
          << reason;
      ASSERT_EQ(operands.size(), 1u);
      access = operands[0].access;
      at = op->getOperand(0);
    }
    bool allExact = llvm::all_of(
        access.indices, [](const Index &index) { return index.exact; });
    exact += allExact;
    for (int64_t flat = 0; allExact && flat < countElements(value); ++flat) {
      Numbers index = unravel(flat, shape);
      for (Operation *op : chain)
        index = readAt(op, index);
      for (auto [expected, symbolic] : llvm::zip_equal(index, access.indices))
        ASSERT_EQ(evaluate(symbolic, flat / space.lane, flat % space.lane),
                  expected);
    }
  }
  // Reshapes across a slice's gap are not exact; most chains are.
  EXPECT_GT(exact, 200);
}

TEST_F(RowProgramTest, LinearityIsThatOfTheElementsOrder) {
  RowSpace space{6, 4};
  Access full = getResultAccess({2, 3, 4}, space, Linearity::Full);
  Access row = getResultAccess({2, 3}, space, Linearity::Row);
  EXPECT_EQ(getLinearity(full, {2, 3, 4}, space), Linearity::Full);
  EXPECT_EQ(getLinearity(row, {2, 3}, space), Linearity::Row);
  EXPECT_FALSE(row.dependsOn(Coordinate::Lane));
  EXPECT_EQ(full.getEvaluations(), 24);
  EXPECT_EQ(row.getEvaluations(), 6);
  // Another order of the same elements is not.
  std::swap(full.indices[0], full.indices[1]);
  EXPECT_EQ(getLinearity(full, {3, 2, 4}, space), Linearity::None);
  // Nor is one index of it left out.
  EXPECT_EQ(getLinearity({{row.indices[0]}, 6, 4}, {2}, space),
            Linearity::None);
}

TEST_F(RowProgramTest, SliceOfOneSideOfAConcatReadsOnlyThatSide) {
  Value a = argument({2, 4}), b = argument({3, 4});
  Value both = tensor::ConcatOp::create(builder, loc(), 0, ValueRange{a, b});
  RowSpace space{3, 4};
  Access access = getResultAccess({3, 4}, space, Linearity::Full);
  access.indices[0].offset = 2;
  SmallVector<OperandAccess, 2> operands;
  std::string reason;
  ASSERT_TRUE(succeeded(
      pullAccess(both.getDefiningOp(), 0, access, space, operands, reason)));
  ASSERT_EQ(operands.size(), 1u);
  EXPECT_EQ(operands[0].operand, b);
  EXPECT_EQ(getLinearity(operands[0].access, {3, 4}, space), Linearity::Full);
}

TEST_F(RowProgramTest, ReductionNeedsTheLaneAndARowThatStays) {
  Value x = argument({6, 4});
  auto softmax = SoftmaxOp::create(builder, loc(), x);
  SmallVector<OperandAccess, 2> operands;
  std::string reason;
  RowSpace space{6, 4};
  Access access = getResultAccess({6, 4}, space, Linearity::Full);
  EXPECT_TRUE(
      succeeded(pullAccess(softmax, 0, access, space, operands, reason)));
  // Read where its result is, the row by the lane, is one access.
  EXPECT_EQ(operands.size(), 1u);
  EXPECT_TRUE(failed(pullAccess(softmax, 0, access, {3, 8}, operands, reason)));
  EXPECT_EQ(reason, "its rows are 4 wide, but the kernel's are 8");
  // Transposed: the row is a function of the lane.
  Access turned = getResultAccess({4, 6}, {6, 4}, Linearity::Full);
  std::swap(turned.indices[0], turned.indices[1]);
  EXPECT_TRUE(failed(pullAccess(softmax, 0, turned, space, operands, reason)));
  EXPECT_EQ(reason, "its row depends on the kernel's lane");
}

} // namespace
