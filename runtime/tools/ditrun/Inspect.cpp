//===- Inspect.cpp - Plans as text, and what this machine has -------------===//

#include "runtime/devices/cpu/CpuFeatures.h"
#include "runtime/devices/cpu/HostMemory.h"
#include "runtime/devices/cpu/ThreadPool.h"
#include "runtime/devices/cuda/CudaDevice.h"
#include "runtime/plan/Memory.h"
#include "runtime/plan/Print.h"
#include "runtime/tools/ditrun/Modes.h"

#include "llvm/ADT/STLExtras.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

llvm::Expected<Exit> dit::runtime::inspectPlan(const Options &options) {
  llvm::Expected<plan::PlanFile> file = plan::PlanFile::open(options.plan);
  if (!file)
    return file.takeError();
  plan::printPlan(file->view(), llvm::outs());
  return Exit::Done;
}

llvm::Expected<Exit> dit::runtime::verifyPlan(const Options &options) {
  llvm::Expected<plan::PlanFile> file = plan::PlanFile::open(options.plan);
  if (!file) {
    auto [code, text] = plan::describe(file.takeError());
    if (code != Exit::Malformed)
      return plan::failure(code, text);
    // Verified, and it is not what it should be.
    return plan::failure(Exit::Differs, text);
  }
  llvm::outs() << "ok " << file->view().hash << "\n";
  return Exit::Done;
}

llvm::Expected<Exit> dit::runtime::printMachine(const Options &options) {
  // What changes how fast or whether plans run here.
  static constexpr llvm::StringLiteral interesting[] = {
      "sse4.2",     "avx",        "avx2",     "fma",      "f16c",
      "avx512f",    "avx512bw",   "avx512dq", "avx512vl", "avx512vnni",
      "avx512bf16", "avx512fp16", "amx-tile", "amx-bf16"};
  std::vector<std::string> features = cpuFeatures();
  llvm::outs() << "processor  " << cpuModel() << " (" << cpuName() << ")\n"
               << "cores      " << availableCores() << "\n"
               << "features  ";
  for (llvm::StringRef name : interesting)
    if (llvm::is_contained(features, name))
      llvm::outs() << " " << name;
  llvm::outs() << "\nmemory     " << plan::printBytes(availableMemory())
               << " available\n"
               << describeCudaMachine();
  return Exit::Done;
}
