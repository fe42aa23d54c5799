//===- CudaApi.h - CUDA's driver, as much as we use -----------------------===//
//
// Declared here, because a machine that builds us has no CUDA headers. Names
// are the driver's without cu and _v2; numbers and signatures are those of
// cuda.h (CUDA 13.0; unchanged since 12.0), and DeclarationsTest compares them
// with that file where it is installed.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CUDAAPI_H
#define DIT_RUNTIME_DEVICES_CUDA_CUDAAPI_H

#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace dit::runtime::cuda {

/// CUresult: the ones that we tell apart.
enum Result : int {
  Success = 0,
  OutOfMemory = 2,
  UnsupportedPtxVersion = 222,
};

/// CUdevice_attribute.
enum DeviceAttribute : int {
  MultiprocessorCount = 16,
  CapabilityMajor = 75,
  CapabilityMinor = 76,
};

/// CUfunction_attribute.
enum FunctionAttribute : int {
  MaxThreadsPerBlock = 0,
  MaxDynamicSharedBytes = 8,
};

/// CUjit_option.
enum JitOption : int { ErrorLogBuffer = 5, ErrorLogBufferBytes = 6 };

/// CUtensorMap: how the copy engine sees a tensor.
struct alignas(64) TensorMap {
  uint64_t words[16];
};

/// CUtensorMapDataType, …Interleave, …Swizzle, …L2promotion, …FloatOOBfill.
enum TensorMapType : int { TensorMapBf16 = 9 };
enum TensorMapInterleave : int { TensorMapNotInterleaved = 0 };
enum TensorMapSwizzle : int {
  TensorMapSwizzle32 = 1,
  TensorMapSwizzle64 = 2,
  TensorMapSwizzle128 = 3,
};
enum TensorMapPromotion : int { TensorMapPromotion256 = 3 };
enum TensorMapFill : int { TensorMapFillZero = 0 };

/// CUlaunchAttribute: its identity, and the value that goes with it.
struct LaunchAttribute {
  static constexpr int programmaticSerialization = 6, priority = 8;
  int id = programmaticSerialization;
  char padding[4] = {};
  union {
    int isAllowed = 1;
    int priority;
    char bytes[64];
  } value;
};

/// CUlaunchConfig.
struct LaunchConfig {
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes;
  struct StreamTag *stream;
  LaunchAttribute *attributes;
  unsigned attributeCount;
};

/// CUstream_flags, CUevent_record_flags and CUstreamCaptureMode.
constexpr unsigned streamNonBlocking = 1;
constexpr unsigned eventRecordExternal = 1;
constexpr unsigned eventDisableTiming = 2;
enum CaptureMode : int { CaptureRelaxed = 2 };
/// CUgraphNodeType, of which others are not asked for.
enum GraphNodeType : int { KernelNode = 0 };
/// CUstreamUpdateCaptureDependencies_flags.
constexpr unsigned setCaptureDependencies = 1;

using DeviceOrdinal = int;               // CUdevice
using DevicePointer = uint64_t;          // CUdeviceptr
using Context = struct ContextTag *;     // CUcontext
using Stream = struct StreamTag *;       // CUstream, cudaStream_t
using Event = struct EventTag *;         // CUevent
using Module = struct ModuleTag *;       // CUmodule
using Function = struct FunctionTag *;   // CUfunction
using Graph = struct GraphTag *;         // CUgraph
using GraphNode = struct GraphNodeTag *; // CUgraphNode
using GraphExec = struct GraphExecTag *; // CUgraphExec

/// The driver's functions.
struct CudaApi {
  Result (*init)(unsigned flags);
  Result (*driverGetVersion)(int *version);
  Result (*getErrorName)(Result, const char **);
  Result (*getErrorString)(Result, const char **);

  Result (*deviceGetCount)(int *count);
  Result (*deviceGet)(DeviceOrdinal *, int ordinal);
  Result (*deviceGetName)(char *name, int bytes, DeviceOrdinal);
  Result (*deviceGetAttribute)(int *value, DeviceAttribute, DeviceOrdinal);
  Result (*deviceTotalMem)(size_t *bytes, DeviceOrdinal);
  Result (*primaryCtxRetain)(Context *, DeviceOrdinal);
  Result (*primaryCtxRelease)(DeviceOrdinal);
  Result (*ctxSetCurrent)(Context);

