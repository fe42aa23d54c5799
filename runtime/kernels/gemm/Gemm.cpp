//===- Gemm.cpp - Matrix products on the CPU ------------------------------===//
//
// Blocks are numbered so that neighbours share: groups of row tiles whose part
// of A fits half a second-level cache go over all panels of B, panel by panel.
// A panel so is read from memory once a group, a group's rows once.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/gemm/Gemm.h"

#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <cassert>

using namespace dit::runtime;
using dit::plan::elementBytes;
using dit::plan::elementName;
using dit::plan::ElementType;

/// Rows of a tile: a product long enough to hide the call, an 8 KB sum buffer.
static constexpr int64_t fullTileRows = 64;
/// Below so many blocks tiles get fewer rows (but 16, which cost 2 %), so that
/// more threads find work; not if each tile would stage its panel again.
static constexpr int64_t fewBlocks = 16;
/// Columns of a panel that is not packed beforehand.
static constexpr int64_t stagedColumns = 32;
/// Bytes of A that one group of tiles may take of the second-level cache.
static constexpr int64_t groupBytes = 512 << 10;
/// Bytes of one row of a chunk of k: rows and a panel of it fit the cache.
static constexpr int64_t chunkBytes = 8 << 10;

static int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t roundUp(int64_t a, int64_t b) { return ceilDivide(a, b) * b; }

static bool isTileType(ElementType type) {
  return type == ElementType::F32 || type == ElementType::F16 ||
         type == ElementType::BF16;
}

/// Why `shape` cannot be run, or success.
static llvm::Error checkShape(const GemmShape &shape) {
  auto fail = [&](const llvm::Twine &why) {
    return llvm::createStringError(
        llvm::formatv("gemm of m {0}, n {1}, k {2}: {3}", shape.m, shape.n,
                      shape.k, why.str()));
  };
  if (shape.m < 1 || shape.n < 1 || shape.k < 1 || shape.batch < 1)
    return fail("sizes must be positive");
  if (!isTileType(shape.aType) || shape.bType != shape.aType)
    return fail(llvm::Twine("A is ") + elementName(shape.aType) + " and B " +
                elementName(shape.bType) +
                ", but both must be f32, both f16 or both bf16");
  for (ElementType type : {shape.cType, shape.biasType, shape.gateType})
    if (!isTileType(type))
      return fail(llvm::Twine("C, bias and gate must be f32, f16 or bf16, "
                              "not ") +
                  elementName(type));
  int64_t columns = shape.packed.columns, vnni = shape.packed.vnni;
  if (shape.packed.isPacked() && columns != 32 && columns != 64)
    return fail("panels of " + llvm::Twine(columns) +
                " columns; they must have 32 or 64");
  if (shape.packed.isPacked() && vnni != 1 &&
      !(vnni == 2 && shape.bType == ElementType::BF16))
    return fail("groups of " + llvm::Twine(vnni) +
                " k in a panel; there must be 1, or 2 for bf16");
  return llvm::Error::success();
}

int64_t GemmKernel::blocks() const { return shape.batch * rowTiles * panels; }

