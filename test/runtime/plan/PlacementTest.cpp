//===- PlacementTest.cpp - Pieces against an index by index loop ----------===//

#include "runtime/plan/Placement.h"
#include "runtime/plan/ElementType.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Packing.h"
#include "test/runtime/HandPlan.h"

#include <cstring>
#include <gtest/gtest.h>
#include <numeric>

using namespace dit;
using namespace dit::plan;

static llvm::MutableArrayRef<uint8_t> bytesOf(std::vector<float> &values) {
  return {reinterpret_cast<uint8_t *>(values.data()), values.size() * 4};
}

static proto::Global makeGlobal(llvm::ArrayRef<int64_t> shape) {
  proto::Global global;
  global.set_name("g");
  global.mutable_type()->set_type(proto::F32);
  global.mutable_type()->mutable_shape()->Add(shape.begin(), shape.end());
  global.set_bytes(4 * std::accumulate(shape.begin(), shape.end(), int64_t(1),
                                       std::multiplies<>()));
  return global;
}

/// q, k and v of a [3 * 2 * 4, 5] weight, rows [q k v][head][d] in the file,
/// [head][q k v][d] in the global.
TEST(PlacementTest, QkvRowsAreInterleavedByHead) {
  constexpr int heads = 2, dim = 4, in = 5, rows = 3 * heads * dim;
  proto::Global global = makeGlobal({rows, in});
  proto::Piece &piece = *global.add_pieces();
  piece.mutable_file()->set_type(proto::F32);
  for (int64_t size : {rows, in})
    piece.mutable_file()->add_shape(size);
  for (int64_t size : {3, heads, dim, in})
    piece.add_view(size);
  for (int64_t d : {1, 0, 2, 3})
    piece.add_permutation(d);
  for (int64_t size : {heads, 3, dim, in})
    piece.add_target_view(size);
  for (int i = 0; i != 4; ++i)
    piece.add_target_offset(0);
  std::vector<float> file(rows * in), tensor(rows * in), back(rows * in);
  std::iota(file.begin(), file.end(), 0);
  ASSERT_FALSE(placePiece(piece, global, bytesOf(file), bytesOf(tensor)));
  for (int part = 0; part != 3; ++part)
    for (int head = 0; head != heads; ++head)
      for (int d = 0; d != dim; ++d)
        for (int i = 0; i != in; ++i)
          EXPECT_EQ(tensor[((head * 3 + part) * dim + d) * in + i],
                    file[((part * heads + head) * dim + d) * in + i]);
  ASSERT_FALSE(extractPiece(piece, global, bytesOf(tensor), bytesOf(back)));
  EXPECT_EQ(back, file);
}

/// Three pieces side by side, one transposed: every element has its place.
TEST(PlacementTest, PiecesFillTheirPartAndNothingElse) {
  proto::Global global = makeGlobal({6, 4});
  auto add = [&](int64_t offset, bool transposed) {
    proto::Piece &piece = *global.add_pieces();
    piece.mutable_file()->set_type(proto::F32);
    for (int64_t size :
         transposed ? std::vector<int64_t>{4, 2} : std::vector<int64_t>{2, 4}) {
      piece.mutable_file()->add_shape(size);
      piece.add_view(size);
    }
    piece.add_permutation(transposed ? 1 : 0);
    piece.add_permutation(transposed ? 0 : 1);
    piece.add_target_view(6);
    piece.add_target_view(4);
    piece.add_target_offset(offset);
    piece.add_target_offset(0);
  };
  add(4, false);
  add(0, true);
  std::vector<float> values = {0, 1, 2, 3, 4, 5, 6, 7};
  auto stored = assembleGlobal(
      global,
      [&](const proto::Piece &) -> llvm::Expected<llvm::ArrayRef<uint8_t>> {
        return bytesOf(values);
      });
  ASSERT_TRUE(bool(stored));
  std::vector<float> tensor(24);
  std::memcpy(tensor.data(), stored->data(), stored->size());
  std::vector<float> expected = {0, 2, 4, 6, 1, 3, 5, 7, 0, 0, 0, 0,
                                 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(tensor, expected);
}

TEST(PlacementTest, ScalarsAndEmptyTensors) {
  proto::Global scalar = makeGlobal({});
  test::setIdentityPiece(*scalar.add_pieces(), "s", {});
  std::vector<float> one = {7}, out = {0};
  ASSERT_FALSE(
      placePiece(scalar.pieces(0), scalar, bytesOf(one), bytesOf(out)));
  EXPECT_EQ(out[0], 7);
  proto::Global empty = makeGlobal({0, 3});
  test::setIdentityPiece(*empty.add_pieces(), "e", {0, 3});
  std::vector<float> none;
  EXPECT_FALSE(
      placePiece(empty.pieces(0), empty, bytesOf(none), bytesOf(none)));
}

TEST(PlacementTest, FloatsAreConvertedIntegersAreNot) {
  proto::Global global = makeGlobal({3});
  global.mutable_type()->set_type(proto::BF16);
  test::setIdentityPiece(*global.add_pieces(), "w", {3});
  std::vector<float> values = {1.0f, 1.00390625f, -3.0e38f};
  std::vector<uint8_t> tensor(6);
  ASSERT_FALSE(placePiece(global.pieces(0), global, bytesOf(values), tensor));
  uint16_t halves[3];
  std::memcpy(halves, tensor.data(), 6);
  EXPECT_EQ(halves[0], 0x3f80);
  EXPECT_EQ(halves[1], 0x3f80); // a tie goes to even
  global.mutable_type()->set_type(proto::I32);
  llvm::Error error =
      placePiece(global.pieces(0), global, bytesOf(values), tensor);
  EXPECT_EQ(describe(std::move(error)).first, Exit::Unsupported);
  EXPECT_EQ(
      describe(extractPiece(global.pieces(0), global, tensor, bytesOf(values)))
          .first,
      Exit::Unsupported);
}

TEST(PlacementTest, WrongSizesAreErrors) {
  proto::Global global = makeGlobal({3});
  test::setIdentityPiece(*global.add_pieces(), "w", {3});
  std::vector<float> two(2), three(3);
  llvm::Error error =
      placePiece(global.pieces(0), global, bytesOf(two), bytesOf(three));
  EXPECT_EQ(describe(std::move(error)).first, Exit::Internal);
  auto stored = assembleGlobal(
      global,
      [&](const proto::Piece &) -> llvm::Expected<llvm::ArrayRef<uint8_t>> {
        return failure(Exit::Missing, "no such tensor");
      });
  EXPECT_EQ(describe(stored.takeError()).first, Exit::Missing);
}

TEST(PlacementTest, PackedTensorsComeBack) {
  proto::Global global = makeGlobal({5, 6});
  global.mutable_packed()->set_columns(32);
  global.mutable_packed()->set_vnni(1);
  global.set_bytes(32 * 6 * 4);
  std::vector<float> values(30);
  std::iota(values.begin(), values.end(), 1);
  std::vector<uint8_t> tensor = bytesOf(values).vec();
  std::vector<uint8_t> stored(global.bytes(), 0xff);
  storeTensor(global, tensor, stored);
  EXPECT_EQ(stored.back(), 0); // columns 5 .. 31 are padding
  // [panel][k][column]: element (n, k) is at 32 k + n.
  float element;
  std::memcpy(&element, &stored[(32 * 4 + 3) * 4], 4);
  EXPECT_EQ(element, values[3 * 6 + 4]);
  EXPECT_EQ(loadTensor(global, stored), tensor);
}
