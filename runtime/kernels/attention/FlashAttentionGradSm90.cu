//===- FlashAttentionGradSm90.cu - Attention's gradient on Hopper ---------===//
//
//   P  = exp(scale · Q Kᵀ - log Σ exp)         dV = Pᵀ dO
//   dS = P ∘ (dO Vᵀ - rowsum(dO ∘ O))          dQ = scale · dS K
//                                              dK = scale · dSᵀ Q
//
// by head, bf16, sums in fp32. A block of threads has a head, whose Q, K, V, dO
// and O fit into shared memory together: each is read once, and each gradient
// written once.
//
//   a warpgroup  has keys of its own, and sums of their dK and dV in registers;
//                makes P and dS transposed, of 64 queries and 64 keys at a
//                time, from K Qᵀ and V dOᵀ; multiplies them from its registers
//   dSᵀ          goes to shared memory too; after as many tiles of queries as
//                there are warpgroups, each of these makes dQ of one of them
//
// P and dS are rounded to bf16 before they are multiplied; dS is made of the
// rounded P, since registers would not do for both forms. No part of a sum
// depends on how blocks are scheduled: the same bits each time.
//
// Threads copy the operands: with the copy engine, which needs two boxes a row
// of 72 columns, the kernel was slower.
//
// Compiled by clang for sm_90a, for a HEAD_DIM and TILES of 64 tokens at a
// time; needs no CUDA headers.
//
//===----------------------------------------------------------------------===//

#ifndef TILES
#error "TILES is 1, 2 or 4: tokens of a sequence / 64"
#endif

#include "runtime/kernels/attention/HeadTilesSm90.h"

/// [batch, token, head, column] by these strides, in elements.
struct Strides {
  int64_t batch, token, head;
};

struct GradArguments {
  const uint16_t *query, *key, *value, *output, *outputGrad;
  uint16_t *queryGrad, *keyGrad, *valueGrad;
  const float *logSumExp; // [batch, head, token]
  Strides queryStrides, keyStrides, valueStrides, outputStrides,
      outputGradStrides, queryGradStrides, keyGradStrides, valueGradStrides;
  int heads;
  float scale;
};

static constexpr int tiles = TILES, tokens = tiles * tileRows;
static constexpr int warpgroups = tiles < 2 ? 1 : 2;
static constexpr int ownTiles = tiles / warpgroups;
static constexpr int threads = 128 * warpgroups;

/// Columns past the first box that the head has.
static constexpr int ownRest = headDim - firstColumns;
static constexpr int restRegisters = ownRest ? ownRest / 2 : 4;

/// Shared memory: K, V, Q and dO, then tiles of dSᵀ for as many tiles of
/// queries as warpgroups, where O is before, then two numbers a query.
/// compiler/codegen/gpu/FlashAttention.cpp computes the same sum.
static constexpr int scoreBytes = tileRows * firstRow,
                     partBytes = tiles == 1 ? tileBytes : tiles * scoreBytes;
static constexpr int placeV = tiles * tileBytes, placeQ = 2 * placeV,
                     placeGrad = 3 * placeV, placeScores = 4 * placeV,
                     placeLogs = placeScores + warpgroups * partBytes,
                     placeDeltas = placeLogs + tokens * 4;

/// Where O's tiles are until dSᵀ of the second tile of queries is written: the
/// first, then the others.
DEVICE int placeOfOutput(int tile) {
  return placeScores + (tile ? partBytes + (tile - 1) * tileBytes : 0);
}

static constexpr float log2E = 1.4426950408889634f;

/// Sum of the products of eight pairs of bf16, in order.
DEVICE float addProducts(float sum, Chunk a, Chunk b) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    sum += part(a[i], 0) * part(b[i], 0);
    sum += part(a[i], 1) * part(b[i], 1);
  }
  return sum;
}

/// Columns past the head's last one, of all operands that are multiplied by 16
/// columns at a time.
DEVICE void clearPadding(uint8_t *memory) {
  if (headDim % 16 == 0)
    return;
  for (int i = threadHere(); i < 4 * tokens; i += threads)
    *reinterpret_cast<Chunk *>(memory + i / tileRows * tileBytes +
                               placeOfChunk(i % tileRows, headDim / 8)) = {};
}

