//===- AttentionGrad.cpp - Gradient of attention on the CPU ---------------===//
//
// Blocks of queries stay staged from one block of keys to the next, if all of
// them fit `stagedBytes`.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/attention/AttentionGrad.h"

#include "runtime/kernels/attention/GradStaging.h"
#include "runtime/kernels/attention/Staging.h"

#include <algorithm>
#include <cassert>

using namespace dit::runtime;
using dit::plan::elementBytes;
using dit::plan::ElementType;

/// Queries and keys of a block at most: scores of 32 KB.
static constexpr int64_t fullBlockQueries = 64;
static constexpr int64_t fullBlockKeys = 128;
/// Bytes that the staged queries of all heads of a block may take.
static constexpr int64_t stagedBytes = 512 << 10;

static int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t roundUp(int64_t a, int64_t b) { return ceilDivide(a, b) * b; }

llvm::Expected<AttentionGradKernel>
AttentionGradKernel::create(const AttentionGradShape &shape,
                            InstructionSet set) {
  const AttentionShape &forward = shape.forward;
  if (llvm::Error err = checkAttention(forward))
    return std::move(err);
  AttentionGradKernel kernel;
  kernel.shape = shape;
  kernel.forward = forward;
  kernel.operations = &tileOperations(set);
  kernel.keyHeads = forward.heads / forward.keyHeadGroup;
  // The microkernels want rows apart, and the dot product pairs.
  auto apart = [](const AttentionShape::Operand &operand, int64_t tokens,
                  int64_t dim) {
    return tokens == 1 || operand.tokenStride >= dim;
  };
  const bool queriesApart =
      apart(forward.q, forward.queryTokens, forward.headDim);
  const bool gradsApart =
      apart(shape.outputGrad, forward.queryTokens, forward.valueDim);
  kernel.pairs = forward.type == ElementType::BF16 &&
                 set == InstructionSet::V4BF16 && queriesApart && gradsApart;
  for (int64_t number : {forward.headDim, forward.valueDim,
                         forward.q.tokenStride, forward.k.tokenStride,
                         forward.v.tokenStride, shape.outputGrad.tokenStride})
    kernel.pairs &= number % 2 == 0;
  const bool direct = kernel.pairs || forward.type == ElementType::F32;
  kernel.queriesInPlace = direct && queriesApart;
  kernel.gradsInPlace = direct && gradsApart;
  kernel.keysInPlace = forward.type == ElementType::F32 &&
                       apart(forward.k, forward.keyTokens, forward.headDim);

  kernel.cutBlocks();
  kernel.placeScratch();
  if (llvm::Error err = kernel.generateKernels())
    return std::move(err);
  return kernel;
}

/// Chooses how many queries and keys a block has: even ones, since 77 are 40
/// and 37 rather than 64 and 13.
void AttentionGradKernel::cutBlocks() {
  queryBlocks = ceilDivide(forward.queryTokens, fullBlockQueries);
  blockQueries = roundUp(ceilDivide(forward.queryTokens, queryBlocks), 2);
  queryBlocks = ceilDivide(forward.queryTokens, blockQueries);
  keyBlocks = ceilDivide(forward.keyTokens, fullBlockKeys);
  blockKeys = roundUp(ceilDivide(forward.keyTokens, keyBlocks), 16);
  keyBlocks = ceilDivide(forward.keyTokens, blockKeys);
}

