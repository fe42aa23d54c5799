//===- Attention.h - Scaled dot-product attention on the CPU ----*- C++ -*-===//
//
//   O[b, t, h] = sum_s softmax_s(scale Q[b, t, h] . K[b, s, h] + mask) V[b, s,
//   h]
//
// One *block* is up to 64 queries of one head; it goes over the keys in blocks
// with the online softmax, so that the scores of a block, never T x T, exist:
//
//   scores^T [key][query]  = K Q^T      microkernel, K read where it is
//   p = 2^(...)            in place     vectors along the queries
//   output^T [d][query]   += V^T p      microkernel
//
// With the query as the vector dimension the softmax needs no shuffles, any
// head dimension runs at full speed and fp32 copies neither K nor V; only Q
// is transposed before, and the output after. bf16 transposes V once a head.
//
// Blocks and the order of every sum depend on the shape alone. Scores, softmax
// and sums are fp32; with the bf16 dot product p is rounded to bf16 for the
// second product, the sum of p is not. fp16, odd bf16 and CPUs without the dot
// product are widened to fp32. A row whose keys are all masked by -inf is NaN,
// as in PyTorch.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_KERNELS_ATTENTION_ATTENTION_H
#define DIT_RUNTIME_KERNELS_ATTENTION_ATTENTION_H

#include "runtime/kernels/Microkernel.h"
#include "runtime/kernels/tile/TileOperations.h"
#include "runtime/plan/ElementType.h"

#include "llvm/Support/Error.h"

#include <cstddef>
#include <cstdint>

namespace dit::runtime {

/// dit.proto.Attention without its places. All strides are in elements.
struct AttentionShape {
  /// Strides of [batch, token, head, d]; d is contiguous.
  struct Operand {
    int64_t batchStride = 0;
    int64_t tokenStride = 0;
    int64_t headStride = 0;
  };
  int64_t batch = 1;
  int64_t heads = 1;
  int64_t queryTokens = 0;
  int64_t keyTokens = 0;
  int64_t headDim = 0;  ///< of q and k
  int64_t valueDim = 0; ///< of v and the output
  float scale = 1;
  plan::ElementType type = plan::ElementType::F32; ///< F32, F16 or BF16
  Operand q, k, v, output;
  bool hasMask = false;
  int64_t maskBatchStride = 0; ///< 0 where broadcast, as the next three
  int64_t maskHeadStride = 0;
  int64_t maskQueryStride = 0;
  int64_t maskKeyStride = 0;
  int64_t keyHeadGroup = 1; ///< query heads that share a head of k and v
};

/// Where the operands are. The output may be q, and may not overlap k or v.
struct AttentionPointers {
  const void *q = nullptr;
  const void *k = nullptr;
  const void *v = nullptr;
  void *output = nullptr;
  const float *mask = nullptr; ///< set exactly if the shape has a mask
  float *logSumExp = nullptr;  ///< [batch, heads, queryTokens], or null
};

/// Attention prepared for one shape; immutable, so threads may share it.
class AttentionKernel {
public:
  /// Checks the shape and generates its microkernels. `set` is lowered in
  /// tests only.
  static llvm::Expected<AttentionKernel>
  create(const AttentionShape &shape,
         InstructionSet set = hostInstructionSet());

  /// batch * heads * blocks of queries; depends on the shape alone.
  int64_t blocks() const { return shape.batch * shape.heads * queryBlocks; }

  /// Bytes of scratch memory each thread needs, a multiple of 64; depends on
  /// the shape and the instruction set.
  size_t scratchBytes() const { return scratchSize; }

  /// Computes the blocks [beginBlock, endBlock). `scratch` is 64-byte aligned
  /// and not used by anyone else meanwhile.
  void run(const AttentionPointers &pointers, int64_t beginBlock,
           int64_t endBlock, void *scratch) const;

private:
  /// What one run keeps from block to block, and its scratch memory.
  struct Staging;

  /// The queries of a block, padded to `lanes`.
  struct Block {
    int64_t batch, head, query, queries, lanes;
  };

  void cutBlocks();
  void placeScratch();
  llvm::Error generateKernels();
  Block blockOf(int64_t index) const;
  void packQueries(const Block &block, const void *q, Staging &stage) const;
  void stageKeys(const Block &block, int64_t keyBlock,
                 const AttentionPointers &pointers, Staging &stage) const;
  void stageMask(const Block &block, int64_t key, int64_t keys,
                 const float *mask, Staging &stage) const;
  void runKeys(const Block &block, int64_t keyBlock,
               const AttentionPointers &pointers, Staging &stage) const;
  void storeOutput(const Block &block, const AttentionPointers &pointers,
                   Staging &stage) const;

  AttentionShape shape;
  const TileOperations *operations = nullptr;
  bool pairs = false;         // bf16 dot products
  bool keysInPlace = false;   // k is read where it is
  bool valuesInPlace = false; // v too
  bool natural = false;       // exponents in units of e
  int64_t queryBlocks = 0;
  int64_t blockQueries = 0;
  int64_t keyBlocks = 0;
  int64_t blockKeys = 0;
  int64_t stagedBlocks = 0; // key blocks that stay staged: all, or one
  size_t keyBytes = 0, valueBytes = 0; // of one staged block
  size_t scoresOffset = 0, pairsOffset = 0, queriesOffset = 0, outputOffset = 0;
  size_t bufferOffset = 0, stateOffset = 0, maskOffset = 0;
  size_t keysOffset = 0, valuesOffset = 0, scratchSize = 0;
  // [full, last query block][full, last key block]
  Microkernel scoreKernels[2][2];
  // ... [overwrite, accumulate]
  Microkernel outputKernels[2][2][2];
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_KERNELS_ATTENTION_ATTENTION_H
