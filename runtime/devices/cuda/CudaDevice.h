//===- CudaDevice.h - A plan on an NVIDIA GPU -----------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CUDADEVICE_H
#define DIT_RUNTIME_DEVICES_CUDA_CUDADEVICE_H

#include "runtime/devices/Device.h"

namespace dit::runtime {

/// How a GPU is used.
struct CudaOptions {
  unsigned hostThreads = 0; // for hostParallel(); 0: all cores
  // Where measured algorithms of matrix products are kept; empty: nowhere.
  std::string tuningFile;
  // Measure the algorithms of products that the file does not know.
  bool tune = false;
};

/// A device that runs plans for target cuda on the first GPU that the driver
/// shows (CUDA_VISIBLE_DEVICES). Nothing of CUDA is touched before load(). One
/// thread uses it.
///
/// With the environment variable DIT_CUDA_SYNC=1 it waits after every
/// instruction, so that an error names the one that failed. Under a profiler
/// every instruction is an NVTX range "node: what it does"; they hold what the
/// GPU does with DIT_CUDA_SYNC=1, else what puts it on the stream.
std::unique_ptr<Device> createCudaDevice(const CudaOptions &options);

/// What a machine has for plans of target cuda, a line each: GPUs, driver,
/// libraries with versions and files, or why there are none.
std::string describeCudaMachine();

} // namespace dit::runtime

#endif // DIT_RUNTIME_DEVICES_CUDA_CUDADEVICE_H
