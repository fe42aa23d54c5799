//===- CodeImages.h - A plan's kernels on a GPU ---------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CODEIMAGES_H
#define DIT_RUNTIME_DEVICES_CUDA_CODEIMAGES_H

#include "runtime/devices/cuda/CudaContext.h"
#include "runtime/plan/Reader.h"

#include "llvm/ADT/STLExtras.h"

#include <vector>

namespace dit::runtime::cuda {

/// The images to try on a GPU of compute capability `sm`, in this order: a
/// cubin for exactly this architecture (sm_90, or sm_90a), then the newest PTX
/// that is not for a later one (PTX for sm_90a runs on 9.0 only): the cubin may
/// be newer than the driver.
std::vector<const proto::Image *> chooseImages(const proto::Plan &plan, int sm,
                                               llvm::StringRef part = "");

/// The code of a part of the plan (Image.part) for this GPU, loaded.
/// Exit::Unsupported where the plan has none for it, naming both sides.
llvm::Expected<Owned<Module>> loadPart(const CudaContext &context,
                                       const plan::PlanView &plan,
                                       llvm::StringRef part);

/// The kernels of a plan, loaded, in the plan's order.
class KernelCode {
public:
  /// Exit::Unsupported where the plan has no image for this GPU, naming both,
  /// or the driver is too old for the PTX; Exit::Malformed where an image does
  /// not compile or lacks a kernel. A kernel that asks for more threads or
  /// shared memory than the GPU gives is Exit::Unsupported, by name.
  static llvm::Expected<KernelCode> load(const CudaContext &context,
                                         const plan::PlanView &plan);

  Function function(unsigned kernel) const { return functions[kernel]; }
  /// Whether the kernel may be launched while what is before it still runs: its
  /// code waits by itself. Only with the environment variable
  /// DIT_CUDA_OVERLAP=1.
  bool overlaps(unsigned kernel) const { return waiting[kernel]; }
  bool anyOverlaps() const { return llvm::is_contained(waiting, true); }

private:
  Owned<Module> module;
  std::vector<Function> functions;
  std::vector<bool> waiting;
};

/// "kernel 'symbol' (what was fused)", for errors.
std::string kernelName(const proto::Kernel &kernel);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_CODEIMAGES_H
