//===- Elementwise.h - Elementwise ops on doubles ---------------*- C++ -*-===//
#ifndef TEST_PASSES_PROGRAM_DIFFERENTIATE_ELEMENTWISE_H
#define TEST_PASSES_PROGRAM_DIFFERENTIATE_ELEMENTWISE_H

#include "mlir/IR/Operation.h"

#include <functional>

namespace dit {

using ElementwiseFunction = std::function<double(llvm::ArrayRef<double>)>;

/// What `op` makes of one element of each operand; empty for ops that are not
/// elementwise.
ElementwiseFunction getElementwise(mlir::Operation *op);

} // namespace dit

#endif // TEST_PASSES_PROGRAM_DIFFERENTIATE_ELEMENTWISE_H
