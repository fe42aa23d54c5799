//===- FakeProfiler.cpp - What a profiler injects, writing names down -----===//
//
// As NVTX 3's documentation has it: fills slots 9 (RangePushA) and 11
// (RangePop) of module CORE (1). "(name" and ")" are what it saw.
//
//===----------------------------------------------------------------------===//
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
std::string *profilerSaw();
int InitializeInjectionNvtx2(const void *(*getExportTable)(uint32_t));
}

std::string *profilerSaw() {
  static std::string text;
  return &text;
}

static int push(const char *name) {
  *profilerSaw() += "(" + std::string(name);
  return 0;
}

static int pop() {
  *profilerSaw() += ")";
  return 0;
}

int InitializeInjectionNvtx2(const void *(*getExportTable)(uint32_t)) {
  struct Callbacks {
    size_t bytes;
    int (*getModuleFunctionTable)(int, void (***table[])(), unsigned *);
  };
  auto *callbacks = static_cast<const Callbacks *>(getExportTable(1));
  if (!callbacks || callbacks->bytes < sizeof(Callbacks) || getExportTable(7))
    return 0;
  for (int module = 1; module <= 6; ++module) {
    void (***slots)() = nullptr;
    unsigned count = 0;
    if (!callbacks->getModuleFunctionTable(module, &slots, &count) ||
        count < 16 || slots[count])
      return 0;
    // A profiler fills all slots that it has a function for.
    for (unsigned i = 1; i < count; ++i)
      *slots[i] = [] {};
    if (module == 1) {
      *slots[9] = reinterpret_cast<void (*)()>(push);
      *slots[11] = reinterpret_cast<void (*)()>(pop);
    }
  }
  return 1;
}
