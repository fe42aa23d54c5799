//===- Staging.cpp - What attention copies before it multiplies -----------===//
//
// Queries always, since the microkernels want them transposed; keys and values
// where their type or their strides are not the microkernels'; the mask, with
// its broadcasts spelled out.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/attention/Staging.h"

#include <algorithm>

using namespace dit::runtime;
using dit::plan::elementBytes;
using dit::plan::ElementType;

static int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Q^T of a block; lanes without a query are zero.
void AttentionKernel::packQueries(const Block &block, const void *q,
                                  Staging &stage) const {
  const char *from =
      addressOf(q, shape.type, shape.q, block.batch, block.query, block.head);
  const int64_t columns = pairs ? shape.headDim / 2 : shape.headDim;
  if (block.queries != block.lanes)
    std::fill_n(stage.queries, columns * block.lanes * 4, 0);
  if (shape.type == ElementType::F32 ||
      (pairs && shape.q.tokenStride % 2 == 0)) {
    operations->transpose(from, shape.q.tokenStride / (pairs ? 2 : 1),
                          block.queries, columns, stage.queries, block.lanes);
    return;
  }
  for (int64_t i = 0; i != block.queries; ++i) {
    const char *row = from + i * shape.q.tokenStride * 2;
    char *to = stage.buffer + i * columns * 4;
    if (pairs)
      std::copy_n(row, shape.headDim * 2, to);
    else
      operations->widen(shape.type, row, reinterpret_cast<float *>(to),
                        shape.headDim);
  }
  operations->transpose(stage.buffer, columns, block.queries, columns,
                        stage.queries, block.lanes);
}

/// Brings a block of keys and values into the microkernels' layout, unless it
/// is there already.
void AttentionKernel::stageKeys(const Block &block, int64_t keyBlock,
                                const AttentionPointers &pointers,
                                Staging &stage) const {
  const int64_t keyHead = block.head / shape.keyHeadGroup;
  if (stage.batch != block.batch || stage.keyHead != keyHead) {
    stage.batch = block.batch;
    stage.keyHead = keyHead;
    stage.ready = 0;
  }
  if (stagedBlocks == keyBlocks && keyBlock < stage.ready)
    return;
  stage.ready = keyBlock + 1;
  const int64_t slot = keyBlock % stagedBlocks;
  const int64_t key = keyBlock * blockKeys;
  const int64_t keys = std::min(blockKeys, shape.keyTokens - key);
  if (!keysInPlace)
    for (int64_t i = 0; i != keys; ++i)
      operations->widen(
          shape.type,
          addressOf(pointers.k, shape.type, shape.k, block.batch, key + i,
                    keyHead),
          reinterpret_cast<float *>(stage.keys + slot * keyBytes) +
              i * shape.headDim,
          shape.headDim);

  if (valuesInPlace)
    return;
  const char *values =
      addressOf(pointers.v, shape.type, shape.v, block.batch, key, keyHead);
  char *to = stage.values + slot * valueBytes;
  const int64_t stride = shape.v.tokenStride * elementBytes(shape.type);
  if (!pairs) {
    for (int64_t i = 0; i != keys; ++i)
      operations->widen(shape.type, values + i * stride,
                        reinterpret_cast<float *>(to) + i * shape.valueDim,
                        shape.valueDim);
    return;
  }
  // V^T: 16 pairs of keys at a time; the buffer has lanes >= 32 rows.
  for (int64_t first = 0; first < keys; first += 32) {
    const int64_t count = std::min<int64_t>(32, keys - first);
    for (int64_t i = 0; i < count; i += 2) {
      const char *even = values + (first + i) * stride;
      operations->interleave(even, i + 1 < count ? even + stride : nullptr,
                             stage.buffer + i / 2 * shape.valueDim * 4,
                             shape.valueDim);
    }
    operations->transpose(stage.buffer, shape.valueDim, ceilDivide(count, 2),
                          shape.valueDim, to + first * 2, blockKeys / 2);
  }
}

/// The mask of a block as [key][lane]; lanes without a query are zero.
void AttentionKernel::stageMask(const Block &block, int64_t key, int64_t keys,
                                const float *mask, Staging &stage) const {
  mask += block.batch * shape.maskBatchStride +
          block.head * shape.maskHeadStride +
          block.query * shape.maskQueryStride + key * shape.maskKeyStride;
  if (block.queries != block.lanes)
    std::fill_n(stage.mask, keys * block.lanes, 0.0f);
  if (shape.maskKeyStride == 1 && shape.maskQueryStride != 0) {
    operations->transpose(mask, shape.maskQueryStride, block.queries, keys,
                          stage.mask, block.lanes);
    return;
  }
  for (int64_t i = 0; i != keys; ++i)
    for (int64_t query = 0; query != block.queries; ++query)
      stage.mask[i * block.lanes + query] =
          mask[query * shape.maskQueryStride + i * shape.maskKeyStride];
}
