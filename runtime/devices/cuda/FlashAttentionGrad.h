//===- FlashAttentionGrad.h - Attention's gradient by our kernel ----------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_FLASHATTENTIONGRAD_H
#define DIT_RUNTIME_DEVICES_CUDA_FLASHATTENTIONGRAD_H

#include "runtime/devices/cuda/FlashAttention.h"

namespace dit::runtime::cuda {

/// The command of a gradient that names our kernel: one launch, no workspace,
/// equal operands give equal bits.
llvm::Expected<std::unique_ptr<CudaCommand>>
createFlashAttentionGrad(const proto::AttentionGrad &gradient,
                         const CudaAddresses &addresses, FlashKernels &kernels);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_FLASHATTENTIONGRAD_H
