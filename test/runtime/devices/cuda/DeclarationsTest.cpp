//===- DeclarationsTest.cpp - Our declarations against NVIDIA's -----------===//
//
// Built where CUDA's and cuDNN's headers are installed; nothing of it runs.
//
//===----------------------------------------------------------------------===//

#include <cublasLt.h>
#include <cuda.h>
#include <cudnn_graph.h>

#include "runtime/devices/cuda/CublasLtApi.h"
#include "runtime/devices/cuda/CudaApi.h"
#include "runtime/devices/cuda/CudnnApi.h"

#include <cstddef>
#include <gtest/gtest.h>
#include <type_traits>

using namespace dit::runtime::cuda;

/// Passed in the same way: the same size, both numbers or both pointers.
template <typename T, typename U>
static constexpr bool alike =
    sizeof(T) == sizeof(U) && std::is_pointer_v<T> == std::is_pointer_v<U> &&
    std::is_floating_point_v<T> == std::is_floating_point_v<U>;

template <typename Theirs, typename Ours>
struct SameCall : std::false_type {};
template <typename R, typename... A, typename Q, typename... B>
  requires(sizeof...(A) == sizeof...(B))
struct SameCall<R (*)(A...), Q (*)(B...)>
    : std::bool_constant<(alike<A, B> && ...)> {};

template <auto theirs, auto CudaApi::*ours>
static constexpr bool driver = SameCall<
    decltype(theirs),
    std::remove_reference_t<decltype(std::declval<CudaApi>().*ours)>>::value;
template <auto theirs, auto CublasLtApi::*ours>
static constexpr bool blas =
    SameCall<decltype(theirs),
             std::remove_reference_t<decltype(std::declval<CublasLtApi>().*
                                              ours)>>::value;
template <auto theirs, auto CudnnApi::*ours>
static constexpr bool dnn = SameCall<
    decltype(theirs),
    std::remove_reference_t<decltype(std::declval<CudnnApi>().*ours)>>::value;

static_assert(driver<&cuInit, &CudaApi::init>);
static_assert(driver<&cuDriverGetVersion, &CudaApi::driverGetVersion>);
static_assert(driver<&cuGetErrorName, &CudaApi::getErrorName>);
static_assert(driver<&cuGetErrorString, &CudaApi::getErrorString>);
static_assert(driver<&cuDeviceGetCount, &CudaApi::deviceGetCount>);
static_assert(driver<&cuDeviceGet, &CudaApi::deviceGet>);
static_assert(driver<&cuDeviceGetName, &CudaApi::deviceGetName>);
static_assert(driver<&cuDeviceGetAttribute, &CudaApi::deviceGetAttribute>);
static_assert(driver<&cuDeviceTotalMem, &CudaApi::deviceTotalMem>);
static_assert(driver<&cuDevicePrimaryCtxRetain, &CudaApi::primaryCtxRetain>);
static_assert(driver<&cuDevicePrimaryCtxRelease, &CudaApi::primaryCtxRelease>);
static_assert(driver<&cuCtxSetCurrent, &CudaApi::ctxSetCurrent>);
static_assert(driver<&cuMemGetInfo, &CudaApi::memGetInfo>);
static_assert(driver<&cuMemAlloc, &CudaApi::memAlloc>);
static_assert(driver<&cuMemFree, &CudaApi::memFree>);
static_assert(driver<&cuMemAllocHost, &CudaApi::memAllocHost>);
static_assert(driver<&cuMemFreeHost, &CudaApi::memFreeHost>);
static_assert(driver<&cuMemcpyHtoDAsync, &CudaApi::memcpyHtoDAsync>);
static_assert(driver<&cuMemcpyDtoHAsync, &CudaApi::memcpyDtoHAsync>);
static_assert(driver<&cuMemcpyDtoDAsync, &CudaApi::memcpyDtoDAsync>);
static_assert(driver<&cuMemsetD8Async, &CudaApi::memsetD8Async>);
static_assert(
    driver<&cuCtxGetStreamPriorityRange, &CudaApi::streamPriorityRange>);