/// Gives the parts of the scratch memory their places.
void AttentionGradKernel::placeScratch() {
  const int64_t dim = forward.headDim, valueDim = forward.valueDim;
  const int64_t group = forward.keyHeadGroup;
  const int64_t scores = blockQueries * blockKeys;
  auto reserve = [&](int64_t bytes) {
    size_t begin = scratchSize;
    scratchSize += roundUp(bytes, 64);
    return begin;
  };
  const int64_t element = pairs ? 2 : 4;
  keyPanelOffset = reserve(dim * blockKeys * element);
  valuePanelOffset = reserve(valueDim * blockKeys * element);
  keyRowsOffset = reserve(keysInPlace ? 0 : dim * blockKeys * element);
  keySumsOffset = reserve(dim * blockKeys * 4);
  valueSumsOffset = reserve(valueDim * blockKeys * 4);
  scoresOffset = reserve(scores * 4);
  cotangentsOffset = reserve(scores * 4);
  maskOffset = reserve(forward.hasMask ? scores * 4 : 0);
  probabilityPairsOffset = reserve(pairs ? scores * 2 : 0);
  gradPairsOffset = reserve(pairs ? scores * 2 : 0);
  roundedOffset = reserve(pairs ? scores * 2 : 0);
  querySumsOffset = reserve(group * forward.queryTokens * dim * 4);
  deltaOffset = reserve(group * forward.queryTokens * 4);
  factorsOffset = reserve(2 * blockKeys * 4);
  const bool widens = !pairs && forward.type != ElementType::F32;
  bufferOffset = reserve(widens ? blockKeys * valueDim * 4
                                : 16 * std::max(dim, valueDim) * 4);

  auto blockBytes = [&](bool wanted, int64_t width) {
    return static_cast<size_t>(
        wanted ? roundUp(blockQueries * width * element, 64) : 0);
  };
  queryRowBytes = blockBytes(!queriesInPlace, dim);
  gradRowBytes = blockBytes(!gradsInPlace, valueDim);
  queryColumnBytes = blockBytes(pairs, dim);
  gradColumnBytes = blockBytes(pairs, valueDim);
  const auto staged = static_cast<int64_t>(queryRowBytes + gradRowBytes +
                                           queryColumnBytes + gradColumnBytes);
  stagedBlocks = group * queryBlocks;
  if (staged * stagedBlocks > stagedBytes)
    stagedBlocks = 1;
  auto reserveBlocks = [&](size_t bytes) {
    return reserve(static_cast<int64_t>(bytes) * stagedBlocks);
  };
  queryRowsOffset = reserveBlocks(queryRowBytes);
  gradRowsOffset = reserveBlocks(gradRowBytes);
  queryColumnsOffset = reserveBlocks(queryColumnBytes);
  gradColumnsOffset = reserveBlocks(gradColumnBytes);
}

/// Generates the products for full and last blocks.
llvm::Error AttentionGradKernel::generateKernels() {
  const int64_t dim = forward.headDim, valueDim = forward.valueDim;
  const int64_t lastQueries =
      forward.queryTokens - (queryBlocks - 1) * blockQueries;
  const int64_t lastKeys = forward.keyTokens - (keyBlocks - 1) * blockKeys;
  auto strideOf = [](bool inPlace, const AttentionShape::Operand &operand,
                     int64_t tokens, int64_t dim) {
    return inPlace && tokens > 1 ? operand.tokenStride : dim;
  };
  const int64_t queryStride =
      strideOf(queriesInPlace, forward.q, forward.queryTokens, dim);
  const int64_t gradStride =
      strideOf(gradsInPlace, shape.outputGrad, forward.queryTokens, valueDim);
  for (int isLastQuery = queryBlocks == 1; isLastQuery != 2; ++isLastQuery)
    for (int isLastKey = keyBlocks == 1; isLastKey != 2; ++isLastKey) {
      const int64_t queries = isLastQuery ? lastQueries : blockQueries;
      const int64_t keys = isLastKey ? lastKeys : blockKeys;
      Products &all = products[isLastQuery][isLastKey];
      MicrokernelShape product;
      product.lanes = product.panelStride = product.sumStride =
          roundUp(keys, 16);
      product.pairs = pairs;
      product.rowsTransposed = product.accumulate = false;
      product.rows = queries;
      product.k = dim;
      product.rowStride = queryStride;
      if (llvm::Error err = all.scores.generate(product))
        return err;
      product.k = valueDim;
      product.rowStride = gradStride;
      if (llvm::Error err = all.cotangents.generate(product))
        return err;

      MicrokernelShape sums = product; // of keys
      sums.rowsTransposed = !pairs;
      sums.k = pairs ? roundUp(queries, 2) : queries;
      MicrokernelShape rows = product; // of queries
      rows.lanes = rows.sumStride = dim;
      rows.k = pairs ? roundUp(keys, 2) : keys;
      rows.rowStride = product.lanes;
      rows.panelStride =
          strideOf(keysInPlace, forward.k, forward.keyTokens, dim);
      for (bool accumulate : {false, true}) {
        sums.accumulate = rows.accumulate = accumulate;
        sums.rows = valueDim;
        sums.rowStride = pairs ? blockQueries : gradStride;
        if (llvm::Error err = all.valueGrad[accumulate].generate(sums))
          return err;
        sums.rows = dim;
        sums.rowStride = pairs ? blockQueries : queryStride;
        if (llvm::Error err = all.keyGrad[accumulate].generate(sums))
          return err;
        if (llvm::Error err = all.queryGrad[accumulate].generate(rows))
          return err;
      }
    }
  return llvm::Error::success();
}

