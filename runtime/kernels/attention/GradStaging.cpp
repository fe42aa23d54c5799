//===- GradStaging.cpp - What the gradient copies before it multiplies ----===//
//
// A block of keys: K and V transposed, since keys are the vector dimension of
// the scores, and K once more as the panel of dQ where its type or strides are
// not the microkernels'. A block of queries: nothing in fp32; the columns of Q
// and dO in bf16, whose microkernels cannot transpose, and once a query delta.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/attention/GradStaging.h"
#include "runtime/kernels/attention/Staging.h"

#include <algorithm>

using namespace dit::runtime;
using dit::plan::elementBytes;
using dit::plan::ElementType;

static int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Rows of `dim` elements as fp32.
static void widenRows(const TileOperations &operations, ElementType type,
                      const char *from, int64_t stride, int64_t rows,
                      int64_t dim, char *to) {
  for (int64_t i = 0; i != rows; ++i)
    operations.widen(type, from + i * stride * elementBytes(type),
                     reinterpret_cast<float *>(to) + i * dim, dim);
}

template <bool written>
static void prefetchRows(const char *rows, int64_t stride, int64_t count,
                         int64_t bytes) {
  for (int64_t i = 0; i != count; ++i)
    for (int64_t at = 0; at < bytes + 63; at += 64)
      __builtin_prefetch(rows + i * stride + at, written, 2);
}

/// Asks for all that a block reads and writes. Rows of one head lie apart,
/// which no processor guesses; worth it only while the products of a block take
/// not much longer than fetching its rows, that is for one block of each.
void AttentionGradKernel::prefetch(
    int64_t block, const AttentionGradPointers &pointers) const {
  if (keyBlocks != 1 || queryBlocks != 1 || forward.keyHeadGroup != 1)
    return;
  struct Part {
    const void *base;
    const AttentionShape::Operand &operand;
    int64_t tokens, dim;
    bool written;
  };
  const int64_t queries = forward.queryTokens, keys = forward.keyTokens;
  const Part parts[] = {
      {pointers.q, forward.q, queries, forward.headDim, false},
      {pointers.k, forward.k, keys, forward.headDim, false},
      {pointers.v, forward.v, keys, forward.valueDim, false},
      {pointers.output, forward.output, queries, forward.valueDim, false},
      {pointers.outputGrad, shape.outputGrad, queries, forward.valueDim, false},
      {pointers.queryGrad, shape.queryGrad, queries, forward.headDim, true},
      {pointers.keyGrad, shape.keyGrad, keys, forward.headDim, true},
      {pointers.valueGrad, shape.valueGrad, keys, forward.valueDim, true}};
  const int64_t size = elementBytes(forward.type);
  for (const Part &part : parts) {
    const char *rows = addressOf(part.base, forward.type, part.operand,
                                 block / keyHeads, 0, block % keyHeads);
    const int64_t stride = part.operand.tokenStride * size;
    if (part.written)
      prefetchRows<true>(rows, stride, part.tokens, part.dim * size);
    else
      prefetchRows<false>(rows, stride, part.tokens, part.dim * size);
  }
}

void AttentionGradKernel::stageKeys(const Keys &keys,
                                    const AttentionGradPointers &pointers,
                                    Staging &stage) const {
  const int64_t dim = forward.headDim, valueDim = forward.valueDim;
  const char *k = addressOf(pointers.k, forward.type, forward.k, keys.batch,
                            keys.key, keys.head);
  const char *v = addressOf(pointers.v, forward.type, forward.v, keys.batch,
                            keys.key, keys.head);
  int64_t keyStride = forward.k.tokenStride,
          valueStride = forward.v.tokenStride;
  const int64_t step = pairs ? 2 : 1;
  if (keys.keys != keys.lanes) {
    std::fill_n(stage.keyPanel, dim / step * keys.lanes * 4, 0);
    std::fill_n(stage.valuePanel, valueDim / step * keys.lanes * 4, 0);
  }
  if (!pairs && forward.type != ElementType::F32) {
    widenRows(*operations, forward.type, v, valueStride, keys.keys, valueDim,
              stage.buffer);
    v = stage.buffer;
    valueStride = valueDim;
  }
  operations->transpose(v, valueStride / step, keys.keys, valueDim / step,
                        stage.valuePanel, keys.lanes);
  if (pairs) {
    for (int64_t i = 0; i < keys.keys; i += 2) {
      const char *even = k + i * keyStride * 2;
      operations->interleave(even,
                             i + 1 < keys.keys ? even + keyStride * 2 : nullptr,
                             stage.keyRows + i / 2 * dim * 4, dim);
    }
  } else if (!keysInPlace) {
    widenRows(*operations, forward.type, k, keyStride, keys.keys, dim,
              stage.keyRows);
    k = stage.keyRows;
    keyStride = dim;
  }
  operations->transpose(k, keyStride / step, keys.keys, dim / step,
                        stage.keyPanel, keys.lanes);
}

