//===- CudaGemm.cpp - Matrix products by cuBLASLt -------------------------===//

#include "runtime/devices/cuda/CudaGemm.h"

using namespace dit;
using namespace dit::runtime::cuda;

namespace {

class GemmCommand : public CudaCommand {
public:
  GemmCommand(MatrixProduct product, const MatmulAlgorithm &algorithm)
      : product(std::move(product)), algorithm(algorithm) {}

  llvm::Error enqueue(const CudaContext &context) override {
    return product.enqueue(algorithm, context.stream());
  }

  std::string name() const override { return product.name(); }
  bool usesWorkspace() const override {
    return product.usesWorkspace(algorithm);
  }

private:
  MatrixProduct product;
  MatmulAlgorithm algorithm;
};

} // namespace

llvm::Expected<std::unique_ptr<CudaCommand>> dit::runtime::cuda::createGemm(
    const proto::Gemm &gemm, const CudaAddresses &addresses,
    const CudaContext &context, std::shared_ptr<BlasLibrary> library,
    GemmTuning &tuning) {
  llvm::Expected<MatrixProduct> product =
      MatrixProduct::create(gemm, addresses, std::move(library));
  if (!product)
    return product.takeError();
  llvm::Expected<MatmulAlgorithm> algorithm = tuning.choose(context, *product);
  if (!algorithm)
    return algorithm.takeError();
  return std::make_unique<GemmCommand>(std::move(*product), *algorithm);
}
