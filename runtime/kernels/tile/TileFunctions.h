//===- TileFunctions.h - The functions of one instruction set ---*- C++ -*-===//
//
// TileOperations' members, in a namespace that DIT_INSTRUCTION_SET names on
// the compiler's command line (v2, v3, v4, v4bf16).
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_KERNELS_TILE_TILEFUNCTIONS_H
#define DIT_RUNTIME_KERNELS_TILE_TILEFUNCTIONS_H

#include "runtime/kernels/tile/TileOperations.h"

namespace dit::runtime::DIT_INSTRUCTION_SET {

/// Each does what the member of TileOperations of its name says.
void widen(plan::ElementType type, const void *from, float *to, int64_t count);
void widenPairs(const void *from, float *to, int64_t pairs, int64_t columns);
void transpose(const void *from, int64_t fromStride, int64_t rows,
               int64_t columns, void *to, int64_t toStride);
void storeTransposed(const float *from, int64_t fromStride, int64_t rows,
                     int64_t columns, const float *factors,
                     plan::ElementType type, void *to, int64_t toStride);
void interleave(const void *even, const void *odd, void *to, int64_t count);
void epilogue(const EpilogueTile &tile);
void softmax(const SoftmaxBlock &block);
void scaleLanes(float *values, int64_t rows, int64_t count,
                const float *factors);
void softmaxGrad(const SoftmaxGradBlock &block);
void rowDots(plan::ElementType type, const void *a, int64_t aStride,
             const void *b, int64_t bStride, int64_t rows, int64_t columns,
             float *dots);
void storeRows(const float *from, int64_t fromStride, int64_t rows,
               int64_t columns, float factor, plan::ElementType type, void *to,
               int64_t toStride);

/// The table of the above.
extern const TileOperations operations;

} // namespace dit::runtime::DIT_INSTRUCTION_SET

#endif // DIT_RUNTIME_KERNELS_TILE_TILEFUNCTIONS_H
