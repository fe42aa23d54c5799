//===- Microkernel.cpp - Small matrix products by libxsmm -----------------===//

#include "runtime/kernels/Microkernel.h"

#include "llvm/Support/FormatVariadic.h"

#include <libxsmm.h>
#include <limits>

using namespace dit::runtime;

InstructionSet dit::runtime::microkernelInstructionSet() {
  libxsmm_init();
  const int target = libxsmm_get_target_archid();
  if (target >= LIBXSMM_X86_AVX512_CPX)
    return InstructionSet::V4BF16;
  if (target >= LIBXSMM_X86_AVX512_CORE)
    return InstructionSet::V4;
  return target >= LIBXSMM_X86_AVX2 ? InstructionSet::V3 : InstructionSet::V2;
}

llvm::Error Microkernel::generate(const MicrokernelShape &shape) {
  auto fail = [&](const char *why) {
    return llvm::createStringError(llvm::formatv(
        "no matrix product of {0} lanes, {1} rows, k {2} (strides {3}, {4}, "
        "{5}; {6}) on this machine ({7}): {8}",
        shape.lanes, shape.rows, shape.k, shape.panelStride, shape.rowStride,
        shape.sumStride, shape.pairs ? "bf16" : "fp32",
        libxsmm_get_target_arch(), why));
  };
  for (int64_t size : {shape.lanes, shape.rows, shape.k, shape.panelStride,
                       shape.rowStride, shape.sumStride})
    if (size < 1 || size > std::numeric_limits<libxsmm_blasint>::max())
      return fail("a size is not in [1, 2^31)");
  if (shape.pairs &&
      (shape.k % 2 != 0 || shape.rowStride % 2 != 0 || shape.rowsTransposed))
    return fail("bf16 rows must be made of pairs");

  libxsmm_init();
  int flags = (shape.pairs ? LIBXSMM_GEMM_FLAG_VNNI_A : 0) |
              (shape.rowsTransposed ? LIBXSMM_GEMM_FLAG_TRANS_B : 0);
  auto m = static_cast<libxsmm_blasint>(shape.lanes);
  auto n = static_cast<libxsmm_blasint>(shape.rows);
  auto k = static_cast<libxsmm_blasint>(shape.k);
  auto lda = static_cast<libxsmm_blasint>(shape.panelStride);
  auto ldb = static_cast<libxsmm_blasint>(shape.rowStride);
  auto ldc = static_cast<libxsmm_blasint>(shape.sumStride);
  float alpha = 1, beta = shape.accumulate ? 1 : 0;
  int prefetch = LIBXSMM_GEMM_PREFETCH_NONE;

  if (shape.pairs)
    function = reinterpret_cast<Function>(libxsmm_bsmmdispatch(
        m, n, k, &lda, &ldb, &ldc, &alpha, &beta, &flags, &prefetch));
  else
    function = reinterpret_cast<Function>(libxsmm_smmdispatch(
        m, n, k, &lda, &ldb, &ldc, &alpha, &beta, &flags, &prefetch));
  if (!function)
    return fail("libxsmm generates no code for it");
  return llvm::Error::success();
}
