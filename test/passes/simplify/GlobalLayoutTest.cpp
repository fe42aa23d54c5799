//===- GlobalLayoutTest.cpp - Pieces against a loop over elements ---------===//
//
// A global filled by its pieces and then viewed must be the global that the
// moved pieces fill.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/GlobalLayout.h"

#include "mlir/IR/Builders.h"
#include "gtest/gtest.h"

#include <numeric>

using namespace mlir;
using namespace dit;

namespace {

using Numbers = std::vector<int64_t>;

/// Row-major strides.
SmallVector<int64_t> stridesOf(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t dim = shape.size(); dim-- > 1;)
    strides[dim - 1] = strides[dim] * shape[dim];
  return strides;
}

/// Adds a piece whose file holds first, first + 1, … to `global`.
void place(PieceAttr piece, int64_t first, Numbers &global) {
  ArrayRef<int64_t> view = piece.getView().asArrayRef(),
                    permutation = piece.getPermutation().asArrayRef(),
                    target = piece.getTarget().asArrayRef(),
                    offset = piece.getOffset().asArrayRef();
  SmallVector<int64_t> from = stridesOf(view), to = stridesOf(target);
  for (int64_t n = 0; n < piece.getFile().getNumElements(); ++n) {
    int64_t flat = 0;
    for (size_t dim = 0; dim < target.size(); ++dim) {
      int64_t source = permutation[dim];
      int64_t index = n / from[source] % view[source];
      flat += (index + offset[dim]) * to[dim];
    }
    ASSERT_EQ(global[flat], -1) << "placed twice";
    global[flat] = first + n;
  }
}

Numbers fillGlobal(ArrayRef<PieceAttr> pieces, int64_t count) {
  Numbers global(count, -1);
  int64_t first = 0;
  for (PieceAttr piece : pieces) {
    place(piece, first, global);
    first += piece.getFile().getNumElements();
  }
  return global;
}

class GlobalLayoutTest : public testing::Test {
protected:
  GlobalLayoutTest() { context.loadDialect<DitDialect>(); }

  PieceAttr piece(ArrayRef<int64_t> view, ArrayRef<int64_t> permutation,
                  ArrayRef<int64_t> target, ArrayRef<int64_t> offset) {
    Builder builder(&context);
    return PieceAttr::get(
        &context, "w", RankedTensorType::get(view, builder.getF32Type()),
        builder.getDenseI64ArrayAttr(view),
        builder.getDenseI64ArrayAttr(permutation),
        builder.getDenseI64ArrayAttr(target),
        builder.getDenseI64ArrayAttr(offset), builder.getUnitAttr());
  }

  MLIRContext context;
};

/// The permuted global, by a loop.
Numbers permuteGlobal(const Numbers &global, ArrayRef<int64_t> shape,
                      ArrayRef<int64_t> permutation) {
  SmallVector<int64_t> result;
  for (int64_t dim : permutation)
    result.push_back(shape[dim]);
  SmallVector<int64_t> from = stridesOf(shape), to = stridesOf(result);
  Numbers moved;
  for (size_t n = 0; n < global.size(); ++n) {
    int64_t flat = 0;
    for (size_t dim = 0; dim < result.size(); ++dim)
      flat += static_cast<int64_t>(n) / to[dim] % result[dim] *
              from[permutation[dim]];
    moved.push_back(global[flat]);
  }
  return moved;
}

