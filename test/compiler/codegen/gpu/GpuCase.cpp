//===- GpuCase.cpp - A kernel, its inputs, and what it must give ----------===//
#include "test/compiler/codegen/gpu/GpuCase.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;
using namespace dit::codegen;

llvm::Error dit::codegen::writeGpuCase(const std::string &path,
                                       const GpuCode &code,
                                       const KernelSource &source,
                                       ArrayRef<GpuOperand> operands,
                                       double tolerance) {
  std::error_code error;
  llvm::raw_fd_ostream ptx(path + ".ptx", error);
  if (error)
    return llvm::createStringError(error, path);
  ptx << printLaunch(code.kernels.front(), source) << code.ptx;

  llvm::raw_fd_ostream data(path + ".case", error);
  if (error)
    return llvm::createStringError(error, path);
  data << tolerance << "\n";
  // fp32 is enough for expected numbers, but where they must be matched closer.
  bool isShort = tolerance == 0 || tolerance >= 1e-6;
  auto isWide = [&](RankedTensorType type) {
    return !isShort || type.getElementTypeBitWidth() == 64 ||
           type.getElementType().isInteger(32);
  };
  bool isInput = true;
  for (const GpuOperand &operand : operands) {
    if (isInput && !operand.expected.empty()) {
      data << "->\n";
      isInput = false;
    }
    data << operand.type.getElementType() << " "
         << (isInput || !isWide(operand.type) ? 4 : 8) << "\n";
  }
  data << "\n";
  auto write = [&](auto number) {
    data.write(reinterpret_cast<const char *>(&number), sizeof(number));
  };
  for (const GpuOperand &operand : operands) {
    data << operand.bytes;
    for (double number : operand.expected)
      if (isWide(operand.type))
        write(number);
      else
        write(static_cast<float>(number));
  }
  return llvm::Error::success();
}
