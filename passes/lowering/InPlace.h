//===- InPlace.h - When a result may take an operand's memory ---*- C++ -*-===//
#ifndef PASSES_LOWERING_INPLACE_H
#define PASSES_LOWERING_INPLACE_H

#include "dialects/dit/DitDialect.h"

namespace dit {

/// True where the kernel's only result may lie in the memory of its input
/// number `input`: the input reaches the result through elementwise ops and
/// reshapes only, so that point i of the space reads element i of the input and
/// then writes it. A kernel with several results may read a point again after
/// it wrote it, and one with a reduction the rest of the row: neither is.
bool readsOnlyOwnPoint(KernelOp kernel, unsigned input);

/// True where `producer` (kernel, matmul, attention) may write its result into
/// the memory of the tensor `base` although it reads it: every operand that is
/// a view of base is the whole of it and read as above, or is the residual of a
/// matmul.
bool readsInPlace(mlir::Operation *producer, mlir::Value base);

} // namespace dit

#endif // PASSES_LOWERING_INPLACE_H
