//===- GemmTuning.h - Which algorithm a product takes ---------------------===//
//
// The library's heuristic chooses from shapes; measuring on the GPU chooses
// better. What was measured is kept in a file beside the plan, so that later
// runs take the same algorithms and compute the same bits:
//
//   ditrun tuning 1
//   cuBLASLt 13.1.0, NVIDIA H100 80GB HBM3
//   <product> TAB <algorithm, 128 hexadecimal digits>
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_GEMMTUNING_H
#define DIT_RUNTIME_DEVICES_CUDA_GEMMTUNING_H

#include "runtime/devices/cuda/MatrixProduct.h"

#include <map>

namespace dit::runtime::cuda {

/// The algorithms of a plan's products.
class GemmTuning {
public:
  /// `file` may be empty: nothing is read or written. With `measure`, products
  /// that the file does not know are measured and written to it.
  GemmTuning(std::string file, bool measure)
      : file(std::move(file)), measure(measure) {}

  /// Reads the file where there is one. One that is for another GPU or library
  /// is ignored, and written over by the next measurement. Exit::Malformed for
  /// what is no such file.
  llvm::Error read(const CudaContext &context, const BlasLibrary &library);

  /// The algorithm for a product: the file's, else the fastest measured, else
  /// the heuristic's. Measuring overwrites the result's bytes.
  llvm::Expected<MatmulAlgorithm> choose(const CudaContext &context,
                                         const MatrixProduct &product);

private:
  llvm::Expected<MatmulAlgorithm> fastest(const CudaContext &context,
                                          const MatrixProduct &product) const;
  llvm::Error write() const;

  std::string file;
  bool measure;
  std::string machine; // the file's second line here
  std::map<std::string, MatmulAlgorithm> algorithms;
};

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_GEMMTUNING_H
