//===- CudaGemm.h - Matrix products by cuBLASLt ------------------*- C++
//-*-===//
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
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CUDAGEMM_H
#define DIT_RUNTIME_DEVICES_CUDA_CUDAGEMM_H

#include "runtime/devices/cuda/CublasLtApi.h"
#include "runtime/devices/cuda/CudaCommand.h"

namespace dit::runtime::cuda {

/// cuBLASLt with a handle; shared by the commands made with it.
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

/// The command of a GEMM instruction, its algorithm chosen by the library's
/// heuristic among those that need no more than the instruction's workspace.
///
/// A and B: both f32 (no TF32), bf16 or f16; C of the same type or f32; sums in
/// fp32; bias of C's type. Activation none or GELU (tanh); a residual only
/// where there is no activation; no gate, no packed B. For all else
/// Exit::Unsupported names the product and what is not supported.
llvm::Expected<std::unique_ptr<CudaCommand>>
createGemm(const proto::Gemm &gemm, const CudaAddresses &addresses,
           std::shared_ptr<BlasLibrary> library);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_CUDAGEMM_H
