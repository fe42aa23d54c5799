//===- KernelSource.h - What codegen makes a kernel from --------*- C++ -*-===//
#ifndef COMPILER_CODEGEN_KERNELSOURCE_H
#define COMPILER_CODEGEN_KERNELSOURCE_H

#include "mlir/IR/Region.h"
#include <string>

namespace dit::codegen {

/// A kernel to compile: the region of a dit.kernel (or of what outlining made
/// of it), and how its rows are cut into blocks.
struct KernelSource {
  /// One block: its arguments are the inputs, dit.yield the results. A pure
  /// tensor program; see dit.kernel.
  mlir::Region *body;
  /// The iteration space, the lane last.
  llvm::ArrayRef<int64_t> space;
  /// Rows (points of the space without the lane) in a block; at least 1.
  int64_t rowsPerBlock;
  /// Name of the function: `void symbol(void *const *operands, int64_t begin,
  /// int64_t end)` does the blocks [begin, end); operands are the inputs, then
  /// the results, contiguous and row-major, booleans one byte each.
  ///
  /// A result may share its memory with an input of the same size that the
  /// body reads only at the element it writes.
  std::string symbol;

  /// Points of the space without the lane.
  int64_t getRows() const {
    int64_t rows = 1;
    for (int64_t size : space.drop_back())
      rows *= size;
    return rows;
  }
};

/// What the emitted code may use.
struct VectorTarget {
  /// fp32 numbers in a vector: 16 with AVX-512, 8 with AVX2.
  int64_t lanes;
  /// Whether fp32 is rounded to bf16 by one instruction.
  bool hasBf16Conversion;
  /// Threads of a GPU: powers of two and quotients to 2 ulp are one
  /// instruction.
  bool hasApproximations = false;
};

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_KERNELSOURCE_H