llvm::Expected<GemmKernel> GemmKernel::create(const GemmShape &shape,
                                              InstructionSet set) {
  if (llvm::Error err = checkShape(shape))
    return std::move(err);
  GemmKernel kernel;
  kernel.shape = shape;
  kernel.operations = &tileOperations(set);
  const bool isPacked = shape.packed.isPacked();
  kernel.pairs = shape.aType == ElementType::BF16 &&
                 set == InstructionSet::V4BF16 && shape.k % 2 == 0 &&
                 (!isPacked || shape.packed.vnni == 2);
  const bool computesAsStored = shape.aType == ElementType::F32 || kernel.pairs;
  // The microkernel wants rows apart, and rows of pairs at whole pairs.
  kernel.rowsInPlace =
      computesAsStored && !shape.transposeA &&
      (shape.m == 1 ||
       (shape.lda >= shape.k && !(kernel.pairs && shape.lda % 2 != 0)));
  kernel.panelInPlace = computesAsStored && isPacked;

  kernel.panelColumns = isPacked ? shape.packed.columns : stagedColumns;
  kernel.panels = ceilDivide(shape.n, kernel.panelColumns);
  kernel.tileRows = std::min(fullTileRows, shape.m);
  kernel.rowTiles = ceilDivide(shape.m, kernel.tileRows);
  while (kernel.panelInPlace && kernel.blocks() < fewBlocks &&
         kernel.tileRows > 16) {
    kernel.tileRows /= 2;
    kernel.rowTiles = ceilDivide(shape.m, kernel.tileRows);
  }
  const int64_t bytes = kernel.pairs ? 2 : 4;
  // Rows that are staged are staged once: their tile visits all panels.
  kernel.groupTiles =
      kernel.rowsInPlace ? std::clamp<int64_t>(
                               groupBytes / (kernel.tileRows * shape.k * bytes),
                               1, kernel.rowTiles)
                         : 1;
  kernel.chunk =
      roundUp(ceilDivide(shape.k, ceilDivide(shape.k * bytes, chunkBytes)), 16);
  const int64_t chunks = ceilDivide(shape.k, kernel.chunk);

  // Scratch: sums, then staged rows, panel and a buffer for 16 rows of either
  // before they are transposed.
  const int64_t evenK = roundUp(shape.k, 2);
  size_t offset = kernel.tileRows * kernel.panelColumns * 4;
  auto reserve = [&](int64_t size) {
    size_t begin = offset;
    offset += roundUp(size, 64);
    return begin;
  };
  offset = roundUp(offset, 64);
  if (!kernel.rowsInPlace)
    kernel.rowsOffset = reserve(kernel.tileRows * evenK * bytes);
  if (!kernel.panelInPlace)
    kernel.panelOffset = reserve(kernel.panelColumns * evenK * bytes);
  if (shape.aType != ElementType::F32 &&
      !(kernel.rowsInPlace && kernel.panelInPlace))
    kernel.bufferOffset = reserve(16 * 64 * 4);
  kernel.scratchSize = offset;

  MicrokernelShape product;
  product.lanes = product.panelStride = product.sumStride = kernel.panelColumns;
  product.rowStride = kernel.rowsInPlace && shape.m != 1 ? shape.lda : evenK;
  product.pairs = kernel.pairs;
  product.rowsTransposed = false;
  const int64_t lastRows = shape.m - (kernel.rowTiles - 1) * kernel.tileRows;
  const int64_t lastChunk = shape.k - (chunks - 1) * kernel.chunk;
  for (int isLastTile : {0, 1})
    for (int isLastChunk : {0, 1})
      for (int accumulate : {0, 1}) {
        if ((kernel.rowTiles == 1 && !isLastTile) ||
            (chunks == 1 && !isLastChunk) || (chunks == 1 && accumulate))
          continue;
        product.rows = isLastTile ? lastRows : kernel.tileRows;
        product.k = isLastChunk ? lastChunk : std::min(kernel.chunk, shape.k);
        product.accumulate = accumulate;
        llvm::Expected<Microkernel> made = Microkernel::create(product);
        if (!made)
          return made.takeError();
        kernel.kernels[isLastTile][isLastChunk][accumulate] = *made;
      }
  return kernel;
}

/// The part of the scratch memory a run uses, and what is in it.
struct GemmKernel::Staging {
  char *rows = nullptr;
  char *panel = nullptr;
  char *buffer = nullptr;
  int64_t rowsBatch = -1, rowsRow = -1;
  int64_t panelBatch = -1, panelColumn = -1;
};

GemmKernel::Tile GemmKernel::tileOf(int64_t block) const {
  Tile tile;
  tile.batch = block / (rowTiles * panels);
  int64_t inBatch = block % (rowTiles * panels);
  int64_t group = inBatch / (groupTiles * panels);
  int64_t inGroup = inBatch % (groupTiles * panels);
  int64_t tilesHere = std::min(groupTiles, rowTiles - group * groupTiles);
  int64_t rowTile = group * groupTiles + inGroup % tilesHere;
  tile.row = rowTile * tileRows;
  tile.rows = std::min(tileRows, shape.m - tile.row);
  tile.column = inGroup / tilesHere * panelColumns;
  tile.columns = std::min(panelColumns, shape.n - tile.column);
  return tile;
}

