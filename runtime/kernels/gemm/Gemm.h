//===- Gemm.h - Matrix products on the CPU ----------------------*- C++ -*-===//
//
//   C[i] = residual + gate * activation(A[i] B[i] + bias) + beta * C[i]
//
// The output is cut into tiles of up to 64 rows by one panel of columns; a
// tile is one *block*, computed by one thread from start to end: product by a
// generated microkernel into a small fp32 buffer, epilogue while that is in
// the first-level cache. Tiles, and the order of the sums over k, depend only
// on the shape, so the bits do not depend on who runs which blocks.
//
//   row-major B, or A of another type or transposed: a tile's part is first
//   brought into the microkernel's layout in the thread's scratch memory.
//
// Sums are fp32. bf16 uses the CPU's bf16 dot product where there is one and K
// is even; else bf16, and fp16 always, are widened to fp32 tile by tile.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_KERNELS_GEMM_GEMM_H
#define DIT_RUNTIME_KERNELS_GEMM_GEMM_H

#include "runtime/kernels/Microkernel.h"
#include "runtime/kernels/tile/TileOperations.h"
#include "runtime/plan/ElementType.h"
#include "runtime/plan/Packing.h"

#include "llvm/Support/Error.h"

#include <cstddef>
#include <cstdint>

namespace dit::runtime {

/// dit.proto.Gemm without its places. Strides and leading dimensions are in
/// elements; what an absent operand leaves unset is ignored.
struct GemmShape {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t batch = 1;
  plan::ElementType aType = plan::ElementType::F32; ///< F32, F16 or BF16
  plan::ElementType bType = plan::ElementType::F32; ///< the same as aType
  plan::ElementType cType = plan::ElementType::F32; ///< F32, F16 or BF16
  bool transposeA = false;                          ///< A is [K, M]
  bool transposeB = false;                          ///< B is [N, K]
  plan::PanelLayout packed; ///< B is packed; then transposeB, ldb are ignored
  int64_t lda = 0;
  int64_t ldb = 0;
  int64_t ldc = 0;
  int64_t strideA = 0; ///< of the batch; 0: all use the same
  int64_t strideB = 0;
  int64_t strideC = 0;
  plan::ElementType biasType = plan::ElementType::F32;
  Activation activation = Activation::Identity;
  plan::ElementType gateType = plan::ElementType::F32;
  int64_t rowsPerGate = 0; ///< positive if there is a gate
  int64_t gateStride = 0;
  int64_t residualStride = 0; ///< of its rows; its batches are strideC apart
  float beta = 0;
};

/// Where a product's operands are. All may be unaligned to vectors; C may be
/// the residual, and may not overlap A, B, bias or gate.
struct GemmPointers {
  const void *a = nullptr;
  const void *b = nullptr;
  void *c = nullptr;
  const void *bias = nullptr;     ///< [N] or null
  const void *gate = nullptr;     ///< [ceil(M / rowsPerGate), N] or null; all
                                  ///< batches use the same
  const void *residual = nullptr; ///< like C, or null
};

/// A product prepared for one shape; immutable, so threads may share it.
class GemmKernel {
public:
  /// Checks the shape and generates its microkernels. Errors name what is
  /// unsupported: types, a packed layout of another width. `set` is lowered in
  /// tests only.
  static llvm::Expected<GemmKernel>
  create(const GemmShape &shape, InstructionSet set = hostInstructionSet());

  /// How many independent blocks there are; depends on the shape alone.
  int64_t blocks() const;

  /// Bytes of scratch memory each thread needs, a multiple of 64; depends on
  /// the shape and the instruction set.
  size_t scratchBytes() const { return scratchSize; }

  /// Computes the blocks [beginBlock, endBlock). `scratch` is 64-byte aligned
  /// and not used by anyone else meanwhile. Neighbouring blocks share parts of
  /// A and B: long ranges are faster than many short ones.
  void run(const GemmPointers &pointers, int64_t beginBlock, int64_t endBlock,
           void *scratch) const;

private:
  /// What one run of blocks keeps from block to block.
  struct Staging;

  /// Where a block lies.
  struct Tile {
    int64_t batch, row, rows, column, columns;
  };

  void cutTiles();
  void placeScratch();
  llvm::Error generateKernels();
  Tile tileOf(int64_t block) const;
  const char *stageRows(const Tile &tile, const char *a, Staging &stage) const;
  const char *stagePanel(const Tile &tile, const char *b, Staging &stage) const;
  void multiply(const Tile &tile, const char *rows, const char *panel,
                float *sums) const;
  void finish(const Tile &tile, const GemmPointers &pointers,
              const float *sums) const;

  GemmShape shape;
  const TileOperations *operations = nullptr;
  bool pairs = false;          // bf16 dot products
  bool rowsInPlace = false;    // A is read where it is
  bool rowsTransposed = false; // and is [K, M] there
  bool panelInPlace = false;   // B too
  int64_t panelColumns = 0;
  int64_t tileRows = 0;
  int64_t rowTiles = 0;
  int64_t panels = 0;
  int64_t stagedStride = 0; // of a staged row, elements
  int64_t groupTiles = 0;   // row tiles that go over the panels together
  int64_t chunk = 0;        // of k, for one microkernel
  size_t rowsOffset = 0, panelOffset = 0, bufferOffset = 0, scratchSize = 0;
  // [full tile, last tile][full chunk, last chunk][overwrite, accumulate]
  Microkernel kernels[2][2][2];
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_KERNELS_GEMM_GEMM_H
