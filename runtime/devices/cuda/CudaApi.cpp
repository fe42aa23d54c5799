//===- CudaApi.cpp - CUDA's driver, as much as we use ---------------------===//

#include "runtime/devices/cuda/CudaApi.h"

#include "runtime/devices/cuda/SharedLibrary.h"
#include "runtime/plan/Failure.h"

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::Exit;
using dit::plan::failure;

/// The functions above are the same from this driver on.
static constexpr int oldestDriver = 12000;

std::string dit::runtime::cuda::printVersion(int version) {
  return std::to_string(version / 1000) + "." +
         std::to_string(version % 1000 / 10);
}

static llvm::Error resolveAll(const SharedLibrary &library, CudaApi &api) {
  const Symbol symbols[] = {
      symbol("cuInit", api.init),
      symbol("cuDriverGetVersion", api.driverGetVersion),
      symbol("cuGetErrorName", api.getErrorName),
      symbol("cuGetErrorString", api.getErrorString),
      symbol("cuDeviceGetCount", api.deviceGetCount),
      symbol("cuDeviceGet", api.deviceGet),
      symbol("cuDeviceGetName", api.deviceGetName),
      symbol("cuDeviceGetAttribute", api.deviceGetAttribute),
      symbol("cuDeviceTotalMem_v2", api.deviceTotalMem),
      symbol("cuDevicePrimaryCtxRetain", api.primaryCtxRetain),
      symbol("cuDevicePrimaryCtxRelease_v2", api.primaryCtxRelease),
      symbol("cuCtxSetCurrent", api.ctxSetCurrent),
      symbol("cuMemGetInfo_v2", api.memGetInfo),
      symbol("cuMemAlloc_v2", api.memAlloc),
      symbol("cuMemFree_v2", api.memFree),
      symbol("cuMemAllocHost_v2", api.memAllocHost),
      symbol("cuMemFreeHost", api.memFreeHost),
      symbol("cuMemcpyHtoDAsync_v2", api.memcpyHtoDAsync),
      symbol("cuMemcpyDtoHAsync_v2", api.memcpyDtoHAsync),
      symbol("cuMemcpyDtoDAsync_v2", api.memcpyDtoDAsync),
      symbol("cuMemsetD8Async", api.memsetD8Async),
      symbol("cuCtxGetStreamPriorityRange", api.streamPriorityRange),
      symbol("cuStreamCreateWithPriority", api.streamCreate),
      symbol("cuStreamDestroy_v2", api.streamDestroy),
      symbol("cuStreamSynchronize", api.streamSynchronize),
      symbol("cuStreamBeginCapture_v2", api.streamBeginCapture),
      symbol("cuStreamEndCapture", api.streamEndCapture),
      symbol("cuStreamGetCaptureInfo_v2", api.streamGetCaptureInfo),
      symbol("cuStreamUpdateCaptureDependencies",
             api.streamUpdateCaptureDependencies),
      symbol("cuGraphInstantiateWithFlags", api.graphInstantiate),
      symbol("cuGraphLaunch", api.graphLaunch),
      symbol("cuGraphNodeGetType", api.graphNodeGetType),
      symbol("cuGraphKernelNodeSetAttribute", api.graphKernelNodeSetAttribute),
      symbol("cuGraphDestroy", api.graphDestroy),
      symbol("cuGraphExecDestroy", api.graphExecDestroy),
      symbol("cuEventCreate", api.eventCreate),
      symbol("cuEventDestroy_v2", api.eventDestroy),
      symbol("cuEventRecord", api.eventRecord),
      symbol("cuEventRecordWithFlags", api.eventRecordWithFlags),
      symbol("cuEventSynchronize", api.eventSynchronize),
      symbol("cuEventElapsedTime", api.eventElapsedTime),
      symbol("cuModuleLoadDataEx", api.moduleLoadDataEx),
      symbol("cuModuleUnload", api.moduleUnload),
      symbol("cuModuleGetFunction", api.moduleGetFunction),
      symbol("cuFuncGetAttribute", api.funcGetAttribute),
      symbol("cuFuncSetAttribute", api.funcSetAttribute),
      symbol("cuLaunchKernel", api.launchKernel),
      symbol("cuLaunchKernelEx", api.launchKernelEx),
      symbol("cuTensorMapEncodeTiled", api.tensorMapEncodeTiled)};
  return library.resolve(symbols);
}

llvm::Expected<CudaApi> CudaApi::load() {
  llvm::Expected<SharedLibrary> library =
      SharedLibrary::open("the NVIDIA driver", {"libcuda.so.1"});
  if (!library)
    return library.takeError();
  CudaApi api;
  api.path = library->path();
  if (llvm::Error error = resolveAll(*library, api))
    return std::move(error);
  if (Result result = api.init(0))
    return failure(Exit::Unsupported,
                   "the NVIDIA driver finds no usable GPU: " +
                       api.describe(result));
  int version = 0;
  if (llvm::Error error =
          api.check(api.driverGetVersion(&version), "cuDriverGetVersion"))
    return std::move(error);
  if (version < oldestDriver)
    return failure(Exit::Unsupported,
                   "the NVIDIA driver is for CUDA " + printVersion(version) +
                       "; this ditrun needs one for CUDA " +
                       printVersion(oldestDriver) + " or later");
  return api;
}

std::string CudaApi::describe(Result result) const {
  const char *name = nullptr, *text = nullptr;
  if (getErrorName(result, &name) || getErrorString(result, &text) || !name ||
      !text)
    return "CUDA error " + std::to_string(result);
  return std::string(name) + " (" + text + ")";
}

llvm::Error CudaApi::check(Result result, const llvm::Twine &what) const {
  if (result == Success)
    return llvm::Error::success();
  return failure(result == OutOfMemory ? Exit::Memory : Exit::Internal,
                 what + ": " + describe(result));
}
