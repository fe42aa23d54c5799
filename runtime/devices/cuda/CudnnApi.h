//===- CudnnApi.h - cuDNN's graph interface, as much as we use ------------===//
//
// Declared here, because a machine that builds us has no cuDNN headers. Numbers
// and signatures are those of cudnn_graph.h (cuDNN 9.19; the same since 9.0);
// DeclarationsTest compares them with that file where it is installed.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CUDNNAPI_H
#define DIT_RUNTIME_DEVICES_CUDA_CUDNNAPI_H

#include "runtime/devices/cuda/CudaApi.h"

namespace dit::runtime::cuda {

/// cudnnStatus_t; those of the 3000s say that something is not supported.
enum DnnStatus : int { DnnSuccess = 0, DnnNotSupported = 3000 };

/// cudnnBackendDescriptorType_t.
enum DnnDescriptorKind : int {
  PointwiseDescriptor = 0,
  EngineDescriptor = 2,
  EngineConfigDescriptor = 3,
  EngineHeuristicsDescriptor = 4,
  ExecutionPlanDescriptor = 5,
  PointwiseOperation = 13,
  OperationGraphDescriptor = 15,
  VariantPackDescriptor = 16,
  TensorDescriptor = 17,
  MatmulDescriptor = 18,
  MatmulOperation = 19,
  ReductionDescriptor = 21,
  ReductionOperation = 22,
  ReshapeOperation = 31,
};

/// cudnnBackendAttributeName_t.
enum DnnAttribute : int {
  PointwiseMode = 0,
  PointwiseMathPrecision = 1,
  HeuristicsMode = 200,
  HeuristicsGraph = 201,
  HeuristicsResults = 202,
  EngineConfigEngine = 300,
  PlanHandle = 400,
  PlanEngineConfig = 401,
  PlanWorkspaceBytes = 402,
  PointwiseOperationDescriptor = 750,
  PointwiseOperationX = 751,
  PointwiseOperationB = 752,
  PointwiseOperationY = 753,
  GraphHandle = 800,
  GraphOperations = 801,
  TensorByteAlignment = 900,
  TensorDataType = 901,
  TensorDimensions = 902,
  TensorStrides = 903,
  TensorUniqueId = 906,
  TensorIsVirtual = 907,
  TensorIsByValue = 908,
  VariantPackUniqueIds = 1000,
  VariantPackPointers = 1001,
  VariantPackWorkspace = 1003,
  EngineNumericalNotes = 1303,
  MatmulComputeType = 1500,
  MatmulOperationA = 1520,
  MatmulOperationB = 1521,
  MatmulOperationC = 1522,
  MatmulOperationDescriptor = 1523,
  ReductionOperator = 1600,
  ReductionComputeType = 1601,
  ReductionOperationX = 1610,
  ReductionOperationY = 1611,
  ReductionOperationDescriptor = 1612,
  ReshapeOperationX = 2200,
  ReshapeOperationY = 2201,
};

/// cudnnBackendAttributeType_t.
enum DnnAttributeType : int {
  TypeHandle = 0,
  TypeDataType = 1,
  TypeBoolean = 2,
  TypeInt64 = 3,
  TypePointer = 6,
  TypeHeuristicsMode = 8,
  TypeNumericalNote = 11,
  TypePointwiseMode = 14,
  TypeDescriptor = 15,
  TypeReductionOperator = 18,
};

/// cudnnDataType_t, cudnnPointwiseMode_t, cudnnReduceTensorOp_t,
/// cudnnBackendHeurMode_t.
enum DnnType : int { DnnF32 = 0, DnnF16 = 2, DnnBF16 = 9 };
enum DnnPointwise : int {
  DnnAdd = 0,
  DnnMul = 1,
  DnnDiv = 6,
  DnnSub = 9,
  DnnExp = 13,
  DnnLog = 15,
};
enum DnnReduction : int { DnnSum = 0, DnnMax = 3 };
enum DnnHeuristics : int { DnnFallback = 2, DnnModeA = 3 };

/// cudnnBackendNumericalNote_t, and how many there may be.
enum DnnNumericalNote : int { DnnNondeterministic = 4 };
constexpr int64_t dnnNumericalNotes = 16;

using DnnHandle = struct DnnHandleTag *; // cudnnHandle_t
using DnnDescriptor = void *;            // cudnnBackendDescriptor_t

/// cuDNN's functions.
struct CudnnApi {
  size_t (*getVersion)();
  const char *(*getErrorString)(DnnStatus);
  void (*getLastErrorString)(char *message, size_t bytes);
  DnnStatus (*create)(DnnHandle *);
  DnnStatus (*destroy)(DnnHandle);
  DnnStatus (*setStream)(DnnHandle, Stream);
  DnnStatus (*createDescriptor)(DnnDescriptorKind, DnnDescriptor *);
  DnnStatus (*destroyDescriptor)(DnnDescriptor);
  DnnStatus (*finalize)(DnnDescriptor);
  DnnStatus (*setAttribute)(DnnDescriptor, DnnAttribute, DnnAttributeType,
                            int64_t count, const void *elements);
  DnnStatus (*getAttribute)(const DnnDescriptor, DnnAttribute, DnnAttributeType,
                            int64_t requested, int64_t *count, void *elements);
  DnnStatus (*execute)(DnnHandle, DnnDescriptor plan, DnnDescriptor pack);

  std::string path; // of the library

  /// Opens libcudnn.so.9. Exit::Unsupported where there is none.
  static llvm::Expected<CudnnApi> load();

  /// "9.19.0", of the library.
  std::string version() const;

  /// The status and what the library says of its last error.
  std::string describe(DnnStatus status) const;
};

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_CUDNNAPI_H
