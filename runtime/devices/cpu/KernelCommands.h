//===- KernelCommands.h - GEMM and attention instructions --------*- C++
//-*-===//
#ifndef DIT_RUNTIME_DEVICES_CPU_KERNELCOMMANDS_H
#define DIT_RUNTIME_DEVICES_CPU_KERNELCOMMANDS_H

#include "runtime/devices/cpu/CpuCommand.h"

namespace dit::runtime {

/// The command of a GEMM instruction: its kernel made, its places resolved.
llvm::Expected<std::unique_ptr<CpuCommand>>
createGemm(const proto::Gemm &gemm, const CpuAddresses &addresses,
           unsigned threads);

/// The command of an attention instruction.
llvm::Expected<std::unique_ptr<CpuCommand>>
createAttention(const proto::Attention &attention,
                const CpuAddresses &addresses, unsigned threads);

/// How many of `blocks` blocks a thread takes at a time: a few pieces a
/// thread, so that a late one costs little, but long ones.
int64_t chunkOf(int64_t blocks, unsigned threads);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DEVICES_CPU_KERNELCOMMANDS_H