/// rowsum(dO ∘ O) of the tiles [first, last), four threads a row.
DEVICE void makeDeltas(uint8_t *memory, int first, int last) {
  int thread = threadHere();
  for (int row = first * tileRows + thread / 4; row < last * tileRows;
       row += threads / 4) {
    const uint8_t *left = memory + placeOfOutput(row / tileRows),
                  *right = memory + placeGrad + row / tileRows * tileBytes;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < headDim / 8; i += 4) {
      int eighth = i + thread % 4;
      if (i + 4 <= headDim / 8 || eighth < headDim / 8) {
        int at = placeOfChunk(row % tileRows, eighth);
        sum = addProducts(sum, *reinterpret_cast<const Chunk *>(left + at),
                          *reinterpret_cast<const Chunk *>(right + at));
      }
    }
    sum += __nvvm_shfl_sync_bfly_f32(~0u, sum, 1, 31);
    sum += __nvvm_shfl_sync_bfly_f32(~0u, sum, 2, 31);
    if (thread % 4 == 0)
      reinterpret_cast<float *>(memory + placeDeltas)[row] = sum;
  }
}

/// Where a tile of results has 8 columns of a row on their way out: rows
/// without gaps, against bank conflicts swizzled where they are 128 bytes.
DEVICE int placeOfResult(int row, int eighth) {
  return row * headDim * 2 + (headDim == 64 ? eighth ^ row % 8 : eighth) * 16;
}

/// The sums of a warpgroup's tile, times `factor`, as bf16 to shared memory.
DEVICE void stageResult(uint8_t *tile, const float (&first)[firstColumns / 2],
                        const float (&rest)[restRegisters], float factor) {
  int thread = threadHere() % 128, lane = thread % 32;
  int row = thread / 32 * 16 + lane / 4;
#pragma unroll
  for (int i = 0; i < headDim / 4; ++i) {
    const float *pair =
        i < firstColumns / 4 ? &first[2 * i] : &rest[2 * i - firstColumns / 2];
    int at = placeOfResult(row + i % 2 * 8, i / 2) + lane % 4 * 4;
    *reinterpret_cast<uint32_t *>(tile + at) =
        packBf16(pair[0] * factor, pair[1] * factor);
  }
}

/// A staged tile to its rows in global memory, 16 bytes a thread.
DEVICE void storeResult(uint16_t *rows, int64_t stride, const uint8_t *tile) {
  constexpr int eighths = headDim / 8, rowsAtOnce = 128 / eighths,
                steps = (tileRows + rowsAtOnce - 1) / rowsAtOnce;
  int thread = threadHere() % 128, row = thread / eighths,
      eighth = thread % eighths;
  if (row == rowsAtOnce)
    return;
  static_assert(steps * rowsAtOnce * headDim * 2 <= tileBytes,
                "rows past the last are read, and not used");
  Chunk chunks[steps];
#pragma unroll
  for (int i = 0; i < steps; ++i)
    chunks[i] = *reinterpret_cast<const Chunk *>(
        tile + placeOfResult(row + i * rowsAtOnce, eighth));
  uint16_t *target = rows + row * stride + eighth * 8;
#pragma unroll
  for (int i = 0; i < steps; ++i) {
    if (row + i * rowsAtOnce < tileRows)
      *reinterpret_cast<Chunk *>(target) = chunks[i];
    target += rowsAtOnce * stride;
  }
}

/// dQ of a tile of queries over all keys, but for its factor, from dSᵀ.
DEVICE void makeQueryGrad(float (&first)[firstColumns / 2],
                          float (&rest)[restRegisters], uint32_t scores,
                          uint32_t keys) {
  uint64_t left = describeTile<firstRow>(scores),
           right = describeTile<firstRow>(keys),
           rightRest = describeTile<restRow ? restRow : 32>(keys + restOffset);
  beginProducts();
#pragma unroll
  for (int tile = 0; tile < tiles; ++tile) {
#pragma unroll
    for (int step = 0; step < tileRows / 16; ++step) {
      uint64_t part = left + later(tile * scoreBytes + step * 16 * firstRow);
      multiplyColumns(first, part,
                      right + later(tile * tileBytes + step * 16 * firstRow),
                      tile + step > 0);
      if (ownRest)
        multiplyColumns(rest, part,
                        rightRest +
                            later(tile * tileBytes + step * 16 * restRow),
                        tile + step > 0);
    }
  }
  commitProducts();
  waitForProducts<0>();
  settle(first);
  if (ownRest)
    settle(rest);
}

