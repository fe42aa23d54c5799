//===- HeadTilesSm90.h - Rows of a head in shared memory ------------------===//
//
// What the attention kernels of sm_90a have in common: tiles of 64 rows of one
// head, and products of them. Compiled by clang for a HEAD_DIM at a time.
//
// A row is stored in two boxes: its first 64 columns, with the 128-byte
// swizzle, and the rest in a box as wide as it has to be, 16, 32 or 64 columns.
// What a box has past the head's last column, and rows past the last token, the
// copy engine fills with zeros, so that products may run over whole multiples
// of 16 columns.
//
//===----------------------------------------------------------------------===//

#ifndef HEAD_DIM
#error "HEAD_DIM is 48 to 128, a multiple of 8"
#endif

#include "runtime/kernels/attention/HopperSm90.h"
#include "runtime/kernels/attention/WgmmaSm90.h"

/// The two boxes of an operand; `rest` is not read where there is one box.
struct OperandMaps {
  TensorMap first, rest;
};

static constexpr int headDim = HEAD_DIM;
static constexpr int tileRows = 64;

/// Columns of a row that are multiplied: in the first box, and in the rest.
static constexpr int firstColumns = headDim < 64 ? headDim : 64;
static constexpr int restColumns = (headDim - firstColumns + 15) / 16 * 16;
/// Bytes of a row in each box.
static constexpr int firstRow = 128;
static constexpr int restRow = restColumns == 0    ? 0
                               : restColumns <= 16 ? 32
                               : restColumns <= 32 ? 64
                                                   : 128;
static constexpr int restOffset = tileRows * firstRow;
static constexpr int tileBytes = tileRows * (firstRow + restRow);

/// A tile in shared memory whose rows have `rowBytes` and are swizzled over as
/// many: 8 rows are a group.
template <int rowBytes>
DEVICE uint64_t describeTile(uint32_t address) {
  constexpr uint64_t swizzle = rowBytes == 128 ? 1 : rowBytes == 64 ? 2 : 3;
  constexpr uint64_t groupStride = 8 * rowBytes;
  return uint64_t((address & 0x3FFFF) >> 4) | (groupStride >> 4) << 32 |
         swizzle << 62;
}

/// What a description grows by when its tile begins `bytes` later.
DEVICE constexpr uint64_t later(int bytes) { return bytes >> 4; }

DEVICE void copyTile(uint32_t target, const OperandMaps &maps, int token,
                     int head, int batch, uint32_t barrier) {
  copyBox(target, maps.first, 0, token, head, batch, barrier);
  if (restColumns)
    copyBox(target + restOffset, maps.rest, firstColumns, token, head, batch,
            barrier);
}

/// Where a tile has 8 columns of a row, of heads of up to 80 columns.
DEVICE int placeOfChunk(int row, int eighth) {
  return eighth < 8
             ? row * firstRow + (eighth ^ row % 8) * 16
             : restOffset + row * restRow + ((eighth - 8) ^ row / 4 % 2) * 16;
}

/// Begins to copy `count` rows to tiles, by all of a block's threads.
template <int count, int threads>
DEVICE void copyRows(uint32_t target, const uint16_t *rows, int64_t stride) {
  constexpr int rowsAtOnce = threads / 8, eighths = headDim / 8;
  int thread = threadHere(), row = thread / 8, eighth = thread % 8;
  const uint16_t *source = rows + row * stride + eighth * 8;
  // rowsAtOnce is a multiple of 8: the swizzle stays.
  uint32_t place = target + placeOfChunk(row, eighth);
#pragma unroll
  for (int i = 0; i < count / rowsAtOnce; ++i) {
    int first = i * rowsAtOnce;
    if (eighths >= 8 || eighth < eighths)
      copyChunk(place + first / tileRows * tileBytes +
                    first % tileRows * firstRow,
                source);
    source += rowsAtOnce * stride;
  }
#pragma unroll
  for (int i = 8; i < eighths; ++i)
#pragma unroll
    for (int first = 0; first < count; first += threads) {
      int row = first + thread;
      if (first + threads <= count || row < count)
        copyChunk(target + row / tileRows * tileBytes +
                      placeOfChunk(row % tileRows, i),
                  rows + row * stride + i * 8);
    }
}

/// scores [64, 64] = A Bᵀ of two tiles.
DEVICE void multiplyTiles(float (&scores)[tileRows / 2], uint32_t a,
                          uint32_t b) {
  uint64_t left = describeTile<firstRow>(a), right = describeTile<firstRow>(b);
#pragma unroll
  for (int step = 0; step < (firstColumns + 15) / 16; ++step)
    multiplyShared(scores, left + later(step * 32), right + later(step * 32),
                   step > 0);
  if (restColumns) {
    left = describeTile<restRow>(a + restOffset);
    right = describeTile<restRow>(b + restOffset);
#pragma unroll
    for (int step = 0; step < restColumns / 16; ++step)
      multiplyShared(scores, left + later(step * 32), right + later(step * 32),
                     1);
  }
}

/// A [64, 64] of bf16 pairs, as packBf16 makes them of a product's sums, times
/// a tile: added to its columns in the first box and in the rest.
template <int restRegisters>
DEVICE void multiplyByTile(float (&first)[firstColumns / 2],
                           float (&rest)[restRegisters],
                           const uint32_t (&a)[tileRows / 4], uint32_t tile) {
  uint64_t right = describeTile<firstRow>(tile);
#pragma unroll
  for (int step = 0; step < tileRows / 16; ++step)
    multiplyRegisters(first, &a[4 * step], right + later(step * 16 * firstRow));
  if (restColumns) {
    right = describeTile<restRow>(tile + restOffset);
#pragma unroll
    for (int step = 0; step < tileRows / 16; ++step)
      multiplyRegisters(rest, &a[4 * step], right + later(step * 16 * restRow));
  }
}
