//===- ProfilerRanges.h - What a profiler calls our work ------------------===//
//
// NVTX ranges without NVIDIA's headers. A profiler (nsys, ncu) names itself in
// the environment variable NVTX_INJECTION64_PATH; the library there asks for a
// table of slots and fills those of the functions that it has:
//
//   we: dlopen(path), InitializeInjectionNvtx2(getExportTable)
//     it: getExportTable(1) ──▶ {size, getModuleFunctionTable}
//     it: getModuleFunctionTable(core) ──▶ slots; *slots[9] = its RangePushA
//   we: call what is in the slots
//
// Without a profiler nothing is opened and a range costs a test of a pointer.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_PROFILERRANGES_H
#define DIT_RUNTIME_DEVICES_CUDA_PROFILERRANGES_H

#include "llvm/ADT/StringRef.h"

namespace dit::runtime::cuda {

/// Whether a profiler is attached. The first call looks for it, once a process.
bool isProfiled();

/// While it lives, what this thread enqueues is in a range of this name. Ranges
/// nest. Nothing happens where no profiler is attached.
class ProfilerRange {
public:
  explicit ProfilerRange(llvm::StringRef name);
  ~ProfilerRange();
  ProfilerRange(const ProfilerRange &) = delete;
  ProfilerRange &operator=(const ProfilerRange &) = delete;
};

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_PROFILERRANGES_H