AttentionGradKernel::Keys AttentionGradKernel::keysOf(int64_t block,
                                                      int64_t index) const {
  Keys keys;
  keys.batch = block / keyHeads;
  keys.head = block % keyHeads;
  keys.index = index;
  keys.key = index * blockKeys;
  keys.keys = std::min(blockKeys, forward.keyTokens - keys.key);
  keys.lanes = roundUp(keys.keys, 16);
  keys.last = index + 1 == keyBlocks;
  return keys;
}

AttentionGradKernel::Queries
AttentionGradKernel::queriesOf(const Keys &keys, int64_t member,
                               int64_t index) const {
  Queries queries;
  queries.head = keys.head * forward.keyHeadGroup + member;
  queries.member = member;
  queries.index = index;
  queries.query = index * blockQueries;
  queries.queries = std::min(blockQueries, forward.queryTokens - queries.query);
  queries.last = index + 1 == queryBlocks;
  return queries;
}

AttentionGradKernel::Staging
AttentionGradKernel::stagingIn(void *scratch) const {
  char *memory = static_cast<char *>(scratch);
  auto floats = [&](size_t offset) {
    return reinterpret_cast<float *>(memory + offset);
  };
  Staging stage;
  stage.keyPanel = memory + keyPanelOffset;
  stage.valuePanel = memory + valuePanelOffset;
  stage.keyRows = memory + keyRowsOffset;
  stage.keySums = floats(keySumsOffset);
  stage.valueSums = floats(valueSumsOffset);
  stage.queryRows = memory + queryRowsOffset;
  stage.gradRows = memory + gradRowsOffset;
  stage.queryColumns = memory + queryColumnsOffset;
  stage.gradColumns = memory + gradColumnsOffset;
  stage.scores = floats(scoresOffset);
  stage.cotangents = floats(cotangentsOffset);
  stage.mask = floats(maskOffset);
  stage.probabilityPairs = memory + probabilityPairsOffset;
  stage.gradPairs = memory + gradPairsOffset;
  stage.rounded = memory + roundedOffset;
  stage.querySums = floats(querySumsOffset);
  stage.delta = floats(deltaOffset);
  stage.factors = floats(factorsOffset);
  stage.buffer = memory + bufferOffset;
  std::fill_n(stage.factors, blockKeys, forward.scale);
  std::fill_n(stage.factors + blockKeys, blockKeys, 1.0f);
  return stage;
}

