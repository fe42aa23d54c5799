//===- Staging.h - What attention copies before it multiplies ---*- C++ -*-===//
//
// Private to this folder: the scratch memory of one run, and addresses.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_KERNELS_ATTENTION_STAGING_H
#define DIT_RUNTIME_KERNELS_ATTENTION_STAGING_H

#include "runtime/kernels/attention/Attention.h"

namespace dit::runtime {

/// The parts of the scratch memory, and whose keys are in it.
struct AttentionKernel::Staging {
  float *scores;     // [keys][lanes]
  char *pairs;       // [keys / 2][lanes][2] bf16
  char *queries;     // [headDim][lanes] fp32 or [headDim / 2][lanes][2] bf16
  float *output;     // [valueDim][lanes]
  char *buffer;      // [lanes][headDim or valueDim] fp32
  float *maximum;    // [lanes]
  float *sum;        // [lanes]
  float *correction; // [lanes]
  float *mask;       // [keys][lanes]
  char *keys;        // a block: [keys][headDim] fp32
  char *values;      // a block: [keys][valueDim] fp32 or [valueDim][keys] bf16
  int64_t batch = -1, keyHead = -1; // whose keys are staged ...
  int64_t ready = 0;                // ... and how many blocks of them
};

/// What no kernel here can do.
llvm::Error checkAttention(const AttentionShape &shape);

/// Address of [batch, token, head, 0] of an operand.
inline const char *addressOf(const void *base, plan::ElementType type,
                             const AttentionShape::Operand &operand,
                             int64_t batch, int64_t token, int64_t head) {
  return static_cast<const char *>(base) +
         (batch * operand.batchStride + token * operand.tokenStride +
          head * operand.headStride) *
             plan::elementBytes(type);
}

} // namespace dit::runtime

#endif // DIT_RUNTIME_KERNELS_ATTENTION_STAGING_H
