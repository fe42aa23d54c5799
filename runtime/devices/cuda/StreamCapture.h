//===- StreamCapture.h - Many commands as one CUDA graph ---------*- C++
//-*-===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_STREAMCAPTURE_H
#define DIT_RUNTIME_DEVICES_CUDA_STREAMCAPTURE_H

#include "runtime/devices/cuda/CudaCommand.h"

namespace dit::runtime::cuda {

/// One command that replays what these enqueue. They must outlive it.
llvm::Expected<std::unique_ptr<CudaCommand>>
captureCommands(const CudaContext &context,
                llvm::ArrayRef<CudaCommand *> commands);

/// Runs commands to their end as one graph with an event before and after
/// each, and returns when each ran, from the first event on.
llvm::Expected<std::vector<Device::Span>>
timeCommands(const CudaContext &context,
             llvm::ArrayRef<CudaCommand *> commands);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_STREAMCAPTURE_H
