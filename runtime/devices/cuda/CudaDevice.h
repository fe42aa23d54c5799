//===- CudaDevice.h - A plan on an NVIDIA GPU --------------------*- C++
//-*-===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CUDADEVICE_H
#define DIT_RUNTIME_DEVICES_CUDA_CUDADEVICE_H

#include "runtime/devices/Device.h"

namespace dit::runtime {

/// A device that runs plans for target cuda on the first GPU that the driver
/// shows (CUDA_VISIBLE_DEVICES). Nothing of CUDA is touched before load(). One
/// thread uses it; `hostThreads` (0: all cores) work for hostParallel().
///
/// With the environment variable DIT_CUDA_SYNC=1 it waits after every
/// instruction, so that an error names the one that failed.
std::unique_ptr<Device> createCudaDevice(unsigned hostThreads);

/// What a machine has for plans of target cuda, a line each: GPUs, driver,
/// libraries with versions and files, or why there are none.
std::string describeCudaMachine();

} // namespace dit::runtime

#endif // DIT_RUNTIME_DEVICES_CUDA_CUDADEVICE_H
