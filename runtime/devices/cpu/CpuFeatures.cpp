//===- CpuFeatures.cpp - What this processor has --------------------------===//

#include "runtime/devices/cpu/CpuFeatures.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/Twine.h"
#include "llvm/TargetParser/Host.h"

#include <fstream>

using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

std::string dit::runtime::cpuName() {
  return llvm::sys::getHostCPUName().str();
}

std::string dit::runtime::cpuModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    auto [key, value] = llvm::StringRef(line).split(':');
    if (key.trim() == "model name")
      return value.trim().str();
  }
  return cpuName();
}

std::vector<std::string> dit::runtime::cpuFeatures() {
  std::vector<std::string> names;
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    if (feature.second)
      names.push_back(feature.first().str());
  llvm::sort(names);
  return names;
}

llvm::Error dit::runtime::checkTarget(const proto::Target &target) {
  if (target.kind() != "cpu")
    return failure(Exit::Unsupported,
                   "the plan is for target '" + plan::escaped(target.kind()) +
                       "', this ditrun runs on cpu; compile it with "
                       "--target cpu");
  if (target.world_size() > 1)
    return failure(Exit::Unsupported, "the plan is for " +
                                          llvm::Twine(target.world_size()) +
                                          " ranks, this ditrun runs one");
  std::vector<std::string> present = cpuFeatures(), absent;
  for (const std::string &feature : target.features()) {
    llvm::StringRef name = llvm::StringRef(feature).ltrim('+');
    if (!llvm::is_contained(present, name))
      absent.push_back(plan::escaped(name));
  }
  if (absent.empty())
    return llvm::Error::success();
  return failure(Exit::Unsupported,
                 "the plan was compiled for cpu '" +
                     plan::escaped(target.cpu()) + "' and uses " +
                     llvm::join(absent, ", ") + ", which this machine (" +
                     cpuName() +
                     ") does not have; compile it here, or with "
                     "--cpu x86-64-v3");
}
