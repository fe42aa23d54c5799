//===- CudaAttentionGrad.h - Attention's gradient by cuDNN ----------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CUDAATTENTIONGRAD_H
#define DIT_RUNTIME_DEVICES_CUDA_CUDAATTENTIONGRAD_H

#include "runtime/devices/cuda/CudaCommand.h"
#include "runtime/devices/cuda/CudnnGraph.h"

namespace dit::runtime::cuda {

/// The command of an attention's gradient: cuDNN's fused engine, in its
/// deterministic form: equal operands give equal bits.
///
/// bf16 and f16; operands with any strides whose rows begin at multiples of 16
/// bytes; head dimensions up to 128 in steps of 8; several query heads a key
/// head; a mask whose rows are without gaps. Whatever cuDNN refuses is
/// Exit::Unsupported with the shape, and so is a workspace that is too small,
/// with the size that is needed; passes/lowering/AddWorkspaces.cpp has the
/// sizes that cuDNN 9.19 asks for on sm_90.
llvm::Expected<std::unique_ptr<CudaCommand>>
createAttentionGrad(const proto::AttentionGrad &gradient,
                    const CudaAddresses &addresses,
                    std::shared_ptr<DnnLibrary> library);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_CUDAATTENTIONGRAD_H
