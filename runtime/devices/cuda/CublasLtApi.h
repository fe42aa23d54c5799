//===- CublasLtApi.h - cuBLASLt, as much as we use ------------------------===//
//
// Declared here, because a machine that builds us has no CUDA headers. Numbers
// and signatures are those of cublasLt.h and cublas_api.h (cuBLAS 13.1; the
// same in 12); DeclarationsTest compares them with those files where they are
// installed.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CUBLASLTAPI_H
#define DIT_RUNTIME_DEVICES_CUDA_CUBLASLTAPI_H

#include "runtime/devices/cuda/CudaApi.h"

namespace dit::runtime::cuda {

/// cublasStatus_t.
enum BlasStatus : int {
  BlasSuccess = 0,
  BlasNotSupported = 15,
};

/// cudaDataType.
enum BlasType : int { BlasF32 = 0, BlasF16 = 2, BlasBF16 = 14 };

/// cublasComputeType_t: fp32 products and sums, no TF32.
enum BlasCompute : int { BlasCompute32F = 68 };

/// cublasOperation_t.
enum BlasOperation : int { BlasNormal = 0, BlasTransposed = 1 };

/// cublasLtMatmulDescAttributes_t.
enum MatmulAttribute : int {
  MatmulTransA = 3,
  MatmulTransB = 4,
  MatmulEpilogue = 7,
  MatmulBiasPointer = 8,
  MatmulAuxPointer = 11,
  MatmulAuxLeading = 12,
  MatmulAuxBatchStride = 13,
  MatmulAuxType = 22,
  MatmulBiasType = 26,
};

/// cublasLtEpilogue_t; its GELU is the tanh form. Aux: with a second matrix.
enum BlasEpilogue : int {
  EpilogueDefault = 1,
  EpilogueBias = 4,
  EpilogueGelu = 32,
  EpilogueGeluBias = 36,
  EpilogueGeluAux = 160,
  EpilogueGeluAuxBias = 164,
  EpilogueGeluGrad = 192,
};

/// cublasLtMatrixLayoutAttribute_t.
enum LayoutAttribute : int { LayoutBatchCount = 5, LayoutBatchStride = 6 };

/// cublasLtMatmulPreferenceAttributes_t.
enum PreferenceAttribute : int {
  PreferWorkspaceBytes = 1,
  PreferAlignmentA = 5,
  PreferAlignmentB = 6,
  PreferAlignmentC = 7,
  PreferAlignmentD = 8,
};

using BlasHandle = struct BlasHandleTag *;     // cublasLtHandle_t
using MatmulDesc = struct MatmulDescTag *;     // cublasLtMatmulDesc_t
using MatrixLayout = struct MatrixLayoutTag *; // cublasLtMatrixLayout_t
using MatmulPreference = struct MatmulPreferenceTag *;

/// cublasLtMatmulAlgo_t.
struct MatmulAlgorithm {
  uint64_t data[8];
};

/// cublasLtMatmulHeuristicResult_t.
struct HeuristicResult {
  MatmulAlgorithm algorithm;
  size_t workspaceBytes;
  BlasStatus state;
  float waves;
  int reserved[4];
};

/// cuBLASLt's functions.
struct CublasLtApi {
  BlasStatus (*create)(BlasHandle *);
  BlasStatus (*destroy)(BlasHandle);
  size_t (*getVersion)();
  const char *(*getStatusName)(BlasStatus);
  BlasStatus (*matmulDescCreate)(MatmulDesc *, BlasCompute, BlasType scale);
  BlasStatus (*matmulDescDestroy)(MatmulDesc);
  BlasStatus (*matmulDescSetAttribute)(MatmulDesc, MatmulAttribute,
                                       const void *, size_t bytes);
  BlasStatus (*layoutCreate)(MatrixLayout *, BlasType, uint64_t rows,
                             uint64_t columns, int64_t leadingDimension);
  BlasStatus (*layoutDestroy)(MatrixLayout);
  BlasStatus (*layoutSetAttribute)(MatrixLayout, LayoutAttribute, const void *,
                                   size_t bytes);
  BlasStatus (*preferenceCreate)(MatmulPreference *);
  BlasStatus (*preferenceDestroy)(MatmulPreference);
  BlasStatus (*preferenceSetAttribute)(MatmulPreference, PreferenceAttribute,
                                       const void *, size_t bytes);
  BlasStatus (*getHeuristic)(BlasHandle, MatmulDesc, MatrixLayout a,
                             MatrixLayout b, MatrixLayout c, MatrixLayout d,
                             MatmulPreference, int requested,
                             HeuristicResult results[], int *found);
  BlasStatus (*algorithmCheck)(BlasHandle, MatmulDesc, MatrixLayout a,
                               MatrixLayout b, MatrixLayout c, MatrixLayout d,
                               const MatmulAlgorithm *, HeuristicResult *);
  BlasStatus (*matmul)(BlasHandle, MatmulDesc, const void *alpha, const void *a,
                       MatrixLayout, const void *b, MatrixLayout,
                       const void *beta, const void *c, MatrixLayout, void *d,
                       MatrixLayout, const MatmulAlgorithm *, void *workspace,
                       size_t workspaceBytes, Stream);

  std::string path; // of the library

  /// Opens libcublasLt.so.13 or .12. Exit::Unsupported where there is none.
  static llvm::Expected<CublasLtApi> load();

  /// "13.1.0", of the library.
  std::string version() const;
};

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_CUBLASLTAPI_H
