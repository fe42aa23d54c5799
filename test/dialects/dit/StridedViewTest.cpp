//===- StridedViewTest.cpp - Views are where the strides say --------------===//
//
// Random chains of reshapes, slices and transposes; where each element comes
// from is worked out index by index and compared with the strides.
//
//===----------------------------------------------------------------------===//
#include "dialects/dit/StridedView.h"

#include "dialects/dit/Builders.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "gtest/gtest.h"
#include <numeric>
#include <random>

using namespace mlir;
using namespace dit;

/// For each element of a value, in row-major order, the element of its base.
using Origin = std::vector<int64_t>;

/// Splits a row-major index.
static SmallVector<int64_t> unravel(int64_t index, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> result(shape.size());
  for (size_t dim = shape.size(); dim-- > 0; index /= shape[dim])
    result[dim] = index % shape[dim];
  return result;
}

static int64_t ravel(ArrayRef<int64_t> index, ArrayRef<int64_t> shape) {
  int64_t result = 0;
  for (auto [i, size] : llvm::zip(index, shape))
    result = result * size + i;
  return result;
}

namespace {
/// A value that grows by random views.
struct Chain {
  OpBuilder &builder;
  std::mt19937 &random;
  Value value;
  Origin origin;

  ArrayRef<int64_t> shape() { return getTensorType(value).getShape(); }

  void transpose() {
    SmallVector<int64_t> permutation(shape().size());
    std::iota(permutation.begin(), permutation.end(), 0);
    std::shuffle(permutation.begin(), permutation.end(), random);
    SmallVector<int64_t> before(shape());
    value = TransposeOp::create(builder, value.getLoc(), value, permutation);
    Origin moved(origin.size());
    for (size_t i = 0; i < moved.size(); ++i) {
      SmallVector<int64_t> index = unravel(i, shape()), source(index.size());
      for (size_t dim = 0; dim < index.size(); ++dim)
        source[permutation[dim]] = index[dim];
      moved[i] = origin[ravel(source, before)];
    }
    origin = moved;
  }

  void slice() {
    SmallVector<int64_t> before(shape());
    int64_t dim = random() % before.size();
    int64_t size = 1 + random() % before[dim];
    int64_t offset = random() % (before[dim] - size + 1);
    value = createSlice(builder, value.getLoc(), value, dim, offset, size);
    Origin kept;
    for (size_t i = 0; i < origin.size(); ++i) {
      int64_t at = unravel(i, before)[dim];
      if (at >= offset && at < offset + size)
        kept.push_back(origin[i]);
    }
    origin = kept;
  }

  /// Merges two neighbours, or splits one dimension.
  void reshape() {
    SmallVector<int64_t> after(shape());
    size_t dim = random() % after.size();
    if (random() % 2 && dim + 1 < after.size()) {
      after[dim] *= after[dim + 1];
      after.erase(after.begin() + dim + 1);
    } else if (after[dim] % 2 == 0) {
      after[dim] /= 2;
      after.insert(after.begin() + dim, 2);
    } else {
      after.insert(after.begin() + dim, 1);
    }
    value = createReshape(builder, value.getLoc(), value, after);
  }
};
} // namespace

TEST(StridedView, RandomChains) {
  MLIRContext context;
  context.loadDialect<DitDialect, arith::ArithDialect, tensor::TensorDialect>();
  std::mt19937 random(3);
  int strided = 0, contiguous = 0, whole = 0, none = 0;
  for (int round = 0; round < 2000; ++round) {
    OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
    OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
    auto type = RankedTensorType::get({4, 6, 8}, builder.getF32Type());
    Value base = createSplat(builder, module->getLoc(), type, 0);
    Chain chain{builder, random, base, Origin(4 * 6 * 8)};
    std::iota(chain.origin.begin(), chain.origin.end(), 0);
    for (int step = random() % 6; step >= 0; --step)
      switch (random() % 3) {
      case 0:
        chain.transpose();
        break;
      case 1:
        chain.slice();
        break;
      default:
        chain.reshape();
      }

    std::optional<StridedView> view = getStridedView(chain.value);
    if (!view) {
      ++none;
      continue;
    }
    ++strided;
    EXPECT_EQ(view->base, base);
    ASSERT_EQ(ArrayRef(view->sizes), chain.shape());
    for (size_t i = 0; i < chain.origin.size(); ++i) {
      int64_t at = view->offset;
      for (auto [index, stride] :
           llvm::zip(unravel(i, chain.shape()), view->strides))
        at += index * stride;
      ASSERT_EQ(at, chain.origin[i]) << "element " << i;
    }
    bool follows = true;
    for (size_t i = 1; i < chain.origin.size(); ++i)
      follows &= chain.origin[i] == chain.origin[i - 1] + 1;
    EXPECT_EQ(view->isContiguous(), follows);
    EXPECT_EQ(view->isWhole(), follows && chain.origin.size() == 4 * 6 * 8);
    contiguous += view->isContiguous();
    whole += view->isWhole();
  }
  // The chains are not all of one kind.
  EXPECT_GT(strided, 500);
  EXPECT_GT(contiguous, 100);
  EXPECT_GT(whole, 50);
  EXPECT_GT(none, 50);
}
