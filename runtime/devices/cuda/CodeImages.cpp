//===- CodeImages.cpp - A plan's kernels on a GPU -------------------------===//

#include "runtime/devices/cuda/CodeImages.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/StringRef.h"

#include <cstdlib>

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::Exit;
using dit::plan::failure;

namespace {

/// sm_90a: 90, and that it runs on this architecture only.
struct Architecture {
  int sm = 0;
  bool only = false;
};

} // namespace

/// Nothing for what is no architecture.
static Architecture parseArchitecture(llvm::StringRef text) {
  Architecture arch;
  text.consume_front("sm_");
  arch.only = text.consume_back("a");
  if (text.getAsInteger(10, arch.sm))
    arch.sm = 0;
  return arch;
}

std::vector<const proto::Image *>
dit::runtime::cuda::chooseImages(const proto::Plan &plan, int sm,
                                 llvm::StringRef part) {
  const proto::Image *cubin = nullptr, *ptx = nullptr;
  int ptxSm = 0;
  for (const proto::Image &image : plan.images()) {
    if (image.part() != part)
      continue;
    Architecture arch = parseArchitecture(image.arch());
    if (image.kind() == proto::Image::CUBIN && arch.sm == sm && !cubin)
      cubin = &image;
    if (image.kind() != proto::Image::PTX || arch.sm > sm || arch.sm <= ptxSm)
      continue;
    if (arch.only && arch.sm != sm)
      continue;
    ptx = &image;
    ptxSm = arch.sm;
  }
  std::vector<const proto::Image *> images;
  for (const proto::Image *image : {cubin, ptx})
    if (image)
      images.push_back(image);
  return images;
}

std::string dit::runtime::cuda::kernelName(const proto::Kernel &kernel) {
  std::string name = "kernel '" + plan::escaped(kernel.symbol()) + "'";
  if (!kernel.description().empty())
    name += " (" + plan::escaped(kernel.description()) + ")";
  return name;
}

static std::string listImages(const proto::Plan &plan, llvm::StringRef part) {
  std::string list;
  for (const proto::Image &image : plan.images())
    if (image.part() == part)
      list += (list.empty() ? "" : ", ") + plan::escaped(image.arch()) +
              (image.kind() == proto::Image::CUBIN ? " (cubin)" : " (ptx)");
  return list.empty() ? "no GPU" : list;
}

/// Hands an image to the driver, which compiles PTX.
static llvm::Expected<Owned<Module>> loadImage(const CudaContext &context,
                                               const proto::Image &image,
                                               llvm::ArrayRef<uint8_t> bytes) {
  // PTX is a C string to the driver; a cubin has its length in its header.
  std::string code(bytes.begin(), bytes.end());
  std::string log(8192, '\0');
  JitOption options[] = {ErrorLogBuffer, ErrorLogBufferBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size())};
  Module module;
  Result result =
      context.api().moduleLoadDataEx(&module, code.c_str(), 2, options, values);
  if (result == Success)
    return Owned<Module>(module, context.api().moduleUnload);
  std::string what = "the plan's code for " + plan::escaped(image.arch());
  if (result == UnsupportedPtxVersion)
    return failure(Exit::Unsupported,
                   what +
                       " is PTX that is newer than this driver, which is "
                       "for CUDA " +
                       printVersion(context.driverVersion()));
  if (result == OutOfMemory)
    return context.api().check(result, what);
  return failure(Exit::Malformed,
                 what + " does not load: " + context.api().describe(result) +
                     " " +
                     plan::escaped(llvm::StringRef(log.c_str()).trim(), 1000));
}

/// Finds a kernel and makes sure that the GPU can launch it.
static llvm::Expected<Function> findKernel(const CudaContext &context,
                                           Module module,
                                           const proto::Kernel &kernel) {
  const CudaApi &api = context.api();
  Function function;
  if (api.moduleGetFunction(&function, module, kernel.symbol().c_str()))
    return failure(Exit::Malformed,
                   "the plan's code has no " + kernelName(kernel));
  int most = 0;
  if (llvm::Error error =
          api.check(api.funcGetAttribute(&most, MaxThreadsPerBlock, function),
                    kernelName(kernel)))
    return std::move(error);
  if (kernel.threads() < 1 || kernel.threads() > most)
    return failure(
        Exit::Unsupported,
        kernelName(kernel) + " wants " + llvm::Twine(kernel.threads()) +
            " threads a block, this GPU gives it 1 to " + llvm::Twine(most));
  if (kernel.shared_bytes() == 0)
    return function;
  if (kernel.shared_bytes() < 0 || kernel.shared_bytes() > INT32_MAX ||
      api.funcSetAttribute(function, MaxDynamicSharedBytes,
                           static_cast<int>(kernel.shared_bytes())))
    return failure(Exit::Unsupported, kernelName(kernel) + " wants " +
                                          llvm::Twine(kernel.shared_bytes()) +
                                          " bytes of shared memory a block, "
                                          "more than " +
                                          context.gpu().name + " has");
  return function;
}

/// The first image of a part that loads, and its module.
static llvm::Expected<std::pair<const proto::Image *, Owned<Module>>>
loadBest(const CudaContext &context, const plan::PlanView &plan,
         llvm::StringRef part) {
  std::vector<const proto::Image *> images =
      chooseImages(plan.metadata, context.gpu().sm, part);
  if (images.empty())
    return failure(Exit::Unsupported,
                   "the plan has code for " + listImages(plan.metadata, part) +
                       "; this GPU is an " + context.gpu().name + ", sm_" +
                       llvm::Twine(context.gpu().sm) +
                       "; compile with --target cuda:sm_" +
                       llvm::Twine(context.gpu().sm));
  for (const proto::Image *image : images) {
    llvm::Expected<Owned<Module>> module = loadImage(
        context, *image, plan.code.slice(image->offset(), image->bytes()));
    if (module)
      return std::pair(image, std::move(*module));
    if (image == images.back())
      return module.takeError();
    llvm::consumeError(module.takeError());
  }
  llvm_unreachable("there is a last image");
}

llvm::Expected<Owned<Module>>
dit::runtime::cuda::loadPart(const CudaContext &context,
                             const plan::PlanView &plan, llvm::StringRef part) {
  auto loaded = loadBest(context, plan, part);
  if (!loaded)
    return loaded.takeError();
  return std::move(loaded->second);
}

llvm::Expected<KernelCode> KernelCode::load(const CudaContext &context,
                                            const plan::PlanView &plan) {
  KernelCode code;
  if (plan.metadata.kernels_size() == 0)
    return code;
  auto best = loadBest(context, plan, "");
  if (!best)
    return best.takeError();
  const proto::Image *loaded = best->first;
  code.module = std::move(best->second);
  const char *overlap = std::getenv("DIT_CUDA_OVERLAP");
  bool mayOverlap = parseArchitecture(loaded->arch()).sm >= 90 && overlap &&
                    llvm::StringRef(overlap) == "1";
  for (const proto::Kernel &kernel : plan.metadata.kernels()) {
    llvm::Expected<Function> function =
        findKernel(context, code.module.get(), kernel);
    if (!function)
      return function.takeError();
    code.functions.push_back(*function);
    code.waiting.push_back(mayOverlap && kernel.waits_itself());
  }
  return code;
}
