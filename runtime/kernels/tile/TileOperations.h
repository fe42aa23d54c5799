//===- TileOperations.h - What is done to a tile between products -*- C++
//-*-==//
//
// The vector code around the matrix products: conversions and transpositions
// into a microkernel's layout, the epilogue of a GEMM tile, the softmax of an
// attention block. Compiled once for each instruction set and chosen at run
// time, so that one binary starts on every x86-64-v2 machine.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_KERNELS_TILE_TILEOPERATIONS_H
#define DIT_RUNTIME_KERNELS_TILE_TILEOPERATIONS_H

#include "runtime/plan/ElementType.h"

#include <cstdint>

namespace dit::runtime {

/// The versions there are, by what the machine must have; each has all that
/// the ones before it have.
enum class InstructionSet {
  V2,    ///< x86-64-v2: SSE 4.2
  V3,    ///< x86-64-v3: AVX2, FMA, F16C
  V4,    ///< x86-64-v4: AVX-512 F, BW, CD, DQ, VL
  V4BF16 ///< and AVX512_BF16: the bf16 dot product
};

/// The best one of this machine that the microkernels use too, so that what is
/// packed for them is what they read. LIBXSMM_TARGET (libxsmm's own variable:
/// skx, hsw, snb) lowers it, to try the code for older machines on a new one.
InstructionSet hostInstructionSet();

/// What is applied to the sums of a GEMM; numbers of dit.proto.
enum class Activation { Identity = 0, GeluTanh = 1, GeluErf = 2, Silu = 3 };

/// C = residual + gate * activation(sums + bias) + beta * C for one tile.
/// Pointers are to the tile's first element; strides are in elements.
struct EpilogueTile {
  const float *sums; ///< [rows][sumsStride], padded to whole vectors
  int64_t sumsStride;
  int64_t rows;
  int64_t columns; ///< at most 64
  void *c;
  int64_t cStride;
  plan::ElementType cType; ///< F32, BF16 or F16; the residual's too
  Activation activation;
  const void *bias; ///< [columns] or null
  plan::ElementType biasType;
  const void *gate; ///< row 0 of the whole gate, at the tile's first column, or
                    ///< null; row r of the tile uses
                    ///< (firstRow + r) / rowsPerGate
  int64_t gateStride;
  plan::ElementType gateType;
  int64_t firstRow;
  int64_t rowsPerGate;
  const void *residual; ///< [rows][residualStride] or null; may be c
  int64_t residualStride;
  float beta;
};

/// One block of keys of the online softmax. Everything has the query as its
/// last, contiguous dimension ("lane"), `queries` of them, a multiple of 32.
/// The exponent of a key is scale * score + mask, less the largest so far.
struct SoftmaxBlock {
  float *scores; ///< [keys][queries]: k . q; becomes the probabilities where
                 ///< pairs is null, else undefined
  int64_t keys;
  int64_t queries;
  float scale;
  bool natural; ///< keep the maximum in units of e, as large negative masks
                ///< need; else in units of 2: faster, wants scale > 0, no mask
  const float *mask; ///< [keys][queries] or null
  float *maximum;    ///< [queries]: largest exponent so far, updated
  float *sum;        ///< [queries]: of the probabilities so far, updated
  float *correction; ///< [queries]: what the earlier output must be multiplied
                     ///< by, written; 0 in the first block
  bool first;        ///< no earlier block: maximum and sum are not read
  void *pairs;       ///< null, or bf16 [ceil(keys / 2)][queries][2]: where the
                     ///< probabilities go, an odd last key padded with zero
};

/// One block of the gradient of a softmax whose log sum exp is known.
/// Everything has the key as its last, contiguous dimension ("lane"), `lanes`
/// of them, a multiple of 16. Lanes past the keys are computed like others;
/// nobody reads their results.
struct SoftmaxGradBlock {
  float *scores;     ///< [queries][lanes]: q . k; becomes the probabilities
                     ///< where probabilityPairs is null, else undefined
  float *cotangents; ///< [queries][lanes]: dO . v; becomes those of scale * q .
                     ///< k where probabilityPairs is null, else undefined
  int64_t queries;
  int64_t lanes;
  int64_t keys; ///< at most lanes
  float scale;
  const float *mask;      ///< [queries][lanes] or null
  const float *logSumExp; ///< [queries]
  const float *delta;     ///< [queries]: dO . O
  // Null, or bf16: the results, pairs of queries, an odd last one padded with
  // zero, and of the cotangents the rows too, an odd last key padded with zero.
  void *probabilityPairs; ///< [ceil(queries / 2)][lanes][2]
  void *gradPairs;        ///< [ceil(queries / 2)][lanes][2]
  void *gradRows;         ///< [queries][lanes]
};

/// The functions of one instruction set. 16-bit arrays need no alignment.
struct TileOperations {
  /// `count` F32, F16 or BF16 elements to fp32.
  void (*widen)(plan::ElementType type, const void *from, float *to,
                int64_t count);

  /// bf16 [pairs][columns][2] to fp32 [2 pairs][columns].
  void (*widenPairs)(const void *from, float *to, int64_t pairs,
                     int64_t columns);

  /// to[column][row] = from[row][column] for 32-bit elements.
  void (*transpose)(const void *from, int64_t fromStride, int64_t rows,
                    int64_t columns, void *to, int64_t toStride);

  /// to[column][row] = from[row][column] * factors[column], from fp32 to F32,
  /// F16 or BF16; strides in elements. from and factors are padded to whole
  /// vectors.
  void (*storeTransposed)(const float *from, int64_t fromStride, int64_t rows,
                          int64_t columns, const float *factors,
                          plan::ElementType type, void *to, int64_t toStride);

  /// to[i] = {even[i], odd[i]} for 16-bit elements; odd may be null: zeros.
  void (*interleave)(const void *even, const void *odd, void *to,
                     int64_t count);

  void (*epilogue)(const EpilogueTile &tile);

  void (*softmax)(const SoftmaxBlock &block);

  /// values[row][lane] *= factors[lane]; `count` lanes, a multiple of 32.
  void (*scaleLanes)(float *values, int64_t rows, int64_t count,
                     const float *factors);

  void (*softmaxGrad)(const SoftmaxGradBlock &block);

  /// dots[row] = sum over the columns of a[row] * b[row], in fp32; a and b F32,
  /// F16 or BF16.
  void (*rowDots)(plan::ElementType type, const void *a, int64_t aStride,
                  const void *b, int64_t bStride, int64_t rows, int64_t columns,
                  float *dots);

  /// to[row][column] = from[row][column] * factor, from fp32 to F32, F16 or
  /// BF16; strides in elements.
  void (*storeRows)(const float *from, int64_t fromStride, int64_t rows,
                    int64_t columns, float factor, plan::ElementType type,
                    void *to, int64_t toStride);
};

/// The functions for `set`, which this machine must have.
const TileOperations &tileOperations(InstructionSet set);

} // namespace dit::runtime

#endif // DIT_RUNTIME_KERNELS_TILE_TILEOPERATIONS_H