static_assert(driver<&cuStreamCreateWithPriority, &CudaApi::streamCreate>);
static_assert(driver<&cuStreamDestroy, &CudaApi::streamDestroy>);
static_assert(driver<&cuStreamSynchronize, &CudaApi::streamSynchronize>);
static_assert(driver<&cuStreamBeginCapture, &CudaApi::streamBeginCapture>);
static_assert(driver<&cuStreamEndCapture, &CudaApi::streamEndCapture>);
static_assert(driver<&cuGraphInstantiateWithFlags, &CudaApi::graphInstantiate>);
static_assert(driver<&cuGraphLaunch, &CudaApi::graphLaunch>);
static_assert(driver<&cuGraphNodeGetType, &CudaApi::graphNodeGetType>);
static_assert(driver<&cuGraphKernelNodeSetAttribute,
                     &CudaApi::graphKernelNodeSetAttribute>);
static_assert(driver<&cuGraphDestroy, &CudaApi::graphDestroy>);
static_assert(driver<&cuGraphExecDestroy, &CudaApi::graphExecDestroy>);
static_assert(driver<&cuEventCreate, &CudaApi::eventCreate>);
static_assert(driver<&cuEventDestroy, &CudaApi::eventDestroy>);
static_assert(driver<&cuEventRecord, &CudaApi::eventRecord>);
static_assert(driver<&cuEventRecordWithFlags, &CudaApi::eventRecordWithFlags>);
static_assert(driver<&cuEventSynchronize, &CudaApi::eventSynchronize>);
static_assert(driver<&cuEventElapsedTime, &CudaApi::eventElapsedTime>);
static_assert(driver<&cuModuleLoadDataEx, &CudaApi::moduleLoadDataEx>);
static_assert(driver<&cuModuleUnload, &CudaApi::moduleUnload>);
static_assert(driver<&cuModuleGetFunction, &CudaApi::moduleGetFunction>);
static_assert(driver<&cuFuncGetAttribute, &CudaApi::funcGetAttribute>);
static_assert(driver<&cuFuncSetAttribute, &CudaApi::funcSetAttribute>);
static_assert(driver<&cuLaunchKernel, &CudaApi::launchKernel>);
static_assert(driver<&cuLaunchKernelEx, &CudaApi::launchKernelEx>);
static_assert(sizeof(CUlaunchConfig) == sizeof(LaunchConfig) &&
              offsetof(CUlaunchConfig, attrs) ==
                  offsetof(LaunchConfig, attributes) &&
              sizeof(CUlaunchAttribute) == sizeof(LaunchAttribute) &&
              offsetof(CUlaunchAttribute, value) ==
                  offsetof(LaunchAttribute, value) &&
              LaunchAttribute::programmaticSerialization ==
                  CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION &&
              LaunchAttribute::priority == CU_LAUNCH_ATTRIBUTE_PRIORITY);
static_assert(int(KernelNode) == CU_GRAPH_NODE_TYPE_KERNEL);
static_assert(setCaptureDependencies == CU_STREAM_SET_CAPTURE_DEPENDENCIES);

