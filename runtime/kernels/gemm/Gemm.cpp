//===- Gemm.cpp - Matrix products on the CPU ------------------------------===//
//
// Blocks are numbered so that neighbours share: groups of row tiles whose part
// of A fits half a second-level cache go over all panels of B, panel by panel.
// A panel so is read from memory once a group, a group's rows once.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/gemm/Staging.h"

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
/// Bytes of A that one group of tiles may take of the second-level cache; of
/// the third where each group stages all panels, which costs more than reading
/// A from there.
static constexpr int64_t groupBytes = 512 << 10, stagingGroupBytes = 4 << 20;
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
  kernel.rowsTransposed = shape.transposeA && shape.aType == ElementType::F32;
  kernel.rowsInPlace =
      kernel.rowsTransposed ||
      (computesAsStored && !shape.transposeA &&
       (shape.m == 1 ||
        (shape.lda >= shape.k && !(kernel.pairs && shape.lda % 2 != 0))));
  kernel.panelInPlace = computesAsStored && isPacked;

  kernel.cutTiles();
  kernel.placeScratch();
  if (llvm::Error err = kernel.generateKernels())
    return std::move(err);
  return kernel;
}

/// Chooses the tiles, their order and the chunks of k.
void GemmKernel::cutTiles() {
  panelColumns = shape.packed.isPacked() ? shape.packed.columns : stagedColumns;
  panels = ceilDivide(shape.n, panelColumns);
  tileRows = std::min(fullTileRows, shape.m);
  rowTiles = ceilDivide(shape.m, tileRows);
  while (panelInPlace && blocks() < fewBlocks && tileRows > 16) {
    tileRows /= 2;
    rowTiles = ceilDivide(shape.m, tileRows);
  }
  // An odd number of cache lines: rows 4096 bytes apart would share a few.
  const int64_t line = pairs ? 32 : 16;
  stagedStride = (ceilDivide(shape.k, line) | 1) * line;
  const int64_t rowBytes = shape.k * (pairs ? 2 : 4);
  // Rows that are staged are staged once: their group visits all panels.
  const int64_t most = panelInPlace ? groupBytes : stagingGroupBytes;
  groupTiles =
      rowsInPlace || !panelInPlace
          ? std::clamp<int64_t>(most / (tileRows * rowBytes), 1, rowTiles)
          : 1;
  chunk = roundUp(ceilDivide(shape.k, ceilDivide(rowBytes, chunkBytes)), 16);
}

/// Scratch: sums, then a group's staged rows, a panel and a buffer for 16 rows
/// of either before they are transposed.
void GemmKernel::placeScratch() {
  auto reserve = [&](int64_t size) {
    size_t begin = scratchSize;
    scratchSize += roundUp(size, 64);
    return begin;
  };
  const int64_t rowBytes = roundUp(shape.k, 2) * (pairs ? 2 : 4);
  reserve(tileRows * panelColumns * 4);
  if (!rowsInPlace)
    rowsOffset =
        reserve(groupTiles * tileRows * stagedStride * (pairs ? 2 : 4));
  if (!panelInPlace)
    panelOffset = reserve(panelColumns * rowBytes);
  if (shape.aType != ElementType::F32 && !(rowsInPlace && panelInPlace))
    bufferOffset = reserve(16 * 64 * 4);
}

/// Generates the products for full and last tiles and chunks.
llvm::Error GemmKernel::generateKernels() {
  const int64_t chunks = ceilDivide(shape.k, chunk);
  MicrokernelShape product;
  product.lanes = product.panelStride = product.sumStride = panelColumns;
  product.rowStride = rowsInPlace && (shape.m != 1 || rowsTransposed)
                          ? shape.lda
                          : stagedStride;
  product.pairs = pairs;
  product.rowsTransposed = rowsTransposed;
  for (int isLastTile = rowTiles == 1; isLastTile != 2; ++isLastTile)
    for (int isLastChunk = chunks == 1; isLastChunk != 2; ++isLastChunk)
      for (int accumulate = 0; accumulate != (chunks == 1 ? 1 : 2);
           ++accumulate) {
        product.rows =
            isLastTile ? shape.m - (rowTiles - 1) * tileRows : tileRows;
        product.k = isLastChunk ? shape.k - (chunks - 1) * chunk : chunk;
        product.accumulate = accumulate;
        if (llvm::Error err =
                kernels[isLastTile][isLastChunk][accumulate].generate(product))
          return err;
      }
  return llvm::Error::success();
}

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

void GemmKernel::multiply(const Tile &tile, const char *rows, const char *panel,
                          float *sums) const {
  const int64_t bytes = pairs ? 2 : 4;
  const int64_t stepOfK = rowsTransposed ? shape.lda : 1;
  const bool isLastTile = tile.row + tileRows >= shape.m;
  for (int64_t k = 0; k < shape.k; k += chunk)
    kernels[isLastTile][k + chunk >= shape.k][k != 0](
        panel + k * panelColumns * bytes, rows + k * stepOfK * bytes, sums);
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
  stage.hasTile.resize(groupTiles);
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
