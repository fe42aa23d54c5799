//===- CpuTarget.cpp - Which CPU code is generated for --------------------===//
#include "compiler/codegen/cpu/CpuTarget.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/X86TargetParser.h"

using namespace dit::codegen;

/// What code generation builds on: more than sse2, all of it in x86-64-v3.
static constexpr const char *required[] = {"avx2", "fma", "f16c", "bmi2"};

/// Whether code generated from arithmetic may contain instructions of the set.
static bool isForArithmetic(llvm::StringRef feature) {
  static constexpr llvm::StringRef families[] = {
      "sse",    "ssse",  "avx",  "fma", "f16c", "bmi",       "lzcnt",
      "popcnt", "movbe", "gfni", "adx", "vaes", "vpclmulqdq"};
  return llvm::any_of(families, [&](llvm::StringRef family) {
    return feature.starts_with(family);
  });
}

llvm::Expected<CpuTarget> CpuTarget::resolve(llvm::StringRef name) {
  CpuTarget target;
  target.cpu = name.str();
  if (name == "native") {
    target.cpu = llvm::sys::getHostCPUName().str();
    // The CPU's name promises features that a virtual machine may hide.
    for (auto &feature : llvm::sys::getHostCPUFeatures()) {
      if (!feature.second)
        target.hidden.push_back(feature.first().str());
      else if (isForArithmetic(feature.first()))
        target.features.push_back(feature.first().str());
    }
    llvm::sort(target.hidden);
  } else {
    if (llvm::X86::parseArchX86(name, /*Only64Bit=*/true) == llvm::X86::CK_None)
      return llvm::createStringError(
          "--cpu: '%s' is not a 64-bit x86 CPU that LLVM knows; use native, "
          "x86-64-v3, x86-64-v4 or a name like znver4",
          target.cpu.c_str());
    llvm::SmallVector<llvm::StringRef> features;
    llvm::X86::getFeaturesForCPU(name, features);
    for (llvm::StringRef feature : features)
      if (isForArithmetic(feature))
        target.features.push_back(feature.str());
  }
  llvm::sort(target.features);
  for (const char *feature : required)
    if (!target.hasFeature(feature))
      return llvm::createStringError(
          "--cpu: %s has no %s, which generated kernels need (x86-64-v3 and "
          "later have it)",
          target.cpu.c_str(), feature);
  return target;
}

bool CpuTarget::hasFeature(llvm::StringRef feature) const {
  return llvm::is_contained(features, feature.str());
}

VectorTarget CpuTarget::getVectorTarget() const {
  bool isWide = hasFeature("avx512bw") && hasFeature("avx512dq") &&
                hasFeature("avx512vl");
  return {isWide ? 16 : 8, isWide && hasFeature("avx512bf16")};
}
