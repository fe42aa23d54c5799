//===- Attention.cpp - Scaled dot-product attention on the CPU ------------===//
//
// Blocks are numbered [batch][head][query block], so a run of blocks of one
// head stages its keys and values (where they are not read in place) once, if
// all of them fit `stagedBytes`; else once for each block of queries.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/attention/Attention.h"

#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <cassert>
#include <cmath>

using namespace dit::runtime;
using dit::plan::elementBytes;
using dit::plan::elementName;
using dit::plan::ElementType;

/// Queries of a block at most: four vectors of AVX-512.
static constexpr int64_t fullBlockQueries = 64;
/// Keys of a block at most: scores of 32 KB.
static constexpr int64_t fullBlockKeys = 128;
/// Below so many blocks they are made smaller, so that more threads find work.
static constexpr int64_t fewBlocks = 16;
/// Bytes that the staged keys and values of one head may take.
static constexpr int64_t stagedBytes = 512 << 10;

static int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t roundUp(int64_t a, int64_t b) { return ceilDivide(a, b) * b; }

static llvm::Error checkShape(const AttentionShape &shape) {
  auto fail = [&](const llvm::Twine &why) {
    return llvm::createStringError(llvm::formatv(
        "attention of {0} x {1} heads, {2} queries, {3} keys, head dimension "
        "{4}: {5}",
        shape.batch, shape.heads, shape.queryTokens, shape.keyTokens,
        shape.headDim, why.str()));
  };
  for (int64_t size : {shape.batch, shape.heads, shape.queryTokens,
                       shape.keyTokens, shape.headDim, shape.valueDim})
    if (size < 1)
      return fail("sizes must be positive");
  if (shape.type != ElementType::F32 && shape.type != ElementType::F16 &&
      shape.type != ElementType::BF16)
    return fail(llvm::Twine("elements must be f32, f16 or bf16, not ") +
                elementName(shape.type));
  if (shape.keyHeadGroup < 1 || shape.heads % shape.keyHeadGroup)
    return fail("groups of " + llvm::Twine(shape.keyHeadGroup) +
                " heads do not divide the heads");
  return llvm::Error::success();
}