TEST_F(GlobalLayoutTest, TransposesPieces) {
  struct Case {
    SmallVector<int64_t> shape, permutation;
    SmallVector<PieceAttr> pieces;
  };
  const Case cases[] = {
      {{6, 4}, {1, 0}, {piece({6, 4}, {0, 1}, {6, 4}, {0, 0})}},
      // The file's tensor is [in, out] already.
      {{6, 4}, {1, 0}, {piece({4, 6}, {1, 0}, {6, 4}, {0, 0})}},
      // Two pieces, one under the other.
      {{6, 4},
       {1, 0},
       {piece({2, 4}, {0, 1}, {6, 4}, {0, 0}),
        piece({4, 4}, {0, 1}, {6, 4}, {2, 0})}},
      // [q, k, v][head][d] rows to [head][q, k, v][d].
      {{3, 2, 4, 5}, {1, 0, 2, 3}, {piece({24, 5}, {0, 1}, {24, 5}, {0, 0})}},
      // The same where q, k, v are pieces, of which one is transposed.
      {{3, 2, 4, 5},
       {1, 0, 2, 3},
       {piece({8, 5}, {0, 1}, {24, 5}, {0, 0}),
        piece({5, 8}, {1, 0}, {24, 5}, {8, 0}),
        piece({8, 5}, {0, 1}, {24, 5}, {16, 0})}},
      // A piece that lies inside one index of a dimension.
      {{4, 6},
       {1, 0},
       {piece({6}, {0}, {24}, {0}), piece({12}, {0}, {24}, {6}),
        piece({6}, {0}, {24}, {18})}},
      {{1, 6, 1, 4}, {3, 2, 1, 0}, {piece({6, 4}, {0, 1}, {6, 4}, {0, 0})}},
  };
  for (const Case &test : cases) {
    int64_t count = std::accumulate(test.shape.begin(), test.shape.end(),
                                    int64_t(1), std::multiplies<>());
    SmallVector<PieceAttr> moved;
    for (PieceAttr each : test.pieces) {
      auto result = transposePiece(each, test.shape, test.permutation);
      ASSERT_TRUE(result.has_value());
      moved.push_back(*result);
    }
    EXPECT_EQ(fillGlobal(moved, count),
              permuteGlobal(fillGlobal(test.pieces, count), test.shape,
                            test.permutation));
  }
}

TEST_F(GlobalLayoutTest, RefusesWhatIsNoBox) {
  // 5 elements that end inside a row of 4.
  EXPECT_FALSE(transposePiece(piece({5}, {0}, {12}, {0}), {3, 4}, {1, 0}));
  // Sizes that have no common refinement.
  EXPECT_FALSE(
      transposePiece(piece({4, 3}, {0, 1}, {4, 3}, {0, 0}), {3, 4}, {1, 0}));
}

TEST_F(GlobalLayoutTest, InterleavesPieces) {
  // Three [2 heads · 4, 5] weights as [2, 3, 4, 5].
  SmallVector<PieceAttr> parts{piece({8, 5}, {0, 1}, {8, 5}, {0, 0}),
                               piece({5, 8}, {1, 0}, {8, 5}, {0, 0}),
                               piece({8, 5}, {0, 1}, {8, 5}, {0, 0})};
  SmallVector<PieceAttr> moved;
  for (auto [index, part] : llvm::enumerate(parts)) {
    auto result = interleavePiece(part, {2, 4, 5}, index, 3);
    ASSERT_TRUE(result.has_value());
    moved.push_back(*result);
  }
  Numbers global = fillGlobal(moved, 120);
  for (int64_t head = 0; head < 2; ++head)
    for (int64_t index = 0; index < 3; ++index) {
      Numbers part = fillGlobal({parts[index]}, 40);
      for (int64_t n = 0; n < 20; ++n)
        EXPECT_EQ(global[(head * 3 + index) * 20 + n],
                  part[head * 20 + n] + index * 40);
    }
}

TEST_F(GlobalLayoutTest, JoinsPieces) {
  // [2, 3] above [4, 3], of which the second is transposed in its file.
  PieceAttr upper = piece({2, 3}, {0, 1}, {2, 3}, {0, 0}),
            lower = piece({3, 4}, {1, 0}, {4, 3}, {0, 0});
  auto first = joinPiece(upper, {2, 3}, 0, 0, 6),
       second = joinPiece(lower, {4, 3}, 0, 2, 6);
  ASSERT_TRUE(first && second);
  Numbers expected = fillGlobal({upper}, 6), below = fillGlobal({lower}, 12);
  for (int64_t number : below)
    expected.push_back(number + 6);
  EXPECT_EQ(fillGlobal({*first, *second}, 18), expected);
  // A dimension that lies in two parts cannot be made longer.
  EXPECT_FALSE(joinPiece(piece({2, 2}, {1, 0}, {2, 2}, {0, 0}), {4}, 0, 0, 8));
}

} // namespace
