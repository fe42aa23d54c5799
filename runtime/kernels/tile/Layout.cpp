//===- Layout.cpp - Conversions and transpositions of tiles ---------------===//
//
// Transpositions go square by square, `lanes` x `lanes` 32-bit elements in
// registers. A 16-bit result is transposed as pairs of neighbouring rows.
//
//===----------------------------------------------------------------------===//

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

/// A vector of a row times its columns' factors.
DIT_INLINE Float scaledRow(const float *row, const float *factors) {
  return loadUnaligned<Float>(row) * loadUnaligned<Float>(factors);
}

/// One square: `rows` 32-bit elements of each of `columns` columns, at most
/// `lanes` of both; exactly that if `whole`.
template <ElementType type, bool whole>
DIT_INLINE void storeSquare(const float *from, int64_t fromStride, int64_t rows,
                            int64_t columns, const float *factors, char *to,
                            int64_t toStride) {
  constexpr int64_t step = type == ElementType::F32 ? 1 : 2;
  Float vectors[lanes];
#pragma clang loop unroll(full)
  for (int i = 0; i < lanes; ++i) {
    const float *row = from + i * step * fromStride;
    if (!whole && i >= rows)
      vectors[i] = Float{};
    else if constexpr (type == ElementType::F32)
      vectors[i] = scaledRow(row, factors);
    else
      vectors[i] = (Float)narrowPairs<type>(
          scaledRow(row, factors), scaledRow(row + fromStride, factors));
  }
  transposeSquare(vectors);
#pragma clang loop unroll(full)
  for (int i = 0; i < lanes; ++i) {
    if (!whole && i >= columns)
      break;
    char *target = to + i * toStride * bytesOf(type);
    if (whole || rows >= lanes)
      storeUnaligned(target, vectors[i]);
    else
      storeFirst<ElementType::F32>(target, 0, rows, vectors[i]);
  }
}

/// storeTransposed of at most `lanes` columns.
template <ElementType type>
static void storeTransposedColumns(const float *from, int64_t fromStride,
                                   int64_t rows, int64_t columns,
                                   const float *factors, char *to,
                                   int64_t toStride) {
  constexpr int64_t step = type == ElementType::F32 ? 1 : 2;
  for (int64_t row = 0; row + step <= rows; row += step * lanes) {
    const int64_t left = (rows - row) / step;
    const float *square = from + row * fromStride;
    char *turned = to + row * bytesOf(type);
    if (left >= lanes && columns >= lanes)
      storeSquare<type, true>(square, fromStride, lanes, lanes, factors, turned,
                              toStride);
    else
      storeSquare<type, false>(square, fromStride, left, columns, factors,
                               turned, toStride);
  }
  if (rows % step == 0)
    return;
  // The last of an odd number of rows.
  char last[2 * lanes];
  store<type>(last, 0, scaledRow(from + (rows - 1) * fromStride, factors));
  for (int i = 0; i != lanes && i != columns; ++i)
    __builtin_memcpy(to + (i * toStride + rows - 1) * 2, last + 2 * i, 2);
}

template <ElementType type>
static void storeTransposedAs(const float *from, int64_t fromStride,
                              int64_t rows, int64_t columns,
                              const float *factors, void *to,
                              int64_t toStride) {
  for (int64_t column = 0; column < columns; column += lanes)
    storeTransposedColumns<type>(
        from + column, fromStride, rows, columns - column, factors + column,
        static_cast<char *>(to) + column * toStride * bytesOf(type), toStride);
}

void storeTransposed(const float *from, int64_t fromStride, int64_t rows,
                     int64_t columns, const float *factors, ElementType type,
                     void *to, int64_t toStride) {
  if (type == ElementType::F32)
    storeTransposedAs<ElementType::F32>(from, fromStride, rows, columns,
                                        factors, to, toStride);
  else if (type == ElementType::BF16)
    storeTransposedAs<ElementType::BF16>(from, fromStride, rows, columns,
                                         factors, to, toStride);
  else
    storeTransposedAs<ElementType::F16>(from, fromStride, rows, columns,
                                        factors, to, toStride);
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

template <ElementType type>
static void storeRowsAs(const float *from, int64_t fromStride, int64_t rows,
                        int64_t columns, float factor, void *to,
                        int64_t toStride) {
  for (int64_t row = 0; row != rows; ++row) {
    const float *source = from + row * fromStride;
    int64_t i = 0;
    for (; i + lanes <= columns; i += lanes)
      store<type>(to, row * toStride + i,
                  loadUnaligned<Float>(source + i) * factor);
    if (i != columns)
      storeFirst<type>(to, row * toStride + i, columns - i,
                       loadFirst<ElementType::F32>(source, i, columns - i) *
                           factor);
  }
}

void storeRows(const float *from, int64_t fromStride, int64_t rows,
               int64_t columns, float factor, ElementType type, void *to,
               int64_t toStride) {
  if (type == ElementType::F32)
    storeRowsAs<ElementType::F32>(from, fromStride, rows, columns, factor, to,
                                  toStride);
  else if (type == ElementType::BF16)
    storeRowsAs<ElementType::BF16>(from, fromStride, rows, columns, factor, to,
                                   toStride);
  else
    storeRowsAs<ElementType::F16>(from, fromStride, rows, columns, factor, to,
                                  toStride);
}

const TileOperations operations = {
    widen,   widenPairs, transpose,   storeTransposed, interleave, epilogue,
    softmax, scaleLanes, softmaxGrad, rowDots,         storeRows};

} // namespace dit::runtime::DIT_INSTRUCTION_SET
