//===- FlashAttentionSm90.cu - Attention on Hopper's tensor cores ---------===//
//
//   O = softmax(scale · Q Kᵀ) V by head, bf16, sums in fp32, log Σ exp on
//   demand
//
// Online softmax over blocks of keys (Dao et al., FlashAttention; Milakov and
// Gimelshein for the running maximum). A block of threads has one head and 128
// queries; each of its two warpgroups of 128 threads has 64:
//
//   group g     one transfer of the copy engine: K of block g, V of block g - 1
//   step g      S = Q K(g)ᵀ and O += P V(g - 1) on the tensor cores, the second
//               while the warpgroup turns S into the next P
//
// Two blocks share a multiprocessor, so that one waits while the other works;
// heads of more than 80 columns want more registers and have one to themselves.
//
// No part of a sum depends on how blocks are scheduled: the same bits each
// time.
//
// Compiled by clang for sm_90a, HEAD_DIM at a time; needs no CUDA headers.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/attention/HeadTilesSm90.h"

/// Strides are in elements.
struct FlashArguments {
  uint16_t *output; // [batch, token, head, column] by these strides
  float *logSumExp; // [batch, head, query], or null
  int64_t outputBatchStride, outputTokenStride, outputHeadStride;
  int heads, queries, keys;
  float scale;
};

static constexpr int warpgroups = 2, stages = 3;
static constexpr int queryBlock = tileRows * warpgroups, keyBlock = tileRows;

/// Shared memory: Q, then K's stages, then V's. Results leave through Q's
/// place, rows padded against bank conflicts.
/// compiler/codegen/gpu/FlashAttention.cpp computes the same sum.
static constexpr int queryBytes = queryBlock * (firstRow + restRow);
static constexpr int resultRow = headDim * 2 + 16;
static constexpr int placeBytes =
    ((queryBytes > queryBlock * resultRow ? queryBytes
                                          : queryBlock * resultRow) +
     1023) /
    1024 * 1024;
static constexpr float infinity = __builtin_inff();

/// Of the four threads that share a row.
DEVICE float maxOfRow(float x) {
  x = __builtin_fmaxf(x, __nvvm_shfl_sync_bfly_f32(~0u, x, 1, 31));
  return __builtin_fmaxf(x, __nvvm_shfl_sync_bfly_f32(~0u, x, 2, 31));
}

DEVICE float sumOfRow(float x) {
  x += __nvvm_shfl_sync_bfly_f32(~0u, x, 1, 31);
  return x + __nvvm_shfl_sync_bfly_f32(~0u, x, 2, 31);
}

//===----------------------------------------------------------------------===//
// The softmax of a warpgroup's rows
//===----------------------------------------------------------------------===//

/// A thread has columns 8 i + 2 (lane % 4) + {0, 1} of rows lane / 4 and
/// lane / 4 + 8 of its warp's 16: elements 4 i + {0, 1} and 4 i + {2, 3}.
struct Softmax {
  float largest[2] = {-infinity, -infinity}, sum[2] = {0, 0};
  float shrink[2]; // what sums of earlier blocks are multiplied by

  /// Scores of the keys [first, first + keyBlock) become weights.
  DEVICE void update(Softmax &self, float (&scores)[keyBlock / 2], int first,
                     int keys, float scale) {
    int lane = __nvvm_read_ptx_sreg_tid_x() % 32;
    if (first + keyBlock > keys) {
#pragma unroll
      for (int i = 0; i < keyBlock / 2; ++i)
        if (first + i / 4 * 8 + lane % 4 * 2 + i % 2 >= keys)
          scores[i] = -infinity;
    }
    float largest[2] = {self.largest[0], self.largest[1]}, sum[2] = {0, 0};
#pragma unroll
    for (int i = 0; i < keyBlock / 2; ++i)
      largest[i / 2 % 2] = __builtin_fmaxf(largest[i / 2 % 2], scores[i]);
    float offset[2];
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      largest[row] = maxOfRow(largest[row]);
      self.shrink[row] = exp2((self.largest[row] - largest[row]) * scale);
      self.largest[row] = largest[row];
      offset[row] = largest[row] * scale;
    }
#pragma unroll
    for (int i = 0; i < keyBlock / 2; ++i) {
      scores[i] = exp2(scores[i] * scale - offset[i / 2 % 2]);
      sum[i / 2 % 2] += scores[i];
    }
#pragma unroll
    for (int row = 0; row < 2; ++row)
      self.sum[row] = self.sum[row] * self.shrink[row] + sum[row];
  }
};

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

