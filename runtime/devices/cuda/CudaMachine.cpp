//===- CudaMachine.cpp - What a machine has for CUDA plans ----------------===//

#include "runtime/devices/cuda/CublasLtApi.h"
#include "runtime/devices/cuda/CudaContext.h"
#include "runtime/devices/cuda/CudaDevice.h"
#include "runtime/devices/cuda/CudnnApi.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Memory.h"

#include <fstream>

using namespace dit;
using namespace dit::runtime;
using namespace dit::runtime::cuda;

/// "580.159.04", or nothing where the kernel module does not say.
static std::string driverRelease() {
  std::ifstream file("/sys/module/nvidia/version");
  std::string text;
  std::getline(file, text);
  return text;
}

static std::string describeDriver() {
  llvm::Expected<CudaApi> api = CudaApi::load();
  if (!api)
    return "gpu        none: " + plan::describe(api.takeError()).second + "\n";
  llvm::Expected<std::vector<GpuInfo>> gpus = listGpus(*api);
  if (!gpus)
    return "gpu        none: " + plan::describe(gpus.takeError()).second + "\n";
  std::string text;
  for (size_t i = 0; i != gpus->size(); ++i) {
    const GpuInfo &gpu = (*gpus)[i];
    text += "gpu " + std::to_string(i) + "      " + gpu.name + ", sm_" +
            std::to_string(gpu.sm) + ", " +
            std::to_string(gpu.multiprocessors) + " multiprocessors, " +
            plan::printBytes(gpu.memory) + "\n";
  }
  int version = 0;
  if (api->driverGetVersion(&version))
    version = 0;
  std::string release = driverRelease();
  return text + "driver     " + (release.empty() ? "" : release + ", ") +
         "CUDA " + printVersion(version) + " (" + api->path + ")\n";
}

/// "cuBLASLt   13.1.0 (path)"
template <typename Api>
static std::string describeLibrary(const char *label, llvm::Expected<Api> api) {
  if (!api)
    return label + plan::describe(api.takeError()).second + "\n";
  return label + api->version() + " (" + api->path + ")\n";
}

std::string dit::runtime::describeCudaMachine() {
  return describeDriver() +
         describeLibrary("cuBLASLt   ", CublasLtApi::load()) +
         describeLibrary("cuDNN      ", CudnnApi::load());
}
