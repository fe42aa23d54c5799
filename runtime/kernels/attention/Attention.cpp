//===- Attention.cpp - Scaled dot-product attention on the CPU ------------===//
//
// Blocks are numbered [batch][head][query block], so a run of blocks of one
// head stages its keys and values (where they are not read in place) once, if
// all of them fit `stagedBytes`; else once for each block of queries.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/attention/Staging.h"

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

llvm::Error dit::runtime::checkAttention(const AttentionShape &shape) {
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
  if (llvm::Error err = checkAttention(shape))
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

  kernel.cutBlocks();
  kernel.placeScratch();
  if (llvm::Error err = kernel.generateKernels())
    return std::move(err);
  return kernel;
}

/// Chooses how many queries and keys a block has.
void AttentionKernel::cutBlocks() {
  // Even blocks: 77 queries are 64 + 13 or 48 + 29; lanes come in 32s.
  const int64_t most = ceilDivide(shape.queryTokens, fullBlockQueries);
  blockQueries = roundUp(ceilDivide(shape.queryTokens, most), 32);
  if (shape.batch * shape.heads * most < fewBlocks)
    blockQueries = 32;
  queryBlocks = ceilDivide(shape.queryTokens, blockQueries);
  blockKeys = roundUp(
      ceilDivide(shape.keyTokens, ceilDivide(shape.keyTokens, fullBlockKeys)),
      2);
  keyBlocks = ceilDivide(shape.keyTokens, blockKeys);
}

/// Gives the parts of the scratch memory their places.
void AttentionKernel::placeScratch() {
  const int64_t lanes = blockQueries, keys = blockKeys;
  auto reserve = [&](int64_t bytes) {
    size_t begin = scratchSize;
    scratchSize += roundUp(bytes, 64);
    return begin;
  };
  scoresOffset = reserve(keys * lanes * 4);
  pairsOffset = reserve(pairs ? keys * lanes * 2 : 0);
  queriesOffset = reserve(shape.headDim * lanes * 4);
  outputOffset = reserve(shape.valueDim * lanes * 4);
  bufferOffset = reserve(lanes * std::max(shape.headDim, shape.valueDim) * 4);
  stateOffset = reserve(3 * lanes * 4);
  maskOffset = reserve(shape.hasMask ? keys * lanes * 4 : 0);
  if (!keysInPlace)
    keyBytes = roundUp(keys * shape.headDim * 4, 64);
  if (!valuesInPlace)
    valueBytes = roundUp(keys * shape.valueDim * (pairs ? 2 : 4), 64);
  const int64_t staged = static_cast<int64_t>(keyBytes + valueBytes);
  stagedBlocks = staged * keyBlocks <= stagedBytes ? keyBlocks : 1;
  keysOffset = reserve(static_cast<int64_t>(keyBytes) * stagedBlocks);
  valuesOffset = reserve(static_cast<int64_t>(valueBytes) * stagedBlocks);
}

/// Generates the products for full and last blocks.
llvm::Error AttentionKernel::generateKernels() {
  const int64_t lastLanes =
      roundUp(shape.queryTokens - (queryBlocks - 1) * blockQueries, 32);
  const int64_t lastKeys = shape.keyTokens - (keyBlocks - 1) * blockKeys;
  const bool oneKey = shape.keyTokens == 1; // its stride may be anything
  for (int isLastQuery = queryBlocks == 1; isLastQuery != 2; ++isLastQuery)
    for (int isLastKey = keyBlocks == 1; isLastKey != 2; ++isLastKey) {
      const int64_t keys = isLastKey ? lastKeys : blockKeys;
      MicrokernelShape product;
      product.lanes = isLastQuery ? lastLanes : blockQueries;
      product.panelStride = product.sumStride = product.lanes;
      product.pairs = pairs;
      product.rows = keys;
      product.k = shape.headDim;
      product.rowStride =
          keysInPlace && !oneKey ? shape.k.tokenStride : shape.headDim;
      product.rowsTransposed = false;
      product.accumulate = false;
      if (llvm::Error err =
              scoreKernels[isLastQuery][isLastKey].generate(product))
        return err;

      product.rows = shape.valueDim;
      product.k = pairs ? roundUp(keys, 2) : keys;
      product.rowStride = pairs                      ? blockKeys
                          : valuesInPlace && !oneKey ? shape.v.tokenStride
                                                     : shape.valueDim;
      product.rowsTransposed = !pairs;
      for (bool accumulate : {false, true}) {
        product.accumulate = accumulate;
        if (llvm::Error err =
                outputKernels[isLastQuery][isLastKey][accumulate].generate(
                    product))
          return err;
      }
    }
  return llvm::Error::success();
}

AttentionKernel::Block AttentionKernel::blockOf(int64_t index) const {
  Block block;
  block.batch = index / queryBlocks / shape.heads;
  block.head = index / queryBlocks % shape.heads;
  block.query = index % queryBlocks * blockQueries;
  block.queries = std::min(blockQueries, shape.queryTokens - block.query);
  block.lanes = roundUp(block.queries, 32);
  return block;
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
