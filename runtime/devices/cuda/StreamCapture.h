//===- StreamCapture.h - Many commands as one CUDA graph ------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_STREAMCAPTURE_H
#define DIT_RUNTIME_DEVICES_CUDA_STREAMCAPTURE_H

#include "runtime/devices/cuda/CudaCommand.h"

namespace dit::runtime::cuda {

/// One command that replays what these enqueue, one after the other. They must
/// outlive it.
llvm::Expected<std::unique_ptr<CudaCommand>>
captureCommands(const CudaContext &context,
                llvm::ArrayRef<CudaCommand *> commands);

/// The same on branches (Branches.h); the first `background` of them at low
/// priority. Not for kernels that are launched while what is before them runs.
llvm::Expected<std::unique_ptr<CudaCommand>>
captureBranches(const CudaContext &context,
                llvm::ArrayRef<CudaCommand *> commands, size_t background);

/// Runs commands to their end as one graph with an event between each two, and
/// returns when each ran; the time that an event alone takes is taken off.
llvm::Expected<std::vector<Device::Span>>
timeCommands(const CudaContext &context,
             llvm::ArrayRef<CudaCommand *> commands);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_STREAMCAPTURE_H
