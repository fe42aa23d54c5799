//===- MatrixProduct.h - One product as cuBLASLt sees it ------------------===//
//
// A plan's matrices are row-major; to cuBLASLt the same bytes are the
// transposed matrices, column-major. So C = A B^T + bias, [M, N], is asked for
// as C^T = B A^T + bias, where the bias runs along the rows of C^T, as
// cuBLASLt's does:
//
//   plan              bytes as column-major   asked for as
//   B [N, K] ldb      K x N                   first operand, transposed
//   B [K, N] ldb      N x K                   first operand
//   A [M, K] lda      K x M                   second operand
//   A [K, M] lda      M x K                   second operand, transposed
//   C [M, N] ldc      N x M                   result
//
// aux lies as C does.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_MATRIXPRODUCT_H
#define DIT_RUNTIME_DEVICES_CUDA_MATRIXPRODUCT_H

#include "runtime/devices/cuda/CublasLtApi.h"
#include "runtime/devices/cuda/CudaCommand.h"

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace dit::runtime::cuda {

/// cuBLASLt with a handle; shared by the products made with it.
class BlasLibrary {
public:
  /// Opens the library on the current context. Exit::Unsupported where it is
  /// missing or does not go with the driver.
  static llvm::Expected<std::shared_ptr<BlasLibrary>> open();
  ~BlasLibrary();

  const CublasLtApi &api() const { return functions; }
  BlasHandle handle() const { return blas; }

private:
  explicit BlasLibrary(CublasLtApi functions)
      : functions(std::move(functions)) {}

  CublasLtApi functions;
  BlasHandle blas = nullptr;
};

/// An object of cuBLASLt that is destroyed with its owner.
template <typename T>
struct BlasDestroy {
  BlasStatus (*destroy)(T);
  void operator()(T object) const { destroy(object); }
};
template <typename T>
using BlasObject = std::unique_ptr<std::remove_pointer_t<T>, BlasDestroy<T>>;

/// A GEMM instruction with its descriptors and addresses, for any algorithm.
class MatrixProduct {
public:
  /// Exit::Unsupported names the product and what of it cuBLASLt cannot do.
  static llvm::Expected<MatrixProduct>
  create(const proto::Gemm &gemm, const CudaAddresses &addresses,
         std::shared_ptr<BlasLibrary> library);

  /// "gemm 512x1152x4608 bf16 x bf16 -> f32", and what is done with aux.
  const std::string &name() const { return title; }
  /// Everything that an algorithm may depend on, on one line; equal for
  /// products that an algorithm serves equally.
  std::string key() const { return identity; }

  /// At most `most` algorithms that need no more than the workspace, what the
  /// library thinks fastest first. Exit::Unsupported where there is none.
  llvm::Expected<std::vector<MatmulAlgorithm>> candidates(int most) const;
  /// Whether an algorithm from elsewhere can do this product.
  bool accepts(const MatmulAlgorithm &algorithm) const;
  /// Whether an algorithm that can writes to the workspace.
  bool usesWorkspace(const MatmulAlgorithm &algorithm) const;
  /// Puts the product on a stream.
  llvm::Error enqueue(const MatmulAlgorithm &algorithm, Stream stream) const;

  /// Where its result goes.
  DevicePointer result() const { return c; }

private:
  MatrixProduct(const proto::Gemm &gemm, const CudaAddresses &addresses,
                std::shared_ptr<BlasLibrary> library);
  llvm::Error makeDescriptor(const proto::Gemm &gemm);
  llvm::Error setAux(const proto::Gemm &gemm);
  llvm::Error makeLayouts(const proto::Gemm &gemm);
  /// The bytes of workspace that an algorithm needs; nothing where it cannot do
  /// this product.
  std::optional<size_t> workspaceOf(const MatmulAlgorithm &algorithm) const;
  llvm::Error check(BlasStatus status, const char *what) const;
  llvm::Expected<BlasObject<MatrixLayout>>
  makeLayout(proto::ElementType type, int64_t rows, int64_t columns,
             int64_t leadingDimension, int64_t batch, int64_t stride) const;

  std::shared_ptr<BlasLibrary> library;
  std::string title, identity;
  // Named as the plan names them; cuBLASLt's first operand is b.
  DevicePointer a, b, c, bias, addend, workspace, aux;
  uint64_t workspaceBytes;
  float beta;
  BlasObject<MatmulDesc> descriptor;
  BlasObject<MatrixLayout> layoutA, layoutB, layoutC, layoutAddend;
};

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_MATRIXPRODUCT_H
