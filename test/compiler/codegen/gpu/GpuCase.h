//===- GpuCase.h - A kernel, its inputs, and what it must give --*- C++ -*-===//
//
// What run-gpu-cases reads on a machine with a GPU, where no MLIR is needed:
//
//   FOLDER/NAME.ptx   one line on the launch (see codegen::printLaunch), then
//   the module FOLDER/NAME.case  the tolerance and a line "TYPE WIDTH" an
//   operand (inputs,
//                     "->", results), then, after an empty line, the inputs'
//                     bytes and the results' numbers in fp32 or fp64: WIDTH
//                     bytes each
//
//===----------------------------------------------------------------------===//
#ifndef TEST_COMPILER_CODEGEN_GPU_GPUCASE_H
#define TEST_COMPILER_CODEGEN_GPU_GPUCASE_H

#include "compiler/codegen/gpu/GpuCodegen.h"
#include "llvm/Support/raw_ostream.h"

namespace dit::codegen {

/// An operand of the kernel: its bytes where it is an input, else its numbers.
struct GpuOperand {
  mlir::RankedTensorType type;
  llvm::StringRef bytes;
  llvm::ArrayRef<double> expected;
};

/// Writes both files; every number must come within tolerance · (1 + |b|).
llvm::Error writeGpuCase(const std::string &path, const GpuCode &code,
                         const KernelSource &source,
                         llvm::ArrayRef<GpuOperand> operands, double tolerance);

} // namespace dit::codegen

#endif // TEST_COMPILER_CODEGEN_GPU_GPUCASE_H
