//===- Layout.cpp - Conversions and transpositions of tiles ---------------===//

#include "runtime/kernels/tile/TileFunctions.h"
#include "runtime/kernels/tile/Vector.h"

namespace dit::runtime::DIT_INSTRUCTION_SET {

template <ElementType type>
static void widenAs(const void *from, float *to, int64_t count) {
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    storeUnaligned(to + i, load<type>(from, i));
  if (i != count)
    storeFirst<ElementType::F32>(to, i, count - i,
                                 loadFirst<type>(from, i, count - i));
}

void widen(ElementType type, const void *from, float *to, int64_t count) {
  if (type == ElementType::F32)
    widenAs<ElementType::F32>(from, to, count);
  else if (type == ElementType::BF16)
    widenAs<ElementType::BF16>(from, to, count);
  else
    widenAs<ElementType::F16>(from, to, count);
}

void widenPairs(const void *from, float *to, int64_t pairs, int64_t columns) {
  const char *bytes = static_cast<const char *>(from);
  for (int64_t pair = 0; pair != pairs; ++pair) {
    float *even = to + 2 * pair * columns, *odd = even + columns;
    for (int64_t i = 0; i < columns; i += lanes) {
      Unsigned both = loadUnaligned<Unsigned>(bytes + 4 * (pair * columns + i));
      storeUnaligned(even + i, both << 16);
      storeUnaligned(odd + i, both & 0xffff0000u);
    }
  }
}

template <ElementType type>
static void narrowAs(const float *from, void *to, int64_t count) {
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    store<type>(to, i, loadUnaligned<Float>(from + i));
  if (i != count)
    storeFirst<type>(to, i, count - i,
                     loadFirst<ElementType::F32>(from, i, count - i));
}

void narrow(const float *from, ElementType type, void *to, int64_t count) {
  if (type == ElementType::F32)
    narrowAs<ElementType::F32>(from, to, count);
  else if (type == ElementType::BF16)
    narrowAs<ElementType::BF16>(from, to, count);
  else
    narrowAs<ElementType::F16>(from, to, count);
}

/// A square at the edge: its missing rows are zero, its missing columns are
/// not stored.
static void transposeEdge(const char *from, int64_t fromStride, int64_t rows,
                          int64_t columns, char *to, int64_t toStride) {
  Float vectors[lanes];
  for (int i = 0; i != lanes; ++i) {
    const char *row = from + 4 * i * fromStride;
    vectors[i] = i >= rows ? Float{}
                 : columns == lanes
                     ? loadUnaligned<Float>(row)
                     : loadFirst<ElementType::F32>(row, 0, columns);
  }
  transposeSquare(vectors);
  for (int i = 0; i != lanes && i != columns; ++i) {
    char *column = to + 4 * i * toStride;
    if (rows == lanes)
      storeUnaligned(column, vectors[i]);
    else
      storeFirst<ElementType::F32>(column, 0, rows, vectors[i]);
  }
}

/// A whole square.
static void transposeWhole(const char *from, int64_t fromStride, char *to,
                           int64_t toStride) {
  Float vectors[lanes];
  for (int i = 0; i != lanes; ++i)
    vectors[i] = loadUnaligned<Float>(from + 4 * i * fromStride);
  transposeSquare(vectors);
  for (int i = 0; i != lanes; ++i)
    storeUnaligned(to + 4 * i * toStride, vectors[i]);
}

void transpose(const void *from, int64_t fromStride, int64_t rows,
               int64_t columns, void *to, int64_t toStride) {
  const char *source = static_cast<const char *>(from);
  char *target = static_cast<char *>(to);
  for (int64_t row = 0; row < rows; row += lanes)
    for (int64_t column = 0; column < columns; column += lanes) {
      const char *square = source + 4 * (row * fromStride + column);
      char *turned = target + 4 * (column * toStride + row);
      const int64_t rowsLeft = rows - row < lanes ? rows - row : lanes;
      const int64_t columnsLeft =
          columns - column < lanes ? columns - column : lanes;
      if (rowsLeft == lanes && columnsLeft == lanes)
        transposeWhole(square, fromStride, turned, toStride);
      else
        transposeEdge(square, fromStride, rowsLeft, columnsLeft, turned,
                      toStride);
    }
}

void interleave(const void *even, const void *odd, void *to, int64_t count) {
  const char *low = static_cast<const char *>(even);
  const char *high = static_cast<const char *>(odd);
  char *pairs = static_cast<char *>(to);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    Unsigned pair =
        __builtin_convertvector(loadUnaligned<Half>(low + 2 * i), Unsigned);
    if (high)
      pair |=
          __builtin_convertvector(loadUnaligned<Half>(high + 2 * i), Unsigned)
          << 16;
    storeUnaligned(pairs + 4 * i, pair);
  }
  for (; i != count; ++i) {
    uint16_t pair[2] = {0, 0};
    __builtin_memcpy(&pair[0], low + 2 * i, 2);
    if (high)
      __builtin_memcpy(&pair[1], high + 2 * i, 2);
    __builtin_memcpy(pairs + 4 * i, pair, 4);
  }
}

const TileOperations operations = {widen,      widenPairs, narrow,  transpose,
                                   interleave, epilogue,   softmax, scaleLanes};

} // namespace dit::runtime::DIT_INSTRUCTION_SET
