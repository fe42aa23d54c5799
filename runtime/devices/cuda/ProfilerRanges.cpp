//===- ProfilerRanges.cpp - What a profiler calls our work ----------------===//
//
// Numbers and signatures are those of NVTX 3 (nvtx3/nvtxDetail/nvtxTypes.h).
//
//===----------------------------------------------------------------------===//

#include "runtime/devices/cuda/ProfilerRanges.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <dlfcn.h>

namespace {

using AnyFunction = void (*)();
using GetExportTable = const void *(*)(uint32_t table);

/// What the injected library filled in; null where it did not.
struct CoreFunctions {
  int (*rangePushA)(const char *name) = nullptr;
  int (*rangePop)() = nullptr;
  // Functions that we do not call still have slots.
  AnyFunction unused = nullptr;
};

/// NvtxExportTableCallbacks.
struct CallbackTable {
  size_t bytes;
  int (*getModuleFunctionTable)(int module, AnyFunction ***slots,
                                unsigned *count);
};

/// NvtxExportTableVersionInfo.
struct VersionTable {
  size_t bytes;
  uint32_t version, reserved;
  void (*setInjectionVersion)(uint32_t);
};

} // namespace

static CoreFunctions &coreFunctions() {
  static CoreFunctions functions;
  return functions;
}

/// The slots of a module, by its NvtxCallbackId…, from 1 on; null ends them. A
/// profiler may insist on modules that we call nothing of.
static int getModuleFunctionTable(int module, AnyFunction ***slots,
                                  unsigned *count) {
  constexpr int core = 1, lastModule = 6, rangePushA = 9, rangePop = 11;
  constexpr unsigned coreSize = 16, size = 32;
  static AnyFunction *coreSlots[coreSize + 1], *otherSlots[size + 1];
  if (module < core || module > lastModule)
    return 0;
  bool isCore = module == core;
  AnyFunction **table = isCore ? coreSlots : otherSlots;
  CoreFunctions &functions = coreFunctions();
  std::fill(table + 1, table + (isCore ? coreSize : size), &functions.unused);
  if (isCore) {
    table[rangePushA] = reinterpret_cast<AnyFunction *>(&functions.rangePushA);
    table[rangePop] = reinterpret_cast<AnyFunction *>(&functions.rangePop);
  }
  if (slots)
    *slots = table;
  if (count)
    *count = isCore ? coreSize : size;
  return 1;
}

static const void *getExportTable(uint32_t table) {
  constexpr uint32_t callbacks = 1, versions = 3;
  static const CallbackTable callbackTable = {sizeof(CallbackTable),
                                              getModuleFunctionTable};
  static const VersionTable versionTable = {sizeof(VersionTable), 3, 0,
                                            [](uint32_t) {}};
  if (table == callbacks)
    return &callbackTable;
  return table == versions ? &versionTable : nullptr;
}

/// Lets the library that the environment names attach itself. One that cannot
/// be opened, or says no, is as none: a profiler reports its own failures.
static bool attach() {
  const char *path = std::getenv("NVTX_INJECTION64_PATH");
  void *library = path ? ::dlopen(path, RTLD_LAZY) : nullptr;
  if (!library)
    return false;
  auto initialize = reinterpret_cast<int (*)(GetExportTable)>(
      ::dlsym(library, "InitializeInjectionNvtx2"));
  return initialize && initialize(getExportTable) &&
         coreFunctions().rangePushA && coreFunctions().rangePop;
}

bool dit::runtime::cuda::isProfiled() {
  static const bool isAttached = attach();
  return isAttached;
}

dit::runtime::cuda::ProfilerRange::ProfilerRange(llvm::StringRef name) {
  if (isProfiled())
    coreFunctions().rangePushA(name.str().c_str());
}

dit::runtime::cuda::ProfilerRange::~ProfilerRange() {
  if (isProfiled())
    coreFunctions().rangePop();
}