  Result (*memGetInfo)(size_t *free, size_t *total);
  Result (*memAlloc)(DevicePointer *, size_t bytes);
  Result (*memFree)(DevicePointer);
  Result (*memAllocHost)(void **, size_t bytes);
  Result (*memFreeHost)(void *);
  Result (*memcpyHtoDAsync)(DevicePointer to, const void *from, size_t bytes,
                            Stream);
  Result (*memcpyDtoHAsync)(void *to, DevicePointer from, size_t bytes, Stream);
  Result (*memcpyDtoDAsync)(DevicePointer to, DevicePointer from, size_t bytes,
                            Stream);
  Result (*memsetD8Async)(DevicePointer to, unsigned char byte, size_t bytes,
                          Stream);

  Result (*streamPriorityRange)(int *least, int *greatest);
  Result (*streamCreate)(Stream *, unsigned flags, int priority);
  Result (*streamDestroy)(Stream);
  Result (*streamSynchronize)(Stream);
  Result (*streamBeginCapture)(Stream, CaptureMode);
  Result (*streamEndCapture)(Stream, Graph *);
  Result (*streamGetCaptureInfo)(Stream, int *status, uint64_t *id, Graph *,
                                 const GraphNode **dependencies, size_t *count);
  Result (*streamUpdateCaptureDependencies)(Stream, GraphNode *dependencies,
                                            size_t count, unsigned flags);
  Result (*graphInstantiate)(GraphExec *, Graph, unsigned long long flags);
  Result (*graphLaunch)(GraphExec, Stream);
  Result (*graphNodeGetType)(GraphNode, GraphNodeType *);
  Result (*graphKernelNodeSetAttribute)(GraphNode, int attribute,
                                        const void *value);
  Result (*graphDestroy)(Graph);
  Result (*graphExecDestroy)(GraphExec);

  Result (*eventCreate)(Event *, unsigned flags);
  Result (*eventDestroy)(Event);
  Result (*eventRecord)(Event, Stream);
  Result (*eventRecordWithFlags)(Event, Stream, unsigned flags);
  Result (*eventSynchronize)(Event);
  Result (*eventElapsedTime)(float *milliseconds, Event begin, Event end);

  Result (*moduleLoadDataEx)(Module *, const void *image, unsigned options,
                             JitOption *, void **values);
  Result (*moduleUnload)(Module);
  Result (*moduleGetFunction)(Function *, Module, const char *name);
  Result (*funcGetAttribute)(int *value, FunctionAttribute, Function);
  Result (*funcSetAttribute)(Function, FunctionAttribute, int value);
  Result (*launchKernel)(Function, unsigned gridX, unsigned gridY,
                         unsigned gridZ, unsigned blockX, unsigned blockY,
                         unsigned blockZ, unsigned sharedBytes, Stream,
                         void **parameters, void **extra);
  Result (*launchKernelEx)(const LaunchConfig *, Function, void **parameters,
                           void **extra);

  Result (*tensorMapEncodeTiled)(TensorMap *, TensorMapType, uint32_t rank,
                                 void *address, const uint64_t *sizes,
                                 const uint64_t *strides, const uint32_t *box,
                                 const uint32_t *steps, TensorMapInterleave,
                                 TensorMapSwizzle, TensorMapPromotion,
                                 TensorMapFill);

  std::string path; // of the library

  /// Opens libcuda.so.1 and initialises it. Exit::Unsupported where there is no
  /// driver, no GPU, or the driver is too old, naming both sides.
  static llvm::Expected<CudaApi> load();

  /// Success, or an error "what: CUDA_ERROR_NAME (in words)"; Exit::Memory for
  /// a device without enough memory, else Exit::Internal.
  llvm::Error check(Result result, const llvm::Twine &what) const;

  /// "CUDA_ERROR_NAME (in words)".
  std::string describe(Result result) const;
};

/// A driver's object that is destroyed with its owner.
template <typename T>
class Owned {
public:
  Owned() = default;
  Owned(T object, Result (*destroy)(T)) : object(object), destroy(destroy) {}
  Owned(Owned &&other) noexcept { *this = std::move(other); }
  Owned &operator=(Owned &&other) noexcept {
    std::swap(object, other.object);
    std::swap(destroy, other.destroy);
    return *this;
  }
  ~Owned() {
    if (object)
      destroy(object);
  }

  T get() const { return object; }
  explicit operator bool() const { return object; }

private:
  T object{};
  Result (*destroy)(T) = nullptr;
};

/// "13.0" of the driver's 13000.
std::string printVersion(int version);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_CUDAAPI_H
