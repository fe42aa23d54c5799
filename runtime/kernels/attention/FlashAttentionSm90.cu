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
// A row is stored in two boxes: its first 64 columns, with the 128-byte
// swizzle, and the rest in a box as wide as it has to be, 16, 32 or 64 columns.
// What a box has past the head's last column, and rows past the last token, the
// copy engine fills with zeros, so that products may run over whole multiples
// of 16 columns.
//
// No part of a sum depends on how blocks are scheduled: the same bits each
// time.
//
// Compiled by clang for sm_90a, HEAD_DIM at a time; needs no CUDA headers.
//
//===----------------------------------------------------------------------===//

#ifndef HEAD_DIM
#error "HEAD_DIM is 48 to 128, a multiple of 8"
#endif

#define DEVICE                                                                 \
  static __attribute__((device)) __attribute__((always_inline)) inline

using uint8_t = unsigned char;
using uint16_t = unsigned short;
using uint32_t = unsigned int;
using uint64_t = unsigned long long;
using int64_t = long long;

/// What the host encodes with cuTensorMapEncodeTiled: [batch, head, token,
/// column] of Q, K or V in boxes of 64 tokens.
struct alignas(64) TensorMap {
  uint64_t words[16];
};

/// The two boxes of an operand; `rest` is not read where there is one box.
struct OperandMaps {
  TensorMap first, rest;
};

/// Strides are in elements.
struct FlashArguments {
  uint16_t *output; // [batch, token, head, column] by these strides
  float *logSumExp; // [batch, head, query], or null
  int64_t outputBatchStride, outputTokenStride, outputHeadStride;
  int heads, queries, keys;
  float scale;
};

static constexpr int headDim = HEAD_DIM;
static constexpr int warpgroups = 2, stages = 3;
static constexpr int queryBlock = 64 * warpgroups, keyBlock = 64;

/// Columns of a row that are multiplied: in the first box, and in the rest.
static constexpr int firstColumns = headDim < 64 ? headDim : 64;
static constexpr int restColumns = (headDim - firstColumns + 15) / 16 * 16;
/// Bytes of a row in each box.
static constexpr int firstRow = 128;
static constexpr int restRow = restColumns == 0    ? 0
                               : restColumns <= 16 ? 32
                               : restColumns <= 32 ? 64
                                                   : 128;

/// Shared memory: Q, then K's stages, then V's. Results leave through Q's
/// place, rows padded against bank conflicts.
/// compiler/codegen/gpu/FlashAttention.cpp computes the same sum.
static constexpr int tileBytes = keyBlock * (firstRow + restRow);
static constexpr int queryBytes = queryBlock * (firstRow + restRow);
static constexpr int resultRow = headDim * 2 + 16;
static constexpr int placeBytes =
    ((queryBytes > queryBlock * resultRow ? queryBytes
                                          : queryBlock * resultRow) +
     1023) /
    1024 * 1024;
static constexpr float infinity = __builtin_inff();

//===----------------------------------------------------------------------===//
// Barriers and copies
//===----------------------------------------------------------------------===//

DEVICE uint32_t sharedAddress(const void *pointer) {
  return static_cast<uint32_t>(reinterpret_cast<uint64_t>(
      (__attribute__((address_space(3))) const void *)pointer));
}

DEVICE void initBarrier(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier),
               "r"(arrivals));
}

DEVICE void arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier)
               : "memory");
}

/// Arrives, and lets the phase end only when `bytes` have been copied.
DEVICE void arriveExpecting(uint32_t barrier, int bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
      "r"(bytes)
      : "memory");
}

DEVICE void wait(uint32_t barrier, uint32_t parity) {
  uint32_t done = 0;
  while (!done)
    asm volatile("{\n.reg .pred p;\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                 "selp.b32 %0, 1, 0, p;\n}\n"
                 : "=r"(done)
                 : "r"(barrier), "r"(parity)
                 : "memory");
}

DEVICE void synchronizeBlock() {
  asm volatile("barrier.sync.aligned 0;" ::: "memory");
}