llvm::Expected<AttentionKernel>
AttentionKernel::create(const AttentionShape &shape, InstructionSet set) {
  if (llvm::Error err = checkShape(shape))
    return std::move(err);
  AttentionKernel kernel;
  kernel.shape = shape;
  kernel.operations = &tileOperations(set);
  const bool isF32 = shape.type == ElementType::F32;
  kernel.pairs = shape.type == ElementType::BF16 &&
                 set == InstructionSet::V4BF16 && shape.headDim % 2 == 0 &&
                 shape.k.tokenStride % 2 == 0 &&
                 (shape.keyTokens == 1 || shape.k.tokenStride >= shape.headDim);
  // The microkernels want rows apart.
  kernel.keysInPlace =
      (isF32 || kernel.pairs) &&
      (shape.keyTokens == 1 || shape.k.tokenStride >= shape.headDim);
  kernel.valuesInPlace =
      isF32 && (shape.keyTokens == 1 || shape.v.tokenStride >= shape.valueDim);
  kernel.natural = shape.hasMask || !(shape.scale > 0);

  // Even blocks: 77 queries are 64 + 13 or 48 + 29; lanes come in 32s.
  const int64_t queries = ceilDivide(
      shape.queryTokens, ceilDivide(shape.queryTokens, fullBlockQueries));
  kernel.blockQueries = std::min(roundUp(queries, 32), fullBlockQueries);
  if (shape.batch * shape.heads * ceilDivide(shape.queryTokens, 64) < fewBlocks)
    kernel.blockQueries = 32;
  kernel.queryBlocks = ceilDivide(shape.queryTokens, kernel.blockQueries);
  kernel.keyBlocks = ceilDivide(shape.keyTokens, fullBlockKeys);
  kernel.blockKeys = roundUp(ceilDivide(shape.keyTokens, kernel.keyBlocks), 2);
  kernel.keyBlocks = ceilDivide(shape.keyTokens, kernel.blockKeys);

  const int64_t lanes = kernel.blockQueries, keys = kernel.blockKeys;
  const int64_t widest = std::max(shape.headDim, shape.valueDim);
  size_t offset = 0;
  auto reserve = [&](int64_t bytes) {
    size_t begin = offset;
    offset += roundUp(bytes, 64);
    return begin;
  };
  kernel.scoresOffset = reserve(keys * lanes * 4);
  kernel.pairsOffset = reserve(kernel.pairs ? keys * lanes * 2 : 0);
  kernel.queriesOffset = reserve(shape.headDim * lanes * 4);
  kernel.outputOffset = reserve(shape.valueDim * lanes * 4);
  kernel.bufferOffset = reserve(lanes * widest * 4);
  kernel.stateOffset = reserve(3 * lanes * 4);
  kernel.maskOffset = reserve(shape.hasMask ? keys * lanes * 4 : 0);
  kernel.keyBytes =
      kernel.keysInPlace ? 0 : roundUp(keys * shape.headDim * 4, 64);
  kernel.valueBytes =
      kernel.valuesInPlace
          ? 0
          : roundUp(keys * shape.valueDim * (kernel.pairs ? 2 : 4), 64);
  const int64_t staged = kernel.keyBytes + kernel.valueBytes;
  kernel.stagedBlocks =
      staged * kernel.keyBlocks <= stagedBytes ? kernel.keyBlocks : 1;
  kernel.keysOffset = reserve(kernel.keyBytes * kernel.stagedBlocks);
  kernel.valuesOffset = reserve(kernel.valueBytes * kernel.stagedBlocks);
  kernel.scratchSize = offset;

  for (int isLastQuery : {0, 1})
    for (int isLastKey : {0, 1}) {
      if ((kernel.queryBlocks == 1 && !isLastQuery) ||
          (kernel.keyBlocks == 1 && !isLastKey))
        continue;
      const int64_t lanesHere =
          isLastQuery
              ? roundUp(shape.queryTokens - (kernel.queryBlocks - 1) * lanes,
                        32)
              : lanes;
      const int64_t keysHere =
          isLastKey ? shape.keyTokens - (kernel.keyBlocks - 1) * keys : keys;
      MicrokernelShape product;
      product.lanes = product.panelStride = product.sumStride = lanesHere;
      product.pairs = kernel.pairs;
      product.rows = keysHere;
      product.k = shape.headDim;
      const bool oneKey = shape.keyTokens == 1;
      product.rowStride =
          kernel.keysInPlace && !oneKey ? shape.k.tokenStride : shape.headDim;
      product.rowsTransposed = false;
      product.accumulate = false;
      llvm::Expected<Microkernel> scores = Microkernel::create(product);
      if (!scores)
        return scores.takeError();
      kernel.scoreKernels[isLastQuery][isLastKey] = *scores;

      product.rows = shape.valueDim;
      product.k = kernel.pairs ? roundUp(keysHere, 2) : keysHere;
      product.rowStride = kernel.pairs ? keys
                          : kernel.valuesInPlace && !oneKey
                              ? shape.v.tokenStride
                              : shape.valueDim;
      product.rowsTransposed = !kernel.pairs;
      for (int accumulate : {0, 1}) {
        product.accumulate = accumulate;
        llvm::Expected<Microkernel> output = Microkernel::create(product);
        if (!output)
          return output.takeError();
        kernel.outputKernels[isLastQuery][isLastKey][accumulate] = *output;
      }
    }
  return kernel;
}

struct AttentionKernel::Staging {
  float *scores;     // [keys][lanes]
  char *pairs;       // [keys / 2][lanes][2] bf16
  char *queries;     // [headDim][lanes] fp32 or [headDim / 2][lanes][2] bf16
  float *output;     // [valueDim][lanes]
  char *buffer;      // [lanes][headDim or valueDim] fp32
  float *maximum;    // [lanes]
  float *sum;        // [lanes]
  float *correction; // [lanes]
  float *mask;       // [keys][lanes]
  char *keys;        // a block: [keys][headDim] fp32
  char *values;      // a block: [keys][valueDim] fp32 or [valueDim][keys] bf16
  int64_t batch = -1, keyHead = -1; // whose keys are staged ...
  int64_t ready = 0;                // ... and how many blocks of them
};

AttentionKernel::Block AttentionKernel::blockOf(int64_t index) const {
  Block block;
  block.batch = index / queryBlocks / shape.heads;
  block.head = index / queryBlocks % shape.heads;
  block.query = index % queryBlocks * blockQueries;
  block.queries = std::min(blockQueries, shape.queryTokens - block.query);
  block.lanes = roundUp(block.queries, 32);
  return block;
}

/// Address of [batch, token, head, 0] of an operand.
static const char *addressOf(const void *base, ElementType type,
                             const AttentionShape::Operand &operand,
                             int64_t batch, int64_t token, int64_t head) {
  return static_cast<const char *>(base) +
         (batch * operand.batchStride + token * operand.tokenStride +
          head * operand.headStride) *
             elementBytes(type);
}

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

