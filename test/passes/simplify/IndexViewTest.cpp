//===- IndexViewTest.cpp - Composed views against a loop over elements ----===//
//
// Random chains of views of a small tensor: the composed IndexView, and the
// chain that is planned for it, must give the elements that applying the ops
// one after the other to an array gives.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/IndexView.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "gtest/gtest.h"

#include <random>

using namespace mlir;
using namespace dit;

namespace {

/// Numbers in row-major order: what a tensor holds.
struct Array {
  SmallVector<int64_t> shape;
  std::vector<int64_t> elements;
};

/// Calls `body` with every index of `shape`, in row-major order.
void forEachIndex(ArrayRef<int64_t> shape,
                  llvm::function_ref<void(ArrayRef<int64_t>)> body) {
  SmallVector<int64_t> index(shape.size(), 0);
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  for (int64_t n = 0; n < count; ++n) {
    body(index);
    for (size_t dim = shape.size(); dim-- > 0;) {
      if (++index[dim] < shape[dim])
        break;
      index[dim] = 0;
    }
  }
}

int64_t at(const Array &array, ArrayRef<int64_t> index) {
  int64_t flat = 0;
  for (auto [size, i] : llvm::zip_equal(array.shape, index))
    flat = flat * size + i;
  return array.elements[flat];
}

/// What `op` makes of `input`, element by element.
Array evaluate(Operation *op, const Array &input) {
  Array result;
  llvm::append_range(result.shape, getTensorType(op->getResult(0)).getShape());
  forEachIndex(result.shape, [&](ArrayRef<int64_t> index) {
    SmallVector<int64_t> from(input.shape.size(), 0);
    if (auto transpose = dyn_cast<TransposeOp>(op)) {
      for (auto [dim, source] : llvm::enumerate(transpose.getPermutation()))
        from[source] = index[dim];
    } else if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
      for (auto [dim, to] : llvm::enumerate(broadcast.getDims()))
        from[dim] = index[to];
    } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      for (size_t dim = 0; dim < index.size(); ++dim)
        from[dim] = slice.getStaticOffsets()[dim] +
                    index[dim] * slice.getStaticStrides()[dim];
    } else {
      result.elements.push_back(input.elements[result.elements.size()]);
      return;
    }
    result.elements.push_back(at(input, from));
  });
  return result;
}

/// The elements that the view says.
std::vector<int64_t> evaluate(const IndexView &view, const Array &base) {
  std::vector<int64_t> elements;
  forEachIndex(view.getShape(), [&](ArrayRef<int64_t> index) {
    int64_t flat = view.offset;
    for (auto [dim, i] : llvm::zip_equal(view.dims, index)) {
      int64_t rest = i;
      for (Factor factor : llvm::reverse(dim)) {
        flat += rest % factor.size * factor.stride;
        rest /= factor.size;
      }
    }
    elements.push_back(base.elements[flat]);
  });
  return elements;
}

class IndexViewTest : public testing::Test {
protected:
  IndexViewTest() : builder(&context), random(7) {
    context
        .loadDialect<DitDialect, arith::ArithDialect, tensor::TensorDialect>();
    module = ModuleOp::create(builder.getUnknownLoc());
    builder.setInsertionPointToEnd(module->getBody());
  }

  int64_t draw(int64_t below) {
    return std::uniform_int_distribution<int64_t>(0, below - 1)(random);
  }