/// Brings a tile's rows of A to [rows][K rounded up to even] of the type that
/// is computed with.
const char *GemmKernel::stageRows(const Tile &tile, const char *a,
                                  Staging &stage) const {
  const int64_t bytes = elementBytes(shape.aType);
  a += tile.batch * shape.strideA * bytes;
  if (rowsInPlace)
    return a + tile.row * shape.lda * bytes;
  if (stage.rowsBatch == tile.batch && stage.rowsRow == tile.row)
    return stage.rows;
  stage.rowsBatch = tile.batch;
  stage.rowsRow = tile.row;

  const int64_t evenK = roundUp(shape.k, 2);
  float *rows = reinterpret_cast<float *>(stage.rows);
  if (!shape.transposeA) {
    for (int64_t row = 0; row != tile.rows; ++row) {
      const char *from = a + (tile.row + row) * shape.lda * bytes;
      if (pairs)
        std::copy_n(from, shape.k * bytes, stage.rows + row * evenK * bytes);
      else
        operations->widen(shape.aType, from, rows + row * evenK, shape.k);
    }
    return stage.rows;
  }
  a += tile.row * bytes;
  if (shape.aType == ElementType::F32) {
    operations->transpose(a, shape.lda, shape.k, tile.rows, rows, evenK);
    return stage.rows;
  }
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
                          tile.rows, stage.rows + k * (pairs ? 2 : 4),
                          pairs ? evenK / 2 : evenK);
  }
  return stage.rows;
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

void GemmKernel::multiply(const Tile &tile, const char *rows, const char *panel,
                          float *sums) const {
  const int64_t bytes = pairs ? 2 : 4;
  const bool isLastTile = tile.row + tileRows >= shape.m;
  for (int64_t k = 0; k < shape.k; k += chunk)
    kernels[isLastTile][k + chunk >= shape.k][k != 0](
        panel + k * panelColumns * bytes, rows + k * bytes, sums);
}

void GemmKernel::finish(const Tile &tile, const GemmPointers &pointers,
                        const float *sums) const {
  auto at = [](const void *base, int64_t index, ElementType type) {
    return base ? static_cast<const char *>(base) + index * elementBytes(type)
                : nullptr;
  };
  const int64_t cBytes = elementBytes(shape.cType);
  EpilogueTile epilogue;
  epilogue.sums = sums;
  epilogue.sumsStride = panelColumns;
  epilogue.rows = tile.rows;
  epilogue.columns = tile.columns;
  epilogue.c =
      static_cast<char *>(pointers.c) +
      (tile.batch * shape.strideC + tile.row * shape.ldc + tile.column) *
          cBytes;
  epilogue.cStride = shape.ldc;
  epilogue.cType = shape.cType;
  epilogue.activation = shape.activation;
  epilogue.bias = at(pointers.bias, tile.column, shape.biasType);
  epilogue.biasType = shape.biasType;
  epilogue.gate = at(pointers.gate, tile.column, shape.gateType);
  epilogue.gateStride = shape.gateStride;
  epilogue.gateType = shape.gateType;
  epilogue.firstRow = tile.row;
  epilogue.rowsPerGate = shape.rowsPerGate;
  epilogue.residual = at(pointers.residual,
                         tile.batch * shape.strideC +
                             tile.row * shape.residualStride + tile.column,
                         shape.cType);
  epilogue.residualStride = shape.residualStride;
  epilogue.beta = shape.beta;
  operations->epilogue(epilogue);
}

void GemmKernel::run(const GemmPointers &pointers, int64_t beginBlock,
                     int64_t endBlock, void *scratch) const {
  assert(!pointers.gate || shape.rowsPerGate > 0);
  char *memory = static_cast<char *>(scratch);
  float *sums = static_cast<float *>(scratch);
  Staging stage;
  stage.rows = memory + rowsOffset;
  stage.panel = memory + panelOffset;
  stage.buffer = memory + bufferOffset;
  for (int64_t block = beginBlock; block != endBlock; ++block) {
    Tile tile = tileOf(block);
    const char *rows =
        stageRows(tile, static_cast<const char *>(pointers.a), stage);
    const char *panel =
        stagePanel(tile, static_cast<const char *>(pointers.b), stage);
    multiply(tile, rows, panel, sums);
    finish(tile, pointers, sums);
  }
}