/// Adds one block of keys to the output and to the softmax's state.
void AttentionKernel::runKeys(const Block &block, int64_t keyBlock,
                              const AttentionPointers &pointers,
                              Staging &stage) const {
  const int64_t key = keyBlock * blockKeys;
  const int64_t keys = std::min(blockKeys, shape.keyTokens - key);
  const int64_t keyHead = block.head / shape.keyHeadGroup;
  const bool isLastQuery = block.query + blockQueries >= shape.queryTokens;
  const bool isLastKey = keyBlock + 1 == keyBlocks;
  const int64_t slot = keyBlock % stagedBlocks;
  stageKeys(block, keyBlock, pointers, stage);
  const char *keyRows = keysInPlace ? addressOf(pointers.k, shape.type, shape.k,
                                                block.batch, key, keyHead)
                                    : stage.keys + slot * keyBytes;
  scoreKernels[isLastQuery][isLastKey](stage.queries, keyRows, stage.scores);

  if (shape.hasMask)
    stageMask(block, key, keys, pointers.mask, stage);
  SoftmaxBlock softmax;
  softmax.scores = stage.scores;
  softmax.keys = keys;
  softmax.queries = block.lanes;
  softmax.scale = shape.scale;
  softmax.natural = natural;
  softmax.mask = shape.hasMask ? stage.mask : nullptr;
  softmax.maximum = stage.maximum;
  softmax.sum = stage.sum;
  softmax.correction = stage.correction;
  softmax.first = keyBlock == 0;
  softmax.pairs = pairs ? stage.pairs : nullptr;
  operations->softmax(softmax);
  if (keyBlock != 0)
    operations->scaleLanes(stage.output, shape.valueDim, block.lanes,
                           stage.correction);

  const char *valueRows = valuesInPlace
                              ? addressOf(pointers.v, shape.type, shape.v,
                                          block.batch, key, keyHead)
                              : stage.values + slot * valueBytes;
  const void *probabilities =
      pairs ? static_cast<const void *>(stage.pairs) : stage.scores;
  outputKernels[isLastQuery][isLastKey][keyBlock != 0](probabilities, valueRows,
                                                       stage.output);
}

/// Divides by the sums, transposes and stores the output of a block.
void AttentionKernel::storeOutput(const Block &block,
                                  const AttentionPointers &pointers,
                                  Staging &stage) const {
  for (int64_t lane = 0; lane != block.lanes; ++lane)
    stage.correction[lane] = 1.0f / stage.sum[lane];
  char *to =
      const_cast<char *>(addressOf(pointers.output, shape.type, shape.output,
                                   block.batch, block.query, block.head));
  operations->storeTransposed(stage.output, block.lanes, shape.valueDim,
                              block.queries, stage.correction, shape.type, to,
                              shape.output.tokenStride);
  if (!pointers.logSumExp)
    return;
  float *logSumExp =
      pointers.logSumExp +
      (block.batch * shape.heads + block.head) * shape.queryTokens +
      block.query;
  constexpr float ln2 = 0x1.62e430p-1f;
  for (int64_t i = 0; i != block.queries; ++i)
    logSumExp[i] =
        stage.maximum[i] * (natural ? 1.0f : ln2) + std::log(stage.sum[i]);
}

void AttentionKernel::run(const AttentionPointers &pointers, int64_t beginBlock,
                          int64_t endBlock, void *scratch) const {
  assert(shape.hasMask == (pointers.mask != nullptr));
  char *memory = static_cast<char *>(scratch);
  Staging stage;
  stage.scores = reinterpret_cast<float *>(memory + scoresOffset);
  stage.pairs = memory + pairsOffset;
  stage.queries = memory + queriesOffset;
  stage.output = reinterpret_cast<float *>(memory + outputOffset);
  stage.buffer = memory + bufferOffset;
  stage.maximum = reinterpret_cast<float *>(memory + stateOffset);
  stage.sum = stage.maximum + blockQueries;
  stage.correction = stage.sum + blockQueries;
  stage.mask = reinterpret_cast<float *>(memory + maskOffset);
  stage.keys = memory + keysOffset;
  stage.values = memory + valuesOffset;
  for (int64_t index = beginBlock; index != endBlock; ++index) {
    Block block = blockOf(index);
    packQueries(block, pointers.q, stage);
    for (int64_t keyBlock = 0; keyBlock != keyBlocks; ++keyBlock)
      runKeys(block, keyBlock, pointers, stage);
    storeOutput(block, pointers, stage);
  }
}
