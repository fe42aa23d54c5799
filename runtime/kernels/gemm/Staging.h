//===- Staging.h - What a GEMM copies before it multiplies ------*- C++ -*-===//
//
// Private to this folder: the scratch memory of one run.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_KERNELS_GEMM_STAGING_H
#define DIT_RUNTIME_KERNELS_GEMM_STAGING_H

#include "runtime/kernels/gemm/Gemm.h"

#include "llvm/ADT/SmallVector.h"

namespace dit::runtime {

/// The parts of the scratch memory, and whose rows and panel are in it.
struct GemmKernel::Staging {
  char *rows = nullptr;
  char *panel = nullptr;
  char *buffer = nullptr;
  int64_t rowsBatch = -1, rowsGroup = -1;
  /// Which tiles of the group are in it.
  llvm::SmallVector<bool, 16> hasTile;
  int64_t panelBatch = -1, panelColumn = -1;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_KERNELS_GEMM_STAGING_H