DEVICE void copyBox(uint32_t target, const TensorMap &map, int column,
                    int token, int head, int batch, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::"
      "complete_tx::bytes [%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(target),
      "l"(&map), "r"(column), "r"(token), "r"(head), "r"(batch), "r"(barrier)
      : "memory");
}

//===----------------------------------------------------------------------===//
// Tensor cores
//===----------------------------------------------------------------------===//

#include "runtime/kernels/attention/WgmmaSm90.h"

/// A tile in shared memory whose rows have `rowBytes` and are swizzled over as
/// many: 8 rows are a group.
template <int rowBytes>
DEVICE uint64_t describeTile(uint32_t address) {
  constexpr uint64_t swizzle = rowBytes == 128 ? 1 : rowBytes == 64 ? 2 : 3;
  constexpr uint64_t groupStride = 8 * rowBytes;
  return uint64_t((address & 0x3FFFF) >> 4) | (groupStride >> 4) << 32 |
         swizzle << 62;
}

DEVICE void beginProducts() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

DEVICE void commitProducts() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int pending>
DEVICE void waitForProducts() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}

/// Registers that a product wrote have their values from here on.
template <int count>
DEVICE void settle(float (&values)[count]) {
#pragma unroll
  for (int i = 0; i < count; ++i)
    asm volatile("" : "+f"(values[i])::"memory");
}

DEVICE float exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

DEVICE float naturalLog(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y * 0.6931471805599453f;
}

DEVICE uint32_t packBf16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

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

DEVICE void copyTile(uint32_t target, int rows, const OperandMaps &maps,
                     int token, int head, int batch, uint32_t barrier) {
  copyBox(target, maps.first, 0, token, head, batch, barrier);
  if (restColumns)
    copyBox(target + rows * firstRow, maps.rest, firstColumns, token, head,
            batch, barrier);
}

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
      copyTile(placeK + offset, keyBlock, mapsK, group * keyBlock, head, batch,
               barrier);
    if (hasV)
      copyTile(placeV + offset, keyBlock, mapsV, (group - 1) * keyBlock, head,
               batch, barrier);
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
      copyTile(placeQ + part * tileBytes, keyBlock, mapsQ,
               firstQuery + part * 64, head, batch, queriesHere);
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
    uint32_t tile = placeK + stage * tileBytes;
    beginProducts();
#pragma unroll
    for (int step = 0; step < (firstColumns + 15) / 16; ++step)
      multiplyShared(scores, describeTile<firstRow>(ownQ + step * 32),
                     describeTile<firstRow>(tile + step * 32), step > 0);
#pragma unroll
    for (int step = 0; step < restColumns / 16; ++step)
      multiplyShared(
          scores, describeTile<restRow>(ownQ + keyBlock * firstRow + step * 32),
          describeTile<restRow>(tile + keyBlock * firstRow + step * 32), 1);
    commitProducts();
  };
  auto multiplyPV = [&](int stage) {
    uint32_t tile = placeV + stage * tileBytes;
    beginProducts();
#pragma unroll
    for (int step = 0; step < keyBlock / 16; ++step)
      multiplyRegisters(result, &weights[4 * step],
                        describeTile<firstRow>(tile + step * 16 * firstRow));
    if (restColumns) {
#pragma unroll
      for (int step = 0; step < keyBlock / 16; ++step)
        multiplyRegisters(rest, &weights[4 * step],
                          describeTile<restRow>(tile + keyBlock * firstRow +
                                                step * 16 * restRow));
    }
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
  asm volatile("bar.sync %0, 128;" ::"r"(1 + warpgroup) : "memory");
  uint16_t *output = arguments.output + batch * arguments.outputBatchStride +
                     head * arguments.outputHeadStride;
  struct alignas(16) Chunk {
    uint32_t words[4];
  };
  for (int i = threadOfGroup; i < 64 * (headDim / 8); i += 128) {
    int from = i / (headDim / 8), column = i % (headDim / 8) * 8;
    if (firstOwn + from < arguments.queries)
      *reinterpret_cast<Chunk *>(
          output + (firstOwn + from) * arguments.outputTokenStride + column) =
          *reinterpret_cast<Chunk *>(rows + from * resultRow + column * 2);
  }
}
