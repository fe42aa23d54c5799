//===- KernelCommands.h - GEMM and attention instructions -----------------===//
#ifndef DIT_RUNTIME_DEVICES_CPU_KERNELCOMMANDS_H
#define DIT_RUNTIME_DEVICES_CPU_KERNELCOMMANDS_H

#include "runtime/devices/cpu/CpuCommand.h"

namespace dit::runtime {

/// The command of a GEMM instruction: its kernel made, its places resolved.
llvm::Expected<std::unique_ptr<CpuCommand>>
createGemm(const proto::Gemm &gemm, const CpuAddresses &addresses,
           const WorkEstimate &work);

/// The command of an attention instruction.
llvm::Expected<std::unique_ptr<CpuCommand>>
createAttention(const proto::Attention &attention,
                const CpuAddresses &addresses, const WorkEstimate &work);

/// The command of an attention's gradient.
llvm::Expected<std::unique_ptr<CpuCommand>>
createAttentionGrad(const proto::AttentionGrad &gradient,
                    const CpuAddresses &addresses, const WorkEstimate &work);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DEVICES_CPU_KERNELCOMMANDS_H
