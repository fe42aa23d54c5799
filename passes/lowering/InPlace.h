//===- InPlace.h - When a result may take an operand's memory ---*- C++ -*-===//
#ifndef PASSES_LOWERING_INPLACE_H
#define PASSES_LOWERING_INPLACE_H

#include "dialects/dit/DitDialect.h"

namespace dit {

/// True where result number `result` of the kernel may lie in the memory of its
/// input number `input`: the input reaches results through elementwise ops and
/// reshapes only, so that point i of the space reads element i of the input,
/// and generated code stores the results of a point after all of them are
/// computed. A kernel that reduces the input reads the rest of the row after
/// that.
bool readsOnlyOwnPoint(KernelOp kernel, unsigned input, unsigned result);

/// True where `result`, of a kernel, matmul or attention, may be written into
/// the memory of the tensor `base` although its op reads it: every operand that
/// is a view of base is the whole of it and read as above, or is the residual
/// of a matmul.
bool readsInPlace(mlir::OpResult result, mlir::Value base);

} // namespace dit

#endif // PASSES_LOWERING_INPLACE_H
