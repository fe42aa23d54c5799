//===- FlashAttention.h - Attention by our own kernel ---------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_FLASHATTENTION_H
#define DIT_RUNTIME_DEVICES_CUDA_FLASHATTENTION_H

#include "runtime/devices/cuda/CodeImages.h"
#include "runtime/devices/cuda/CudaCommand.h"

#include <map>

namespace dit::runtime::cuda {

/// The plan's parts of code that are our attention kernels, loaded when first
/// used.
class FlashKernels {
public:
  FlashKernels(const CudaContext &context, const plan::PlanView &plan)
      : context(context), plan(plan) {}

  /// The kernel that an instruction names, proto.FlashAttention or
  /// proto.FlashAttentionGrad, allowed its shared memory.
  /// Exit::Unsupported where the GPU is no Hopper or gives a block less memory;
  /// Exit::Malformed where the plan does not have the kernel.
  template <typename Flash>
  llvm::Expected<Function> find(const Flash &kernel) {
    return find(kernel.part(), kernel.symbol(), kernel.shared_bytes());
  }

private:
  llvm::Expected<Function> find(const std::string &part,
                                const std::string &symbol, int64_t sharedBytes);

  const CudaContext &context;
  const plan::PlanView &plan;
  std::map<std::string, Owned<Module>> modules; // by part
};

/// An attention that names our kernel. The copy engine's maps of Q, K and V are
/// made here, once.
llvm::Expected<std::unique_ptr<CudaCommand>>
createFlashAttention(const proto::Attention &attention,
                     const CudaAddresses &addresses, const CudaContext &context,
                     FlashKernels &kernels);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_FLASHATTENTION_H
