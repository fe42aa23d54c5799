//===- GpuTarget.cpp - Which GPU code is generated for --------------------===//
#include "compiler/codegen/gpu/GpuTarget.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace dit::codegen;

static constexpr llvm::StringRef known[] = {"sm_80", "sm_89", "sm_90",
                                            "sm_100"};

llvm::Expected<GpuTarget> GpuTarget::resolve(llvm::StringRef name) {
  if (llvm::is_contained(known, name))
    return GpuTarget{name.str()};
  return llvm::createStringError("--target: there is no code for '" + name +
                                 "'; use " +
                                 llvm::join(llvm::ArrayRef(known), ", "));
}
