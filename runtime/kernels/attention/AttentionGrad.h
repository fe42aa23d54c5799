//===- AttentionGrad.h - Gradient of attention on the CPU -------*- C++ -*-===//
//
// The cotangents of q, k and v from that of the output, with the probabilities
// made again from the forward's log sum exp; never T x T in memory. One *block*
// is all heads of the query that share one head of k and v: it is the only
// owner of their gradients, so that every sum has one order and no gradient is
// added twice. It goes over the keys in blocks of up to 128, over the queries
// within, with five products a pair of blocks:
//
//   S  [query][key]  = Q K^T        K^T packed once a block of keys
//   dP [query][key]  = dO V^T       V^T packed too
//   P = exp(...), dS = P (dP - delta), delta = dO . O of the query
//   dV^T [d][key]   += dO^T P       keys are the vector dimension
//   dK^T [d][key]   += Q^T dS
//   dQ [query][d]   += dS K         the head dimension is
//
// Q, dO and K are read where they are in fp32, transposed by the microkernel
// where they must be. bf16 packs each in the pairs of its dot product; fp16,
// odd bf16 and CPUs without the dot product are widened to fp32. Sums, the
// softmax and delta are fp32; with the dot product P and dS are rounded to bf16
// for the products that follow.
//
// A query whose keys are all masked by -inf makes NaN, as in PyTorch. The log
// sum exp of a row that large finite masks hide entirely is rounded to the
// mask's precision, and so are the probabilities made from it.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_KERNELS_ATTENTION_ATTENTIONGRAD_H
#define DIT_RUNTIME_KERNELS_ATTENTION_ATTENTIONGRAD_H

#include "runtime/kernels/attention/Attention.h"

namespace dit::runtime {

/// dit.proto.AttentionGrad without its places.
struct AttentionGradShape {
  AttentionShape forward;
  AttentionShape::Operand outputGrad;                    ///< like the output
  AttentionShape::Operand queryGrad, keyGrad, valueGrad; ///< like q, k, v
};

/// Where the operands are. Results overlap no operand.
struct AttentionGradPointers {
  const void *q = nullptr;
  const void *k = nullptr;
  const void *v = nullptr;
  const void *output = nullptr;
  const float *logSumExp = nullptr; ///< [batch, heads, queryTokens]
  const void *outputGrad = nullptr;
  const float *mask = nullptr; ///< set exactly if the shape has a mask
  void *queryGrad = nullptr;
  void *keyGrad = nullptr;
  void *valueGrad = nullptr;
};

/// The gradient prepared for one shape; immutable, so threads may share it.
class AttentionGradKernel {
public:
  /// Checks the shape and generates its microkernels. `set` is lowered in
  /// tests only.
  static llvm::Expected<AttentionGradKernel>
  create(const AttentionGradShape &shape,
         InstructionSet set = hostInstructionSet());

  /// batch * heads of k and v.
  int64_t blocks() const { return forward.batch * keyHeads; }

  /// Bytes of scratch memory each thread needs, a multiple of 64; depends on
  /// the shape and the instruction set.
  size_t scratchBytes() const { return scratchSize; }

  /// Computes the blocks [beginBlock, endBlock). `scratch` is 64-byte aligned
  /// and not used by anyone else meanwhile.
  void run(const AttentionGradPointers &pointers, int64_t beginBlock,
           int64_t endBlock, void *scratch) const;

private:
  /// Places in the scratch memory of one run.
  struct Staging;

  /// A block of keys of one head of k and v.
  struct Keys {
    int64_t batch, head, index, key, keys, lanes;
    bool last;
  };
  /// A block of queries of one head; `member` of its group.
  struct Queries {
    int64_t head, member, index, query, queries;
    bool last;
  };

  void cutBlocks();
  void placeScratch();
  llvm::Error generateKernels();
  Keys keysOf(int64_t block, int64_t index) const;
  Queries queriesOf(const Keys &keys, int64_t member, int64_t index) const;
  Staging stagingIn(void *scratch) const;
  void prefetch(int64_t block, const AttentionGradPointers &pointers) const;
  void stageKeys(const Keys &keys, const AttentionGradPointers &pointers,
                 Staging &stage) const;
  void stageQueries(const Keys &keys, const Queries &queries,
                    const AttentionGradPointers &pointers,
                    Staging &stage) const;
  void packColumns(const char *from, int64_t stride, int64_t rows, int64_t dim,
                   char *to, Staging &stage) const;
  void stageMask(const Keys &keys, const Queries &queries, const float *mask,
                 Staging &stage) const;
  void runQueries(const Keys &keys, const Queries &queries,
                  const AttentionGradPointers &pointers, Staging &stage) const;
  void storeQueries(const Keys &keys, const Queries &queries, void *queryGrad,
                    Staging &stage) const;
  void storeKeys(const Keys &keys, const AttentionGradPointers &pointers,
                 Staging &stage) const;

  AttentionGradShape shape;
  AttentionShape forward; // shape's
  const TileOperations *operations = nullptr;
  bool pairs = false; // bf16 dot products
  // Read where they are; else widened.
  bool queriesInPlace = false, gradsInPlace = false, keysInPlace = false;
  int64_t keyHeads = 0;
  int64_t queryBlocks = 0, blockQueries = 0;
  int64_t keyBlocks = 0, blockKeys = 0, blockLanes = 0;
  int64_t stagedBlocks = 0; // query blocks that stay staged: all, or one
  // Bytes of one staged block of queries, and parts of the scratch memory.
  size_t queryRowBytes = 0, gradRowBytes = 0, queryColumnBytes = 0,
         gradColumnBytes = 0;
  size_t keyPanelOffset = 0, valuePanelOffset = 0, keyRowsOffset = 0;
  size_t keySumsOffset = 0, valueSumsOffset = 0, querySumsOffset = 0;
  size_t scoresOffset = 0, cotangentsOffset = 0, maskOffset = 0;
  size_t probabilityPairsOffset = 0, gradPairsOffset = 0, roundedOffset = 0;
  size_t deltaOffset = 0, factorsOffset = 0, bufferOffset = 0;
  size_t queryRowsOffset = 0, gradRowsOffset = 0, queryColumnsOffset = 0,
         gradColumnsOffset = 0, scratchSize = 0;

  /// The products of one pair of blocks; sums: [overwrite, accumulate].
  struct Products {
    Microkernel scores, cotangents;
    Microkernel valueGrad[2], keyGrad[2], queryGrad[2];
  };
  Products products[2][2]; // [full, last query block][full, last key block]
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_KERNELS_ATTENTION_ATTENTIONGRAD_H