/// Adds what a pair of blocks gives to all three gradients.
void AttentionGradKernel::runQueries(const Keys &keys, const Queries &queries,
                                     const AttentionGradPointers &pointers,
                                     Staging &stage) const {
  const Products &product = products[queries.last][keys.last];
  const int64_t slot =
      (queries.member * queryBlocks + queries.index) % stagedBlocks;
  const char *queryRows =
      queriesInPlace ? addressOf(pointers.q, forward.type, forward.q,
                                 keys.batch, queries.query, queries.head)
                     : stage.queryRows + slot * queryRowBytes;
  const char *gradRows =
      gradsInPlace
          ? addressOf(pointers.outputGrad, forward.type, shape.outputGrad,
                      keys.batch, queries.query, queries.head)
          : stage.gradRows + slot * gradRowBytes;
  product.scores(stage.keyPanel, queryRows, stage.scores);
  product.cotangents(stage.valuePanel, gradRows, stage.cotangents);

  if (forward.hasMask)
    stageMask(keys, queries, pointers.mask, stage);
  SoftmaxGradBlock softmax;
  softmax.scores = stage.scores;
  softmax.cotangents = stage.cotangents;
  softmax.queries = queries.queries;
  softmax.lanes = keys.lanes;
  softmax.keys = keys.keys;
  softmax.scale = forward.scale;
  softmax.mask = forward.hasMask ? stage.mask : nullptr;
  softmax.logSumExp =
      pointers.logSumExp +
      (keys.batch * forward.heads + queries.head) * forward.queryTokens +
      queries.query;
  softmax.delta =
      stage.delta + queries.member * forward.queryTokens + queries.query;
  softmax.probabilityPairs = pairs ? stage.probabilityPairs : nullptr;
  softmax.gradPairs = pairs ? stage.gradPairs : nullptr;
  softmax.gradRows = pairs ? stage.rounded : nullptr;
  operations->softmaxGrad(softmax);

  const bool more = queries.member != 0 || queries.index != 0;
  const char *k = keysInPlace ? addressOf(pointers.k, forward.type, forward.k,
                                          keys.batch, keys.key, keys.head)
                              : stage.keyRows;
  float *querySums =
      stage.querySums +
      (queries.member * forward.queryTokens + queries.query) * forward.headDim;
  if (pairs) {
    product.valueGrad[more](stage.probabilityPairs,
                            stage.gradColumns + slot * gradColumnBytes,
                            stage.valueSums);
    product.keyGrad[more](stage.gradPairs,
                          stage.queryColumns + slot * queryColumnBytes,
                          stage.keySums);
    product.queryGrad[keys.index != 0](k, stage.rounded, querySums);
    return;
  }
  product.valueGrad[more](stage.scores, gradRows, stage.valueSums);
  product.keyGrad[more](stage.cotangents, queryRows, stage.keySums);
  product.queryGrad[keys.index != 0](k, stage.cotangents, querySums);
}

void AttentionGradKernel::storeQueries(const Keys &keys, const Queries &queries,
                                       void *queryGrad, Staging &stage) const {
  const int64_t row = queries.member * forward.queryTokens + queries.query;
  operations->storeRows(
      stage.querySums + row * forward.headDim, forward.headDim, queries.queries,
      forward.headDim, forward.scale, forward.type,
      const_cast<char *>(addressOf(queryGrad, forward.type, shape.queryGrad,
                                   keys.batch, queries.query, queries.head)),
      shape.queryGrad.tokenStride);
}

void AttentionGradKernel::storeKeys(const Keys &keys,
                                    const AttentionGradPointers &pointers,
                                    Staging &stage) const {
  auto store = [&](const float *sums, int64_t dim, const float *factors,
                   void *base, const AttentionShape::Operand &operand) {
    operations->storeTransposed(
        sums, keys.lanes, dim, keys.keys, factors, forward.type,
        const_cast<char *>(addressOf(base, forward.type, operand, keys.batch,
                                     keys.key, keys.head)),
        operand.tokenStride);
  };
  store(stage.keySums, forward.headDim, stage.factors, pointers.keyGrad,
        shape.keyGrad);
  store(stage.valueSums, forward.valueDim, stage.factors + blockKeys,
        pointers.valueGrad, shape.valueGrad);
}

void AttentionGradKernel::run(const AttentionGradPointers &pointers,
                              int64_t beginBlock, int64_t endBlock,
                              void *scratch) const {
  assert(forward.hasMask == (pointers.mask != nullptr));
  Staging stage = stagingIn(scratch);
  for (int64_t block = beginBlock; block != endBlock; ++block)
    for (int64_t keyBlock = 0; keyBlock != keyBlocks; ++keyBlock) {
      Keys keys = keysOf(block, keyBlock);
      stageKeys(keys, pointers, stage);
      if (block + 1 != endBlock)
        prefetch(block + 1, pointers);
      for (int64_t member = 0; member != forward.keyHeadGroup; ++member)
        for (int64_t index = 0; index != queryBlocks; ++index) {
          Queries queries = queriesOf(keys, member, index);
          stageQueries(keys, queries, pointers, stage);
          runQueries(keys, queries, pointers, stage);
          if (keys.last)
            storeQueries(keys, queries, pointers.queryGrad, stage);
        }
      storeKeys(keys, pointers, stage);
    }
}
