//===- CublasLtApi.cpp - cuBLASLt, as much as we use ----------------------===//

#include "runtime/devices/cuda/CublasLtApi.h"

#include "runtime/devices/cuda/SharedLibrary.h"

using namespace dit::runtime::cuda;

llvm::Expected<CublasLtApi> CublasLtApi::load() {
  llvm::Expected<SharedLibrary> library = SharedLibrary::open(
      "cuBLASLt", {"libcublasLt.so.13", "libcublasLt.so.12"});
  if (!library)
    return library.takeError();
  CublasLtApi api;
  api.path = library->path();
  const Symbol symbols[] = {
      symbol("cublasLtCreate", api.create),
      symbol("cublasLtDestroy", api.destroy),
      symbol("cublasLtGetVersion", api.getVersion),
      symbol("cublasLtGetStatusName", api.getStatusName),
      symbol("cublasLtMatmulDescCreate", api.matmulDescCreate),
      symbol("cublasLtMatmulDescDestroy", api.matmulDescDestroy),
      symbol("cublasLtMatmulDescSetAttribute", api.matmulDescSetAttribute),
      symbol("cublasLtMatrixLayoutCreate", api.layoutCreate),
      symbol("cublasLtMatrixLayoutDestroy", api.layoutDestroy),
      symbol("cublasLtMatrixLayoutSetAttribute", api.layoutSetAttribute),
      symbol("cublasLtMatmulPreferenceCreate", api.preferenceCreate),
      symbol("cublasLtMatmulPreferenceDestroy", api.preferenceDestroy),
      symbol("cublasLtMatmulPreferenceSetAttribute",
             api.preferenceSetAttribute),
      symbol("cublasLtMatmulAlgoGetHeuristic", api.getHeuristic),
      symbol("cublasLtMatmulAlgoCheck", api.algorithmCheck),
      symbol("cublasLtMatmul", api.matmul)};
  if (llvm::Error error = library->resolve(symbols))
    return std::move(error);
  return api;
}

std::string CublasLtApi::version() const {
  size_t number = getVersion();
  return std::to_string(number / 10000) + "." +
         std::to_string(number / 100 % 100) + "." +
         std::to_string(number % 100);
}
