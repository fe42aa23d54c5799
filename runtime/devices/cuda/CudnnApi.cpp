//===- CudnnApi.cpp - cuDNN's graph interface, as much as we use ----------===//

#include "runtime/devices/cuda/CudnnApi.h"

#include "runtime/devices/cuda/SharedLibrary.h"

#include "llvm/ADT/StringRef.h"

using namespace dit::runtime::cuda;

llvm::Expected<CudnnApi> CudnnApi::load() {
  llvm::Expected<SharedLibrary> library =
      SharedLibrary::open("cuDNN", {"libcudnn.so.9"});
  if (!library)
    return library.takeError();
  CudnnApi api;
  api.path = library->path();
  const Symbol symbols[] = {
      symbol("cudnnGetVersion", api.getVersion),
      symbol("cudnnGetErrorString", api.getErrorString),
      symbol("cudnnGetLastErrorString", api.getLastErrorString),
      symbol("cudnnCreate", api.create),
      symbol("cudnnDestroy", api.destroy),
      symbol("cudnnSetStream", api.setStream),
      symbol("cudnnBackendCreateDescriptor", api.createDescriptor),
      symbol("cudnnBackendDestroyDescriptor", api.destroyDescriptor),
      symbol("cudnnBackendFinalize", api.finalize),
      symbol("cudnnBackendSetAttribute", api.setAttribute),
      symbol("cudnnBackendGetAttribute", api.getAttribute),
      symbol("cudnnBackendExecute", api.execute)};
  if (llvm::Error error = library->resolve(symbols))
    return std::move(error);
  return api;
}

std::string CudnnApi::version() const {
  size_t number = getVersion();
  return std::to_string(number / 10000) + "." +
         std::to_string(number / 100 % 100) + "." +
         std::to_string(number % 100);
}

std::string CudnnApi::describe(DnnStatus status) const {
  char text[512] = {};
  getLastErrorString(text, sizeof(text) - 1);
  std::string name = getErrorString(status);
  llvm::StringRef message = llvm::StringRef(text).trim();
  return message.empty() ? name : name + " (" + message.str() + ")";
}
