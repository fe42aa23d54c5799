//===- GpuCase.cpp - A kernel, its inputs, and what it must give ----------===//
#include "test/compiler/codegen/gpu/GpuCase.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;
using namespace dit::codegen;

static int64_t byteSize(RankedTensorType type) {
  return type.getNumElements() *
         std::max(1u, type.getElementTypeBitWidth() / 8);
}

void dit::codegen::printLaunch(llvm::raw_ostream &out, const GpuKernel &launch,
                               const KernelSource &source) {
  out << "// " << launch.symbol << ": " << launch.blocks << " blocks of "
      << launch.threads << " threads, " << launch.sharedBytes << " bytes:";
  Block &body = source.body->front();
  for (Type type : body.getArgumentTypes())
    out << " " << byteSize(cast<RankedTensorType>(type));
  out << " ->";
  for (Type type : body.getTerminator()->getOperandTypes())
    out << " " << byteSize(cast<RankedTensorType>(type));
  out << "\n";
}

llvm::Error dit::codegen::writeGpuCase(const std::string &path,
                                       const GpuCode &code,
                                       const KernelSource &source,
                                       ArrayRef<GpuOperand> operands,
                                       double tolerance) {
  std::error_code error;
  llvm::raw_fd_ostream ptx(path + ".ptx", error);
  if (error)
    return llvm::createStringError(error, path);
  printLaunch(ptx, code.kernels.front(), source);
  ptx << code.ptx;

  llvm::raw_fd_ostream data(path + ".case", error);
  if (error)
    return llvm::createStringError(error, path);
  data << tolerance << "\n";
  bool isInput = true;
  for (const GpuOperand &operand : operands) {
    if (isInput && !operand.expected.empty()) {
      data << "->\n";
      isInput = false;
    }
    data << operand.type.getElementType() << " "
         << operand.type.getNumElements() << "\n";
  }
  data << "\n";
  for (const GpuOperand &operand : operands) {
    data << operand.bytes;
    data.write(reinterpret_cast<const char *>(operand.expected.data()),
               operand.expected.size() * sizeof(double));
  }
  return llvm::Error::success();
}
