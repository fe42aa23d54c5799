//===- Microkernel.h - Small matrix products by libxsmm ---------*- C++ -*-===//
//
// libxsmm generates machine code for one product of fixed small sizes:
//
//   sums[row][lane] (+)= sum over k of rows[row][k] * panel[k][lane]
//
// (in its own column-major words: m = lanes, n = rows). With at least 32 lanes
// the order in which it adds over k does not depend on the number of rows.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_KERNELS_MICROKERNEL_H
#define DIT_RUNTIME_KERNELS_MICROKERNEL_H

#include "runtime/kernels/tile/TileOperations.h"

#include "llvm/Support/Error.h"

#include <cstdint>

namespace dit::runtime {

/// The instructions that libxsmm generates code with on this machine.
InstructionSet microkernelInstructionSet();

/// The sizes of one product; strides in elements.
struct MicrokernelShape {
  int64_t lanes;       ///< a multiple of 32
  int64_t rows;        ///< >= 1
  int64_t k;           ///< >= 1; even if pairs
  int64_t panelStride; ///< of k: >= lanes
  int64_t rowStride;   ///< of a row, even if pairs; of k if rowsTransposed
  int64_t sumStride;   ///< of a row of the sums, >= lanes
  bool pairs;          ///< bf16 rows and a panel of [k / 2][lanes][2] bf16;
                       ///< else both fp32
  bool rowsTransposed; ///< the rows are stored [k][row]; fp32 only
  bool accumulate;     ///< add to the sums instead of overwriting them
};

/// A generated product. Cheap to copy; the code lives until the process ends.
class Microkernel {
public:
  /// Generates the code, or finds it if this shape was asked for before. Fails
  /// where libxsmm cannot generate the shape for this machine. To be called
  /// once, before any product.
  llvm::Error generate(const MicrokernelShape &shape);

  /// Multiplies: fp32 or bf16 panel and rows as the shape says.
  void operator()(const void *panel, const void *rows, float *sums) const {
    function(panel, rows, sums);
  }

private:
  using Function = void (*)(const void *, const void *, float *);
  Function function = nullptr;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_KERNELS_MICROKERNEL_H