extern "C" __attribute__((global))
__attribute__((launch_bounds(threads, 1))) void
flash_attention_grad(const
                     __attribute__((grid_constant)) GradArguments arguments) {
  extern __attribute__((shared))
  __attribute__((aligned(1024))) uint8_t memory[];
  uint32_t place = sharedAddress(memory);
  float *logs = reinterpret_cast<float *>(memory + placeLogs);
  float *deltas = reinterpret_cast<float *>(memory + placeDeltas);

  int thread = __nvvm_read_ptx_sreg_tid_x();
  int head = __nvvm_read_ptx_sreg_ctaid_x();
  int batch = __nvvm_read_ptx_sreg_ctaid_y();
  auto at = [&](auto *base, const Strides &strides) {
    return base + batch * strides.batch + head * strides.head;
  };
  auto copyQueries = [&](int tile) {
    auto copy = [&](int target, const uint16_t *base, const Strides &strides) {
      copyRows<tileRows, threads>(
          place + target, at(base, strides) + tile * tileRows * strides.token,
          strides.token);
    };
    copy(placeQ + tile * tileBytes, arguments.query, arguments.queryStrides);
    copy(placeGrad + tile * tileBytes, arguments.outputGrad,
         arguments.outputGradStrides);
    copy(placeOfOutput(tile), arguments.output, arguments.outputStrides);
  };
  copyRows<tokens, threads>(place, at(arguments.key, arguments.keyStrides),
                            arguments.keyStrides.token);
  copyRows<tokens, threads>(place + placeV,
                            at(arguments.value, arguments.valueStrides),
                            arguments.valueStrides.token);
  copyQueries(0);
  commitCopies();
#pragma unroll 1
  for (int tile = 1; tile < tiles; ++tile)
    copyQueries(tile);
  commitCopies();
  const float *logSumExp =
      arguments.logSumExp + (int64_t(batch) * arguments.heads + head) * tokens;
  for (int row = thread; row < tokens; row += threads)
    logs[row] = logSumExp[row] * log2E;
  clearPadding(memory);

  int warpgroup = thread / 128;
  float keyGrad[ownTiles][firstColumns / 2], keyRest[ownTiles][restRegisters];
  float valueGrad[ownTiles][firstColumns / 2],
      valueRest[ownTiles][restRegisters];
#pragma unroll
  for (int own = 0; own < ownTiles; ++own) {
#pragma unroll
    for (int i = 0; i < firstColumns / 2; ++i)
      keyGrad[own][i] = valueGrad[own][i] = 0;
#pragma unroll
    for (int i = 0; i < restRegisters; ++i)
      keyRest[own][i] = valueRest[own][i] = 0;
  }
  float scale = arguments.scale * log2E; // exponents of 2
  uint32_t firstOwn = warpgroup * ownTiles;

  // A thread has queries 8 i + 2 (lane % 4) + {0, 1} of keys lane / 4 and
  // lane / 4 + 8 of its warp's 16: elements 4 i + {0, 1} and 4 i + {2, 3}.
  float scores[tileRows / 2], products[tileRows / 2];
  uint32_t packedP[tileRows / 4], packedS[tileRows / 4];
  struct alignas(8) Pair {
    float values[2];
  };

  /// One tile of queries, one of own keys. `target` is where dSᵀ goes.
  auto addTile = [&](int query, int own, uint32_t target) {
    uint32_t place = addressHere(sharedAddress(memory));
    uint32_t tileQ = place + placeQ + query * tileBytes,
             tileGrad = place + placeGrad + query * tileBytes,
             tileK = place + (firstOwn + own) * tileBytes,
             tileV = tileK + placeV;
    int thread = threadHere(), lane = thread % 32;
    beginProducts();
    multiplyTiles(scores, tileK, tileQ);
    commitProducts();
    multiplyTiles(products, tileV, tileGrad);
    commitProducts();
    if (own == 0) {
      // dSᵀ takes O's place.
      if (query == 0)
        makeDeltas(memory, 0, 1);
      else if (query == 1)
        makeDeltas(memory, 1, tiles);
      if (query < 2)
        synchronizeBlock();
    }
    waitForProducts<1>();
    settle(scores);
    const Pair *log =
        reinterpret_cast<const Pair *>(logs + query * tileRows + lane % 4 * 2);
    const Pair *delta = reinterpret_cast<const Pair *>(
        deltas + query * tileRows + lane % 4 * 2);
#pragma unroll
    for (int i = 0; i < tileRows / 8; ++i) {
      Pair shift = log[4 * i];
#pragma unroll
      for (int j = 0; j < 4; ++j)
        scores[4 * i + j] =
            exp2(scores[4 * i + j] * scale - shift.values[j % 2]);
    }
#pragma unroll
    for (int i = 0; i < tileRows / 4; ++i)
      packedP[i] = packBf16(scores[2 * i], scores[2 * i + 1]);
    beginProducts();
    multiplyByTile(valueGrad[own], valueRest[own], packedP, tileGrad);
    commitProducts();
    waitForProducts<1>();
    settle(products);
#pragma unroll
    for (int i = 0; i < tileRows / 8; ++i) {
      Pair shift = delta[4 * i];
#pragma unroll
      for (int j = 0; j < 4; ++j)
        products[4 * i + j] = (products[4 * i + j] - shift.values[j % 2]) *
                              part(packedP[2 * i + j / 2], j % 2);
    }
#pragma unroll
    for (int i = 0; i < tileRows / 4; ++i)
      packedS[i] = packBf16(products[2 * i], products[2 * i + 1]);
    beginProducts();
    multiplyByTile(keyGrad[own], keyRest[own], packedS, tileQ);
    commitProducts();
    // P's registers are free, dS's in use until the next scores.
    waitForProducts<1>();
    // Rows of 64 queries, one a key; 8 queries are a matrix.
    uint32_t tile = target + (firstOwn + own) * scoreBytes;
    int row = thread % 128 / 32 * 16 + lane / 8 % 2 * 8 + lane % 8;
#pragma unroll
    for (int i = 0; i < tileRows / 16; ++i)
      storeMatrices(tile + row * firstRow +
                        ((2 * i + lane / 16) ^ lane % 8) * 16,
                    &packedS[4 * i]);
  };

  waitForCopies<1>();
  for (int group = 0; group < tiles / warpgroups; ++group) {
#pragma unroll 1
    for (int part = 0; part < warpgroups; ++part) {
      int query = group * warpgroups + part;
      if (query == 1)
        waitForCopies<0>();
      uint32_t target = place + placeScores + part * partBytes;
#pragma unroll
      for (int own = 0; own < ownTiles; ++own)
        addTile(query, own, target);
    }
    waitForProducts<0>();
#pragma unroll
    for (int own = 0; own < ownTiles; ++own) {
      settle(keyGrad[own]);
      settle(keyRest[own]);
      settle(valueGrad[own]);
      settle(valueRest[own]);
    }
    showTensorCores();
    synchronizeBlock();

    int query = group * warpgroups + warpgroup;
    float queryGrad[firstColumns / 2], queryRest[restRegisters];
    makeQueryGrad(queryGrad, queryRest,
                  addressHere(place + placeScores + warpgroup * partBytes),
                  addressHere(place));
    // Q's tile has no reader left.
    uint8_t *staged = memory + placeQ + query * tileBytes;
    stageResult(staged, queryGrad, queryRest, arguments.scale);
    synchronizeWarpgroup(warpgroup);
    storeResult(at(arguments.queryGrad, arguments.queryGradStrides) +
                    query * tileRows * arguments.queryGradStrides.token,
                arguments.queryGradStrides.token, staged);
    // The next group's scores go where these were.
    synchronizeBlock();
  }

  // Nor have the tiles of V and dO.
#pragma unroll
  for (int own = 0; own < ownTiles; ++own) {
    uint8_t *staged = memory + (firstOwn + own) * tileBytes;
    stageResult(staged + placeV, valueGrad[own], valueRest[own], 1);
    stageResult(staged + placeGrad, keyGrad[own], keyRest[own],
                arguments.scale);
  }
  synchronizeWarpgroup(warpgroup);
#pragma unroll
  for (int own = 0; own < ownTiles; ++own) {
    const uint8_t *staged = memory + (firstOwn + own) * tileBytes;
    int64_t token = (firstOwn + own) * tileRows;
    storeResult(at(arguments.valueGrad, arguments.valueGradStrides) +
                    token * arguments.valueGradStrides.token,
                arguments.valueGradStrides.token, staged + placeV);
    storeResult(at(arguments.keyGrad, arguments.keyGradStrides) +
                    token * arguments.keyGradStrides.token,
                arguments.keyGradStrides.token, staged + placeGrad);
  }
}
