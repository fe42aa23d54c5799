//===- GpuTarget.cpp - Which GPU code is generated for --------------------===//
#include "compiler/codegen/gpu/GpuTarget.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace dit;
using namespace dit::codegen;

static constexpr llvm::StringRef known[] = {"sm_80", "sm_89", "sm_90",
                                            "sm_100"};

llvm::Expected<GpuTarget> GpuTarget::resolve(llvm::StringRef name) {
  if (llvm::is_contained(known, name))
    return GpuTarget{name.str()};
  return plan::failure(plan::Exit::Unsupported,
                       "there is no code for the GPU '" + name + "'; use " +
                           llvm::join(llvm::ArrayRef(known), ", "));
}
