//===- KernelReport.cpp - What each kernel asks of a GPU ------------------===//
//
// The limits are those of the CUDA C++ programming guide's table of compute
// capabilities; a block's shared memory is 1 KB more than it asks for.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/gpu/KernelReport.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MathExtras.h"

using namespace dit::codegen;

static constexpr int64_t warpSize = 32;

Multiprocessor Multiprocessor::get(llvm::StringRef arch) {
  constexpr int64_t registers = 65536, kilo = 1024;
  return llvm::StringSwitch<Multiprocessor>(arch)
      .Case("sm_80", {64, 32, registers, 164 * kilo})
      .Case("sm_89", {48, 24, registers, 100 * kilo})
      .Default({64, 32, registers, 228 * kilo});
}

int64_t Multiprocessor::getWarpsAtOnce(const GpuKernel &launch,
                                       const KernelResources &resources) const {
  // A warp's registers are given out in pieces of 256; shared memory in pieces
  // of 128 bytes.
  int64_t warpsPerBlock = llvm::divideCeil(launch.threads, warpSize);
  int64_t perWarp = llvm::alignTo(resources.registers * warpSize, 256);
  int64_t perBlock =
      llvm::alignTo(launch.sharedBytes + resources.sharedBytes + 1024, 128);
  int64_t fitting =
      std::min({blocks, warps / warpsPerBlock, sharedBytes / perBlock});
  // Each of a multiprocessor's four parts has a quarter of the registers.
  if (perWarp)
    fitting = std::min<int64_t>(fitting,
                                4 * (registers / 4 / perWarp) / warpsPerBlock);
  return fitting * warpsPerBlock;
}

static double countBytes(mlir::TypeRange types) {
  double bytes = 0;
  for (mlir::Type type : types) {
    auto tensor = llvm::cast<mlir::RankedTensorType>(type);
    bytes +=
        static_cast<double>(tensor.getNumElements() *
                            std::max(1u, tensor.getElementTypeBitWidth() / 8));
  }
  return bytes;
}

std::string dit::codegen::describeKernels(const GpuCode &code,
                                          llvm::ArrayRef<KernelSource> sources,
                                          const GpuTarget &target,
                                          const Cubin *cubin) {
  Multiprocessor multiprocessor = Multiprocessor::get(target.arch);
  std::string text;
  llvm::raw_string_ostream out(text);
  for (auto [launch, source] : llvm::zip_equal(code.kernels, sources)) {
    out << launch.symbol << ": " << launch.blocks << " x " << launch.threads
        << " threads; ";
    const KernelResources *resources = nullptr;
    if (cubin)
      for (const KernelResources &each : cubin->kernels)
        if (each.symbol == launch.symbol)
          resources = &each;
    if (resources) {
      out << resources->registers << " registers, ";
      if (resources->spillStoreBytes || resources->spillLoadBytes)
        out << resources->spillStoreBytes << " bytes spilled, "
            << resources->spillLoadBytes << " read back, ";
      else
        out << "no spills, ";
      if (int64_t shared = resources->sharedBytes + launch.sharedBytes)
        out << shared << " bytes shared, ";
      out << multiprocessor.getWarpsAtOnce(launch, *resources) << " of "
          << multiprocessor.warps << " warps at once; ";
    }
    mlir::Block &body = source.body->front();
    out << llvm::format("operands of %.3f MB in, %.3f MB out\n",
                        countBytes(body.getArgumentTypes()) / 1e6,
                        countBytes(body.getTerminator()->getOperandTypes()) /
                            1e6);
  }
  return text;
}