static_assert(int(OutOfMemory) == CUDA_ERROR_OUT_OF_MEMORY);
static_assert(int(UnsupportedPtxVersion) == CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
static_assert(int(MultiprocessorCount) ==
              CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(int(CapabilityMajor) ==
              CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(int(CapabilityMinor) ==
              CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(int(MaxThreadsPerBlock) ==
              CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
static_assert(int(MaxDynamicSharedBytes) ==
              CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
static_assert(int(ErrorLogBuffer) == CU_JIT_ERROR_LOG_BUFFER);
static_assert(int(ErrorLogBufferBytes) == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
static_assert(streamNonBlocking == CU_STREAM_NON_BLOCKING);
static_assert(eventRecordExternal == CU_EVENT_RECORD_EXTERNAL);
static_assert(int(CaptureRelaxed) == CU_STREAM_CAPTURE_MODE_RELAXED);

static_assert(blas<&cublasLtCreate, &CublasLtApi::create>);
static_assert(blas<&cublasLtDestroy, &CublasLtApi::destroy>);
static_assert(blas<&cublasLtGetVersion, &CublasLtApi::getVersion>);
static_assert(blas<&cublasLtGetStatusName, &CublasLtApi::getStatusName>);
static_assert(blas<&cublasLtMatmulDescCreate, &CublasLtApi::matmulDescCreate>);
static_assert(
    blas<&cublasLtMatmulDescDestroy, &CublasLtApi::matmulDescDestroy>);
static_assert(blas<&cublasLtMatmulDescSetAttribute,
                   &CublasLtApi::matmulDescSetAttribute>);
static_assert(blas<&cublasLtMatrixLayoutCreate, &CublasLtApi::layoutCreate>);
static_assert(blas<&cublasLtMatrixLayoutDestroy, &CublasLtApi::layoutDestroy>);
static_assert(
    blas<&cublasLtMatrixLayoutSetAttribute, &CublasLtApi::layoutSetAttribute>);
static_assert(
    blas<&cublasLtMatmulPreferenceCreate, &CublasLtApi::preferenceCreate>);
static_assert(
    blas<&cublasLtMatmulPreferenceDestroy, &CublasLtApi::preferenceDestroy>);
static_assert(blas<&cublasLtMatmulPreferenceSetAttribute,
                   &CublasLtApi::preferenceSetAttribute>);
static_assert(
    blas<&cublasLtMatmulAlgoGetHeuristic, &CublasLtApi::getHeuristic>);
static_assert(blas<&cublasLtMatmulAlgoCheck, &CublasLtApi::algorithmCheck>);
static_assert(blas<&cublasLtMatmul, &CublasLtApi::matmul>);
static_assert(sizeof(MatmulAlgorithm) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(HeuristicResult) ==
              sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(HeuristicResult, state) ==
              offsetof(cublasLtMatmulHeuristicResult_t, state));

static_assert(int(BlasNotSupported) == CUBLAS_STATUS_NOT_SUPPORTED);
static_assert(int(BlasF32) == CUDA_R_32F && int(BlasF16) == CUDA_R_16F &&
              int(BlasBF16) == CUDA_R_16BF);
static_assert(int(BlasCompute32F) == CUBLAS_COMPUTE_32F);
static_assert(int(BlasNormal) == CUBLAS_OP_N &&
              int(BlasTransposed) == CUBLAS_OP_T);
static_assert(int(MatmulTransA) == CUBLASLT_MATMUL_DESC_TRANSA &&
              int(MatmulTransB) == CUBLASLT_MATMUL_DESC_TRANSB &&
              int(MatmulEpilogue) == CUBLASLT_MATMUL_DESC_EPILOGUE &&
              int(MatmulBiasPointer) == CUBLASLT_MATMUL_DESC_BIAS_POINTER &&
              int(MatmulAuxPointer) ==
                  CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER &&
              int(MatmulAuxLeading) == CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD &&
              int(MatmulAuxBatchStride) ==
                  CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE &&
              int(MatmulAuxType) ==
                  CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE &&
              int(MatmulBiasType) == CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE);
static_assert(int(EpilogueDefault) == CUBLASLT_EPILOGUE_DEFAULT &&
              int(EpilogueBias) == CUBLASLT_EPILOGUE_BIAS &&
              int(EpilogueGelu) == CUBLASLT_EPILOGUE_GELU &&
              int(EpilogueGeluBias) == CUBLASLT_EPILOGUE_GELU_BIAS &&
              int(EpilogueGeluAux) == CUBLASLT_EPILOGUE_GELU_AUX &&
              int(EpilogueGeluAuxBias) == CUBLASLT_EPILOGUE_GELU_AUX_BIAS &&
              int(EpilogueGeluGrad) == CUBLASLT_EPILOGUE_DGELU);
static_assert(int(LayoutBatchCount) == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT &&
              int(LayoutBatchStride) ==
                  CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
static_assert(
    int(PreferWorkspaceBytes) == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES &&
    int(PreferAlignmentA) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
    int(PreferAlignmentB) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES &&
    int(PreferAlignmentC) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES &&
    int(PreferAlignmentD) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);

static_assert(dnn<&cudnnGetVersion, &CudnnApi::getVersion>);
static_assert(dnn<&cudnnGetErrorString, &CudnnApi::getErrorString>);
static_assert(dnn<&cudnnGetLastErrorString, &CudnnApi::getLastErrorString>);
static_assert(dnn<&cudnnCreate, &CudnnApi::create>);
static_assert(dnn<&cudnnDestroy, &CudnnApi::destroy>);
static_assert(dnn<&cudnnSetStream, &CudnnApi::setStream>);
static_assert(dnn<&cudnnBackendCreateDescriptor, &CudnnApi::createDescriptor>);
static_assert(
    dnn<&cudnnBackendDestroyDescriptor, &CudnnApi::destroyDescriptor>);
static_assert(dnn<&cudnnBackendFinalize, &CudnnApi::finalize>);
static_assert(dnn<&cudnnBackendSetAttribute, &CudnnApi::setAttribute>);
static_assert(dnn<&cudnnBackendGetAttribute, &CudnnApi::getAttribute>);
static_assert(dnn<&cudnnBackendExecute, &CudnnApi::execute>);

static_assert(int(DnnNotSupported) == CUDNN_STATUS_NOT_SUPPORTED);
static_assert(
    int(PointwiseDescriptor) == CUDNN_BACKEND_POINTWISE_DESCRIPTOR &&
    int(EngineDescriptor) == CUDNN_BACKEND_ENGINE_DESCRIPTOR &&
    int(EngineConfigDescriptor) == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR &&
    int(EngineHeuristicsDescriptor) == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR &&
    int(ExecutionPlanDescriptor) == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR &&
    int(PointwiseOperation) == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR &&
    int(OperationGraphDescriptor) == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR &&
    int(VariantPackDescriptor) == CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR &&
    int(TensorDescriptor) == CUDNN_BACKEND_TENSOR_DESCRIPTOR &&
    int(MatmulDescriptor) == CUDNN_BACKEND_MATMUL_DESCRIPTOR &&
    int(MatmulOperation) == CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR &&
    int(ReductionDescriptor) == CUDNN_BACKEND_REDUCTION_DESCRIPTOR &&
    int(ReductionOperation) == CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR &&
    int(ReshapeOperation) == CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
static_assert(
    int(PointwiseMode) == CUDNN_ATTR_POINTWISE_MODE &&
    int(PointwiseMathPrecision) == CUDNN_ATTR_POINTWISE_MATH_PREC &&
    int(HeuristicsMode) == CUDNN_ATTR_ENGINEHEUR_MODE &&
    int(HeuristicsGraph) == CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH &&
    int(HeuristicsResults) == CUDNN_ATTR_ENGINEHEUR_RESULTS &&
    int(EngineConfigEngine) == CUDNN_ATTR_ENGINECFG_ENGINE &&
    int(EngineNumericalNotes) == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE &&
    int(PlanHandle) == CUDNN_ATTR_EXECUTION_PLAN_HANDLE &&
    int(PlanEngineConfig) == CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG &&
    int(PlanWorkspaceBytes) == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE &&
    int(PointwiseOperationDescriptor) ==
        CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR &&
    int(PointwiseOperationX) == CUDNN_ATTR_OPERATION_POINTWISE_XDESC &&
    int(PointwiseOperationB) == CUDNN_ATTR_OPERATION_POINTWISE_BDESC &&
    int(PointwiseOperationY) == CUDNN_ATTR_OPERATION_POINTWISE_YDESC &&
    int(GraphHandle) == CUDNN_ATTR_OPERATIONGRAPH_HANDLE &&
    int(GraphOperations) == CUDNN_ATTR_OPERATIONGRAPH_OPS);
static_assert(
    int(TensorByteAlignment) == CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT &&
    int(TensorDataType) == CUDNN_ATTR_TENSOR_DATA_TYPE &&
    int(TensorDimensions) == CUDNN_ATTR_TENSOR_DIMENSIONS &&
    int(TensorStrides) == CUDNN_ATTR_TENSOR_STRIDES &&
    int(TensorUniqueId) == CUDNN_ATTR_TENSOR_UNIQUE_ID &&
    int(TensorIsVirtual) == CUDNN_ATTR_TENSOR_IS_VIRTUAL &&
    int(TensorIsByValue) == CUDNN_ATTR_TENSOR_IS_BY_VALUE &&
    int(VariantPackUniqueIds) == CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS &&
    int(VariantPackPointers) == CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS &&
    int(VariantPackWorkspace) == CUDNN_ATTR_VARIANT_PACK_WORKSPACE &&
    int(MatmulComputeType) == CUDNN_ATTR_MATMUL_COMP_TYPE &&
    int(MatmulOperationA) == CUDNN_ATTR_OPERATION_MATMUL_ADESC &&
    int(MatmulOperationB) == CUDNN_ATTR_OPERATION_MATMUL_BDESC &&
    int(MatmulOperationC) == CUDNN_ATTR_OPERATION_MATMUL_CDESC &&
    int(MatmulOperationDescriptor) == CUDNN_ATTR_OPERATION_MATMUL_DESC &&
    int(ReductionOperator) == CUDNN_ATTR_REDUCTION_OPERATOR &&
    int(ReductionComputeType) == CUDNN_ATTR_REDUCTION_COMP_TYPE &&
    int(ReductionOperationX) == CUDNN_ATTR_OPERATION_REDUCTION_XDESC &&
    int(ReductionOperationY) == CUDNN_ATTR_OPERATION_REDUCTION_YDESC &&
    int(ReductionOperationDescriptor) == CUDNN_ATTR_OPERATION_REDUCTION_DESC &&
    int(ReshapeOperationX) == CUDNN_ATTR_OPERATION_RESHAPE_XDESC &&
    int(ReshapeOperationY) == CUDNN_ATTR_OPERATION_RESHAPE_YDESC);
static_assert(int(TypeHandle) == CUDNN_TYPE_HANDLE &&
              int(TypeDataType) == CUDNN_TYPE_DATA_TYPE &&
              int(TypeBoolean) == CUDNN_TYPE_BOOLEAN &&
              int(TypeInt64) == CUDNN_TYPE_INT64 &&
              int(TypePointer) == CUDNN_TYPE_VOID_PTR &&
              int(TypeHeuristicsMode) == CUDNN_TYPE_HEUR_MODE &&
              int(TypeNumericalNote) == CUDNN_TYPE_NUMERICAL_NOTE &&
              int(TypePointwiseMode) == CUDNN_TYPE_POINTWISE_MODE &&
              int(TypeDescriptor) == CUDNN_TYPE_BACKEND_DESCRIPTOR &&
              int(TypeReductionOperator) == CUDNN_TYPE_REDUCTION_OPERATOR_TYPE);
static_assert(int(DnnF32) == CUDNN_DATA_FLOAT &&
              int(DnnF16) == CUDNN_DATA_HALF &&
              int(DnnBF16) == CUDNN_DATA_BFLOAT16);
static_assert(int(DnnMul) == CUDNN_POINTWISE_MUL &&
              int(DnnDiv) == CUDNN_POINTWISE_DIV &&
              int(DnnSub) == CUDNN_POINTWISE_SUB &&
              int(DnnExp) == CUDNN_POINTWISE_EXP);
static_assert(int(DnnSum) == CUDNN_REDUCE_TENSOR_ADD &&
              int(DnnMax) == CUDNN_REDUCE_TENSOR_MAX);
static_assert(int(DnnFallback) == CUDNN_HEUR_MODE_FALLBACK &&
              int(DnnModeA) == CUDNN_HEUR_MODE_A);
static_assert(int(DnnNondeterministic) ==
                  CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC &&
              dnnNumericalNotes >= CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
