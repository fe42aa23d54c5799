//===- CudaContext.cpp - The GPU this process uses ------------------------===//

#include "runtime/devices/cuda/CudaContext.h"

#include "runtime/plan/Failure.h"

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::Exit;
using dit::plan::failure;

static llvm::Expected<GpuInfo> readInfo(const CudaApi &api,
                                        DeviceOrdinal device) {
  GpuInfo info;
  char name[256] = {};
  int major = 0, minor = 0;
  size_t bytes = 0;
  for (Result result : {api.deviceGetName(name, sizeof(name), device),
                        api.deviceGetAttribute(&major, CapabilityMajor, device),
                        api.deviceGetAttribute(&minor, CapabilityMinor, device),
                        api.deviceGetAttribute(&info.multiprocessors,
                                               MultiprocessorCount, device),
                        api.deviceTotalMem(&bytes, device)})
    if (llvm::Error error = api.check(result, "cannot ask the GPU"))
      return std::move(error);
  info.name = name;
  info.sm = 10 * major + minor;
  info.memory = bytes;
  return info;
}

llvm::Expected<std::vector<GpuInfo>>
dit::runtime::cuda::listGpus(const CudaApi &api) {
  int count = 0;
  if (llvm::Error error = api.check(api.deviceGetCount(&count), "no GPUs"))
    return std::move(error);
  std::vector<GpuInfo> gpus;
  for (int i = 0; i != count; ++i) {
    DeviceOrdinal device;
    if (llvm::Error error = api.check(api.deviceGet(&device, i), "cuDeviceGet"))
      return std::move(error);
    llvm::Expected<GpuInfo> info = readInfo(api, device);
    if (!info)
      return info.takeError();
    gpus.push_back(std::move(*info));
  }
  return gpus;
}

llvm::Expected<std::unique_ptr<CudaContext>> CudaContext::create() {
  llvm::Expected<CudaApi> driver = CudaApi::load();
  if (!driver)
    return driver.takeError();
  std::unique_ptr<CudaContext> context(new CudaContext(std::move(*driver)));
  const CudaApi &api = context->driver;
  int count = 0;
  if (api.deviceGetCount(&count) || count == 0)
    return failure(Exit::Unsupported,
                   "the NVIDIA driver shows no GPU to this process");
  DeviceOrdinal device;
  if (llvm::Error error = api.check(api.deviceGet(&device, 0), "cuDeviceGet"))
    return std::move(error);
  llvm::Expected<GpuInfo> info = readInfo(api, device);
  if (!info)
    return info.takeError();
  context->info = std::move(*info);
  Context primary;
  if (llvm::Error error = api.check(api.primaryCtxRetain(&primary, device),
                                    "no context on " + context->info.name))
    return std::move(error);
  context->device = device;
  Stream stream;
  int greatest = 0;
  for (auto [result, what] :
       {std::pair(api.ctxSetCurrent(primary), "cuCtxSetCurrent"),
        std::pair(api.driverGetVersion(&context->version),
                  "cuDriverGetVersion"),
        std::pair(api.streamPriorityRange(&context->least, &greatest),
                  "cuCtxGetStreamPriorityRange")})
    if (llvm::Error error = api.check(result, what))
      return std::move(error);
  if (llvm::Error error =
          api.check(api.streamCreate(&stream, streamNonBlocking, greatest),
                    "cuStreamCreateWithPriority"))
    return std::move(error);
  context->mainStream = {stream, api.streamDestroy};
  return context;
}

CudaContext::~CudaContext() {
  mainStream = {};
  if (device >= 0)
    driver.primaryCtxRelease(device);
}

llvm::Expected<std::pair<uint64_t, uint64_t>> CudaContext::memory() const {
  size_t free = 0, total = 0;
  if (llvm::Error error =
          driver.check(driver.memGetInfo(&free, &total), "cuMemGetInfo"))
    return std::move(error);
  return std::pair<uint64_t, uint64_t>(free, total);
}

llvm::Error CudaContext::synchronize(const llvm::Twine &what) const {
  return driver.check(driver.streamSynchronize(mainStream.get()), what);
}

llvm::Expected<Owned<Event>> CudaContext::createEvent() const {
  Event event;
  if (llvm::Error error =
          driver.check(driver.eventCreate(&event, 0), "cuEventCreate"))
    return std::move(error);
  return Owned<Event>(event, driver.eventDestroy);
}
