//===- CpuFeatures.h - What this processor has ----------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CPU_CPUFEATURES_H
#define DIT_RUNTIME_DEVICES_CPU_CPUFEATURES_H

#include "runtime/plan/plan.pb.h"

#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace dit::runtime {

/// LLVM's name of this processor: "znver4".
std::string cpuName();

/// The marketing name: "AMD EPYC 9R14 96-Core Processor", or cpuName().
std::string cpuModel();

/// LLVM's names of the features this processor has, sorted.
std::vector<std::string> cpuFeatures();

/// Exit::Unsupported unless this machine can run code for `target`: names what
/// is missing, what the plan was compiled for and what this machine is.
llvm::Error checkTarget(const proto::Target &target);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DEVICES_CPU_CPUFEATURES_H
