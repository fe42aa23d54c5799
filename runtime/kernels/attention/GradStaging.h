//===- GradStaging.h - Scratch memory of attention's gradient ---*- C++ -*-===//
//
// Private to this folder.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_KERNELS_ATTENTION_GRADSTAGING_H
#define DIT_RUNTIME_KERNELS_ATTENTION_GRADSTAGING_H

#include "runtime/kernels/attention/AttentionGrad.h"

namespace dit::runtime {

/// The parts of the scratch memory. bf16 where the kernel uses its dot product,
/// else fp32; [x / 2][y][2] is x in pairs.
struct AttentionGradKernel::Staging {
  // Of a block of keys.
  char *keyPanel;   // [headDim][lanes], or [headDim / 2][lanes][2]
  char *valuePanel; // [valueDim][lanes], or in pairs
  char *keyRows;    // [keys][headDim], or [keys / 2][headDim][2]
  float *keySums;   // [headDim][lanes]
  float *valueSums; // [valueDim][lanes]
  // Of a block of queries; all blocks stay where there is room.
  char *queryRows;    // [queries][headDim]; not where read in place
  char *gradRows;     // [queries][valueDim]; nor there
  char *queryColumns; // bf16 only: [headDim][queries]
  char *gradColumns;  // bf16 only: [valueDim][queries]
  // Of a pair of blocks.
  float *scores;          // [queries][lanes]
  float *cotangents;      // [queries][lanes]
  float *mask;            // [queries][lanes]
  char *probabilityPairs; // [queries / 2][lanes][2] bf16
  char *gradPairs;        // [queries / 2][lanes][2] bf16
  char *rounded;          // [queries][lanes] bf16
  // Of all heads of the group.
  float *querySums; // [group][queryTokens][headDim]
  float *delta;     // [group][queryTokens]
  float *factors;   // [2][lanes]: scale, and one
  char *buffer;     // [16 pairs][dim][2] while columns are packed
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_KERNELS_ATTENTION_GRADSTAGING_H