/// Rows of bf16 as [dim][blockQueries], an odd last row followed by zeros.
void AttentionGradKernel::packColumns(const char *from, int64_t stride,
                                      int64_t rows, int64_t dim, char *to,
                                      Staging &stage) const {
  // 16 pairs of rows at a time.
  for (int64_t first = 0; first < rows; first += 32) {
    const int64_t count = std::min<int64_t>(32, rows - first);
    for (int64_t i = 0; i < count; i += 2) {
      const char *even = from + (first + i) * stride * 2;
      operations->interleave(even, i + 1 < count ? even + stride * 2 : nullptr,
                             stage.buffer + i / 2 * dim * 4, dim);
    }
    operations->transpose(stage.buffer, dim, ceilDivide(count, 2), dim,
                          to + first * 2, blockQueries / 2);
  }
}

void AttentionGradKernel::stageQueries(const Keys &keys, const Queries &queries,
                                       const AttentionGradPointers &pointers,
                                       Staging &stage) const {
  const int64_t dim = forward.headDim, valueDim = forward.valueDim;
  const char *grad =
      addressOf(pointers.outputGrad, forward.type, shape.outputGrad, keys.batch,
                queries.query, queries.head);
  if (keys.index == 0)
    operations->rowDots(forward.type, grad, shape.outputGrad.tokenStride,
                        addressOf(pointers.output, forward.type, forward.output,
                                  keys.batch, queries.query, queries.head),
                        forward.output.tokenStride, queries.queries, valueDim,
                        stage.delta + queries.member * forward.queryTokens +
                            queries.query);
  else if (stagedBlocks != 1)
    return;
  const char *q = addressOf(pointers.q, forward.type, forward.q, keys.batch,
                            queries.query, queries.head);
  const int64_t slot =
      (queries.member * queryBlocks + queries.index) % stagedBlocks;
  if (!queriesInPlace)
    widenRows(*operations, forward.type, q, forward.q.tokenStride,
              queries.queries, dim, stage.queryRows + slot * queryRowBytes);
  if (!gradsInPlace)
    widenRows(*operations, forward.type, grad, shape.outputGrad.tokenStride,
              queries.queries, valueDim, stage.gradRows + slot * gradRowBytes);
  if (!pairs)
    return;
  packColumns(q, forward.q.tokenStride, queries.queries, dim,
              stage.queryColumns + slot * queryColumnBytes, stage);
  packColumns(grad, shape.outputGrad.tokenStride, queries.queries, valueDim,
              stage.gradColumns + slot * gradColumnBytes, stage);
}

/// The mask of a pair of blocks as [query][lane]; lanes without a key are zero.
void AttentionGradKernel::stageMask(const Keys &keys, const Queries &queries,
                                    const float *mask, Staging &stage) const {
  mask += keys.batch * forward.maskBatchStride +
          queries.head * forward.maskHeadStride +
          queries.query * forward.maskQueryStride +
          keys.key * forward.maskKeyStride;
  for (int64_t i = 0; i != queries.queries; ++i) {
    const float *from = mask + i * forward.maskQueryStride;
    float *to = stage.mask + i * keys.lanes;
    if (forward.maskKeyStride == 1)
      std::copy_n(from, keys.keys, to);
    else
      for (int64_t key = 0; key != keys.keys; ++key)
        to[key] = from[key * forward.maskKeyStride];
    std::fill(to + keys.keys, to + keys.lanes, 0.0f);
  }
}
