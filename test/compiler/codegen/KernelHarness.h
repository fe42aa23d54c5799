//===- KernelHarness.h - Compile a kernel's text, load it, run it *- C++
//-*-===//
#ifndef TEST_COMPILER_CODEGEN_KERNELHARNESS_H
#define TEST_COMPILER_CODEGEN_KERNELHARNESS_H

#include "compiler/codegen/cpu/CpuCodegen.h"
#include "dialects/dit/DitDialect.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ExecutionEngine/Orc/Core.h"
#include "llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h"
#include <gtest/gtest.h>
#include <random>

namespace dit::codegen {

/// Memory of an operand: 64-byte aligned, followed by bytes that must stay.
class Memory {
public:
  explicit Memory(size_t bytes = 0);

  template <typename T>
  T *as() {
    return reinterpret_cast<T *>(start());
  }
  char *start();
  size_t size() const { return bytes; }
  /// Whether nothing was written behind the end.
  bool isIntact();

private:
  size_t bytes;
  std::vector<char> storage;
};

/// Random numbers in [low, high).
std::vector<float> randomFloats(size_t count, unsigned seed, float low = -2,
                                float high = 2);

uint16_t toBf16(float value);
float fromBf16(uint16_t bits);

/// One dit.kernel, compiled and loaded into this process.
class CompiledKernel {
public:
  /// `kernel` is type aliases, then "%0 = space = […] (%x0, %x1) : (…) -> … {
  /// … }": a dit.kernel without its name; the inputs are %x0, %x1, …
  CompiledKernel(const std::string &kernel, const std::string &cpu = "native",
                 int64_t rowsPerBlock = 4);
  ~CompiledKernel();

  Memory &operand(size_t index) { return operands[index]; }
  void fill(size_t index, llvm::ArrayRef<float> values);
  size_t inputs() const { return inputCount; }
  /// Operand `index`'s memory (inputs, then results) as numbers.
  std::vector<double> numbers(size_t index);
  /// Result `index`'s.
  std::vector<double> result(size_t index) {
    return numbers(inputCount + index);
  }
  /// Fills every input with random numbers of its type, floats in [low, high),
  /// integers in [-2, 10], booleans.
  void fillRandomly(unsigned seed, float low = -2, float high = 2);
  /// Compiles the kernel for a GPU too; where the environment names a folder as
  /// DIT_GPU_CASES, a case for run-gpu-cases goes there.
  void checkGpu(llvm::ArrayRef<std::vector<double>> expected, double tolerance);
  /// Runs, all at once and block by block with equal bits, and compares with
  /// the naive reference: |a - b| <= tolerance * (1 + |b|).
  void check(double tolerance);

  /// Poisons the results and does all blocks, `step` at a time.
  void run(int64_t step = 0);
  /// The blocks [begin, end) alone.
  void runBlocks(int64_t begin, int64_t end);
  /// Runs with a result's address the same as an input's.
  void runInPlace(size_t input, size_t result);
  int64_t blocks() const { return blockCount; }

private:
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::Region *body = nullptr;
  llvm::ArrayRef<int64_t> iterationSpace;
  bool isForGpu = false;
  std::vector<Memory> operands;
  std::vector<mlir::Type> types;
  size_t inputCount = 0;
  int64_t blockCount = 0;
  std::unique_ptr<llvm::orc::ExecutionSession> session;
  std::unique_ptr<llvm::orc::ObjectLinkingLayer> layer;
  void (*function)(void *const *, int64_t, int64_t) = nullptr;
};

/// Largest |a - b| / (1 + |b|).
double worstDifference(llvm::ArrayRef<double> a, llvm::ArrayRef<double> b);

} // namespace dit::codegen

#endif // TEST_COMPILER_CODEGEN_KERNELHARNESS_H
