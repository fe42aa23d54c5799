//===- TileOperations.cpp - Choose the instruction set --------------------===//

#include "runtime/kernels/tile/TileOperations.h"

#include "runtime/kernels/Microkernel.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

#include <algorithm>
#include <initializer_list>

namespace dit::runtime {

namespace v2 {
extern const TileOperations operations;
}
namespace v3 {
extern const TileOperations operations;
}
namespace v4 {
extern const TileOperations operations;
}
namespace v4bf16 {
extern const TileOperations operations;
}

static InstructionSet detectInstructionSet() {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  auto has = [&](std::initializer_list<const char *> names) {
    for (const char *name : names)
      if (!features.lookup(name))
        return false;
    return true;
  };
  if (!has({"avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe"}))
    return InstructionSet::V2;
  if (!has({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}))
    return InstructionSet::V3;
  return has({"avx512bf16"}) ? InstructionSet::V4BF16 : InstructionSet::V4;
}

InstructionSet hostInstructionSet() {
  static const InstructionSet host =
      std::min(detectInstructionSet(), microkernelInstructionSet());
  return host;
}

const TileOperations &tileOperations(InstructionSet set) {
  switch (set) {
  case InstructionSet::V2:
    return v2::operations;
  case InstructionSet::V3:
    return v3::operations;
  case InstructionSet::V4:
    return v4::operations;
  case InstructionSet::V4BF16:
    return v4bf16::operations;
  }
  return v2::operations;
}

} // namespace dit::runtime