extern "C" __attribute__((global))
__attribute__((launch_bounds(128 * warpgroups, headDim <= 80 ? 2 : 1))) void
flash_attention(const __attribute__((grid_constant)) FlashArguments arguments,
                const __attribute__((grid_constant)) OperandMaps mapsQ,
                const __attribute__((grid_constant)) OperandMaps mapsK,
                const __attribute__((grid_constant)) OperandMaps mapsV) {
  extern __attribute__((shared)) uint8_t dynamicMemory[];
  static __attribute__((shared)) uint64_t barriers[1 + 2 * stages];
  uint32_t queriesHere = sharedAddress(&barriers[0]);
  uint32_t full = queriesHere + 8, empty = full + 8 * stages;
  uint32_t placeQ = (sharedAddress(dynamicMemory) + 1023) & ~1023u;
  uint8_t *memory = dynamicMemory + (placeQ - sharedAddress(dynamicMemory));
  uint32_t placeK = placeQ + placeBytes, placeV = placeK + stages * tileBytes;

  int thread = __nvvm_read_ptx_sreg_tid_x();
  int firstQuery = __nvvm_read_ptx_sreg_ctaid_x() * queryBlock;
  int head = __nvvm_read_ptx_sreg_ctaid_y();
  int batch = __nvvm_read_ptx_sreg_ctaid_z();
  int blocks = (arguments.keys + keyBlock - 1) / keyBlock;

  auto copyGroup = [&](int group) {
    uint32_t barrier = full + 8 * (group % stages);
    int offset = group % stages * tileBytes;
    bool hasK = group < blocks, hasV = group > 0;
    arriveExpecting(barrier, (hasK + hasV) * tileBytes);
    if (hasK)
      copyTile(placeK + offset, mapsK, group * keyBlock, head, batch, barrier);
    if (hasV)
      copyTile(placeV + offset, mapsV, (group - 1) * keyBlock, head, batch,
               barrier);
  };

  if (thread == 0) {
    initBarrier(queriesHere, 1);
    for (int stage = 0; stage < stages; ++stage) {
      initBarrier(full + 8 * stage, 1);
      initBarrier(empty + 8 * stage, warpgroups);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    arriveExpecting(queriesHere, queryBytes);
    for (int part = 0; part < warpgroups; ++part)
      copyTile(placeQ + part * tileBytes, mapsQ, firstQuery + part * 64, head,
               batch, queriesHere);
    for (int group = 0; group < stages && group <= blocks; ++group)
      copyGroup(group);
  }
  synchronizeBlock();

  int warpgroup = thread / 128, threadOfGroup = thread % 128;
  bool speaks = threadOfGroup == 0;
  // No array has no elements: without a rest it is never touched.
  float result[firstColumns / 2], rest[restColumns ? restColumns / 2 : 8];
  float scores[keyBlock / 2];
  uint32_t weights[keyBlock / 4];
#pragma unroll
  for (float &sum : result)
    sum = 0;
#pragma unroll
  for (float &sum : rest)
    sum = 0;
  Softmax softmax;
  float scale = arguments.scale * 1.4426950408889634f; // exponents of 2
  uint32_t ownQ = placeQ + warpgroup * tileBytes;

  auto multiplyQK = [&](int stage) {
    beginProducts();
    multiplyTiles(scores, ownQ, placeK + stage * tileBytes);
    commitProducts();
  };
  auto multiplyPV = [&](int stage) {
    beginProducts();
    multiplyByTile(result, rest, weights, placeV + stage * tileBytes);
    commitProducts();
  };
  auto settleResults = [&] {
    waitForProducts<0>();
    settle(result);
    if (restColumns)
      settle(rest);
  };
  auto packWeights = [&] {
#pragma unroll
    for (int i = 0; i < keyBlock / 4; ++i)
      weights[i] = packBf16(scores[2 * i], scores[2 * i + 1]);
  };

  wait(queriesHere, 0);
  wait(full, 0);
  multiplyQK(0);
  waitForProducts<0>();
  settle(scores);
  if (speaks)
    arrive(empty);
  Softmax::update(softmax, scores, 0, arguments.keys, scale);
  packWeights();
  for (int block = 1; block < blocks; ++block) {
    int stage = block % stages;
    wait(full + 8 * stage, block / stages & 1);
    multiplyQK(stage);
    multiplyPV(stage);
    int next = block + stages - 1;
    if (thread == 0 && next <= blocks) {
      wait(empty + 8 * ((block - 1) % stages), (block - 1) / stages & 1);
      copyGroup(next);
    }
    waitForProducts<1>();
    settle(scores);
    Softmax::update(softmax, scores, block * keyBlock, arguments.keys, scale);
    settleResults();
    if (speaks)
      arrive(empty + 8 * stage);
#pragma unroll
    for (int i = 0; i < firstColumns / 2; ++i)
      result[i] *= softmax.shrink[i / 2 % 2];
#pragma unroll
    for (int i = 0; i < restColumns / 2; ++i)
      rest[i] *= softmax.shrink[i / 2 % 2];
    packWeights();
  }
  wait(full + 8 * (blocks % stages), blocks / stages & 1);
  multiplyPV(blocks % stages);
  float sums[2] = {sumOfRow(softmax.sum[0]), sumOfRow(softmax.sum[1])};
  settleResults();

  int lane = thread % 32, row = threadOfGroup / 32 * 16 + lane / 4;
  int firstOwn = firstQuery + warpgroup * 64;
  if (arguments.logSumExp && lane % 4 == 0) {
    float *logs = arguments.logSumExp +
                  (int64_t(batch) * arguments.heads + head) * arguments.queries;
#pragma unroll
    for (int half = 0; half < 2; ++half)
      if (firstOwn + row + 8 * half < arguments.queries)
        logs[firstOwn + row + 8 * half] =
            softmax.largest[half] * arguments.scale + naturalLog(sums[half]);
  }

  // Whole rows leave together, 16 bytes a thread, once both warpgroups are done
  // with Q: padded rows of one reach into the other's.
  synchronizeBlock();
  uint8_t *rows = memory + warpgroup * 64 * resultRow;
  float factor[2] = {1 / sums[0], 1 / sums[1]};
#pragma unroll
  for (int i = 0; i < headDim / 4; ++i) {
    const float *pair =
        i < firstColumns / 4 ? &result[2 * i] : &rest[2 * i - firstColumns / 2];
    int at = (row + i % 2 * 8) * resultRow + i / 2 * 16 + lane % 4 * 4;
    *reinterpret_cast<uint32_t *>(rows + at) =
        packBf16(pair[0] * factor[i % 2], pair[1] * factor[i % 2]);
  }
  synchronizeWarpgroup(warpgroup);
  uint16_t *output = arguments.output + batch * arguments.outputBatchStride +
                     head * arguments.outputHeadStride;
  for (int i = threadOfGroup; i < 64 * (headDim / 8); i += 128) {
    int from = i / (headDim / 8), column = i % (headDim / 8) * 8;
    if (firstOwn + from < arguments.queries)
      *reinterpret_cast<Chunk *>(
          output + (firstOwn + from) * arguments.outputTokenStride + column) =
          *reinterpret_cast<Chunk *>(rows + from * resultRow + column * 2);
  }
}