  /// One more view of `value`, at random.
  Value addView(Value value) {
    Location loc = builder.getUnknownLoc();
    SmallVector<int64_t> shape(getTensorType(value).getShape());
    auto rank = static_cast<int64_t>(shape.size());
    switch (draw(5)) {
    case 0: { // Merges two dimensions.
      if (rank < 2)
        return value;
      int64_t dim = draw(rank - 1);
      shape[dim] *= shape[dim + 1];
      shape.erase(shape.begin() + dim + 1);
      return createReshape(builder, loc, value, shape);
    }
    case 1: { // Splits one.
      int64_t dim = draw(rank);
      for (int64_t part : {4, 3, 2, 1})
        if (shape[dim] % part == 0 && rank < 6) {
          shape[dim] /= part;
          shape.insert(shape.begin() + dim + draw(2), part);
          return createReshape(builder, loc, value, shape);
        }
      return value;
    }
    case 2: {
      SmallVector<int64_t> order;
      for (int64_t dim = 0; dim < rank; ++dim)
        order.push_back(dim);
      llvm::shuffle(order.begin(), order.end(), random);
      return TransposeOp::create(builder, loc, value, order);
    }
    case 3: {
      SmallVector<OpFoldResult> offsets, sizes, strides;
      for (int64_t size : shape) {
        int64_t step = draw(4) ? 1 : 2,
                length = 1 + draw((size - 1) / step + 1);
        if (draw(2)) {
          step = 1;
          length = size;
        }
        offsets.push_back(
            builder.getIndexAttr(draw(size - (length - 1) * step)));
        sizes.push_back(builder.getIndexAttr(length));
        strides.push_back(builder.getIndexAttr(step));
      }
      return tensor::ExtractSliceOp::create(builder, loc, value, offsets, sizes,
                                            strides);
    }
    default: {
      if (rank > 5 || getTensorType(value).getNumElements() > 2000)
        return value;
      SmallVector<int64_t> dims;
      int64_t at = draw(rank + 1);
      for (int64_t dim = 0; dim < rank; ++dim)
        dims.push_back(dim + (dim >= at));
      shape.insert(shape.begin() + at, 1 + draw(3));
      return createBroadcast(builder, loc, value, shape, dims);
    }
    }
  }

  MLIRContext context;
  OpBuilder builder;
  std::mt19937 random;
  OwningOpRef<ModuleOp> module;
};

TEST_F(IndexViewTest, RandomChainsKeepTheirElements) {
  const SmallVector<int64_t> shapes[] = {
      {2, 3, 12}, {24}, {1, 4, 6}, {4, 1, 6, 2}, {5, 7}};
  unsigned planned = 0, whole = 0;
  for (int round = 0; round < 2000; ++round) {
    Array base;
    base.shape = shapes[draw(std::size(shapes))];
    int64_t count = 0;
    forEachIndex(base.shape,
                 [&](ArrayRef<int64_t>) { base.elements.push_back(count++); });
    auto type = RankedTensorType::get(base.shape, builder.getF32Type());
    Value start = createSplat(builder, builder.getUnknownLoc(), type, 0);
    Value value = start;
    for (int64_t steps = 1 + draw(6); steps > 0; --steps)
      value = addView(value);

    SmallVector<Operation *> chain;
    for (Value at = value; at != start; at = at.getDefiningOp()->getOperand(0))
      chain.push_back(at.getDefiningOp());
    Array expected = base, baseOfView = base;
    IndexView view = traceView(value);
    for (Operation *op : llvm::reverse(chain)) {
      expected = evaluate(op, expected);
      if (op->getResult(0) == view.base)
        baseOfView = expected;
    }
    whole += view.base == start;
    ASSERT_EQ(view.getShape(), expected.shape);
    ASSERT_EQ(evaluate(view, baseOfView), expected.elements) << round;

    auto plan = planView(view);
    if (!plan)
      continue;
    ++planned;
    Value rewritten =
        createChain(builder, builder.getUnknownLoc(), view.base, *plan);
    SmallVector<Operation *> ops;
    for (Value at = rewritten; at != view.base;
         at = at.getDefiningOp()->getOperand(0))
      ops.push_back(at.getDefiningOp());
    ASSERT_EQ(ops.size(), plan->size()) << "a step is not one op";
    Array actual = baseOfView;
    for (Operation *op : llvm::reverse(ops))
      actual = evaluate(op, actual);
    ASSERT_EQ(actual.shape, expected.shape);
    ASSERT_EQ(actual.elements, expected.elements) << round;
    // The planned chain is planned as itself: the rewrite ends.
    ASSERT_EQ(readChain(rewritten, view.base), *plan);
    auto again = planView(traceView(rewritten));
    ASSERT_TRUE(again && *again == *plan) << round;
  }
  // Most chains are one view, and most views have a plan.
  EXPECT_GT(whole, 1500u);
  EXPECT_GT(planned, 1500u);
}

} // namespace
