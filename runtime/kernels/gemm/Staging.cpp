//===- Staging.cpp - What a GEMM copies before it multiplies --------------===//
//
// Rows of A and panels of B that the microkernel cannot read where they are:
// transposed, not packed, or of a type it does not multiply. 16-bit elements
// are brought to 32 bits (widened, or as pairs of k) in a small buffer before
// they are transposed, 16 of k at a time.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/gemm/Staging.h"

#include <algorithm>

using namespace dit::runtime;
using dit::plan::elementBytes;
using dit::plan::ElementType;

static int64_t roundUp(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

/// Brings a tile's rows of A to [rows][stagedStride] of the type that is
/// computed with.
const char *GemmKernel::stageRows(const Tile &tile, const char *a,
                                  Staging &stage) const {
  const int64_t bytes = elementBytes(shape.aType);
  a += tile.batch * shape.strideA * bytes;
  if (rowsInPlace)
    return a + tile.row * (rowsTransposed ? 1 : shape.lda) * bytes;
  const int64_t rowTile = tile.row / tileRows;
  const int64_t group = rowTile / groupTiles, inGroup = rowTile % groupTiles;
  char *const staged =
      stage.rows + inGroup * tileRows * stagedStride * (pairs ? 2 : 4);
  if (stage.rowsBatch != tile.batch || stage.rowsGroup != group)
    std::fill(stage.hasTile.begin(), stage.hasTile.end(), false);
  stage.rowsBatch = tile.batch;
  stage.rowsGroup = group;
  if (stage.hasTile[inGroup])
    return staged;
  stage.hasTile[inGroup] = true;

  float *rows = reinterpret_cast<float *>(staged);
  if (!shape.transposeA) {
    for (int64_t row = 0; row != tile.rows; ++row) {
      const char *from = a + (tile.row + row) * shape.lda * bytes;
      if (pairs)
        std::copy_n(from, shape.k * bytes, staged + row * stagedStride * bytes);
      else
        operations->widen(shape.aType, from, rows + row * stagedStride,
                          shape.k);
    }
    return staged;
  }
  a += tile.row * bytes;
  // 16 rows of k at a time (of pairs of k), as 32-bit elements.
  const int64_t step = pairs ? 32 : 16;
  for (int64_t k = 0; k < shape.k; k += step) {
    int64_t count = std::min(step, shape.k - k);
    for (int64_t i = 0; i < count; i += pairs ? 2 : 1) {
      const char *from = a + (k + i) * shape.lda * bytes;
      char *to = stage.buffer + (pairs ? i / 2 : i) * tile.rows * 4;
      if (pairs)
        operations->interleave(from, from + shape.lda * bytes, to, tile.rows);
      else
        operations->widen(shape.aType, from, reinterpret_cast<float *>(to),
                          tile.rows);
    }
    // Two bf16 are one element of the transposition.
    operations->transpose(stage.buffer, tile.rows, pairs ? count / 2 : count,
                          tile.rows, staged + k * (pairs ? 2 : 4),
                          pairs ? stagedStride / 2 : stagedStride);
  }
  return staged;
}

/// Brings a tile's columns of B to a panel [K][columns], or [K / 2][columns][2]
/// for bf16 dot products.
const char *GemmKernel::stagePanel(const Tile &tile, const char *b,
                                   Staging &stage) const {
  const int64_t bytes = elementBytes(shape.bType);
  const int64_t evenK = roundUp(shape.k, 2);
  b += tile.batch * shape.strideB * bytes;
  if (shape.packed.isPacked())
    b += tile.column * roundUp(shape.k, shape.packed.vnni) * bytes;
  if (panelInPlace)
    return b;
  if (stage.panelBatch == tile.batch && stage.panelColumn == tile.column)
    return stage.panel;
  stage.panelBatch = tile.batch;
  stage.panelColumn = tile.column;

  float *panel = reinterpret_cast<float *>(stage.panel);
  if (shape.packed.isPacked()) {
    if (shape.packed.vnni == 2)
      operations->widenPairs(b, panel, evenK / 2, panelColumns);
    else
      operations->widen(shape.bType, b, panel, shape.k * panelColumns);
    return stage.panel;
  }
  // Columns past N must not hold NaN bits that slow the sums down.
  if (tile.columns != panelColumns)
    std::fill_n(stage.panel, panelColumns * evenK * (pairs ? 2 : 4), 0);
  if (!shape.transposeB) {
    b += tile.column * bytes;
    for (int64_t k = 0; k < shape.k; k += pairs ? 2 : 1) {
      const char *from = b + k * shape.ldb * bytes;
      if (pairs)
        operations->interleave(from, from + shape.ldb * bytes,
                               panel + k / 2 * panelColumns, tile.columns);
      else
        operations->widen(shape.bType, from, panel + k * panelColumns,
                          tile.columns);
    }
    return stage.panel;
  }
  b += tile.column * shape.ldb * bytes;
  if (shape.bType == ElementType::F32) {
    operations->transpose(b, shape.ldb, tile.columns, shape.k, panel,
                          panelColumns);
    return stage.panel;
  }
  // 16 (pairs of) k at a time; the rows of a 16-bit B need not be aligned to
  // pairs, so they are copied.
  const int64_t step = pairs ? 32 : 16;
  for (int64_t k = 0; k < shape.k; k += step) {
    int64_t count = std::min(step, shape.k - k);
    for (int64_t column = 0; column != tile.columns; ++column) {
      const char *from = b + (column * shape.ldb + k) * bytes;
      char *to = stage.buffer + column * 64;
      if (pairs)
        std::copy_n(from, count * bytes, to);
      else
        operations->widen(shape.bType, from, reinterpret_cast<float *>(to),
                          count);
    }
    operations->transpose(
        stage.buffer, 16, tile.columns, pairs ? count / 2 : count,
        panel + (pairs ? k / 2 : k) * panelColumns, panelColumns);
  }
  return stage.panel;
}
