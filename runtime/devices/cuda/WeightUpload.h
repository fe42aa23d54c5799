//===- WeightUpload.h - A plan's weights to the GPU -----------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_WEIGHTUPLOAD_H
#define DIT_RUNTIME_DEVICES_CUDA_WEIGHTUPLOAD_H

#include "runtime/devices/cpu/ThreadPool.h"
#include "runtime/devices/cuda/CudaContext.h"

#include "llvm/ADT/ArrayRef.h"

namespace dit::runtime::cuda {

/// Copies `weights` (of a mapped plan) to `target` and waits. Threads read the
/// file into two pinned buffers in turn, while the other one travels: the GPU
/// copies straight from such memory.
llvm::Error uploadWeights(const CudaContext &context,
                          llvm::ArrayRef<uint8_t> weights, DevicePointer target,
                          ThreadPool &pool);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_WEIGHTUPLOAD_H
