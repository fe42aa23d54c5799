//===- CudaAttention.h - Attention by cuDNN -------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CUDAATTENTION_H
#define DIT_RUNTIME_DEVICES_CUDA_CUDAATTENTION_H

#include "runtime/devices/cuda/CudaCommand.h"
#include "runtime/devices/cuda/CudnnGraph.h"

namespace dit::runtime::cuda {

/// The command of an attention instruction: cuDNN's fused engine for
/// softmax(scale Q K^T) V.
///
/// bf16, f16 and f32; q, k, v and output with any strides whose rows begin at
/// multiples of 16 bytes; several query heads a key head; a mask whose rows are
/// without gaps. Whatever cuDNN refuses is Exit::Unsupported with the shape.
/// With a workspace of 256 bytes it has engines that are up to twice as fast as
/// those without.
llvm::Expected<std::unique_ptr<CudaCommand>>
createAttention(const proto::Attention &attention,
                const CudaAddresses &addresses,
                std::shared_ptr<DnnLibrary> library);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_CUDAATTENTION_H
