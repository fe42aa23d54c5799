//===- CudaGemm.h - Matrix products by cuBLASLt ---------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CUDAGEMM_H
#define DIT_RUNTIME_DEVICES_CUDA_CUDAGEMM_H

#include "runtime/devices/cuda/GemmTuning.h"

namespace dit::runtime::cuda {

/// The command of a GEMM instruction, its algorithm chosen by `tuning` among
/// those that need no more than the instruction's workspace.
///
/// A and B: both f32 (no TF32), bf16 or f16; C of the same type or f32; sums in
/// fp32; bias of C's type. Activation none or GELU (tanh); a residual only
/// where there is no activation; no gate, no packed B. For all else
/// Exit::Unsupported names the product and what is not supported.
llvm::Expected<std::unique_ptr<CudaCommand>>
createGemm(const proto::Gemm &gemm, const CudaAddresses &addresses,
           const CudaContext &context, std::shared_ptr<BlasLibrary> library,
           GemmTuning &tuning);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_CUDAGEMM_H
