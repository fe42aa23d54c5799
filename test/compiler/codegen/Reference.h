//===- Reference.h - A kernel's results by naive loops ----------*- C++ -*-===//
#ifndef TEST_COMPILER_CODEGEN_REFERENCE_H
#define TEST_COMPILER_CODEGEN_REFERENCE_H

#include "mlir/IR/Region.h"
#include <vector>

namespace dit::codegen {

/// A tensor's elements in row-major order, whatever their type, as doubles.
using Numbers = std::vector<double>;

/// The results of a kernel's body, op by op on whole tensors, in double;
/// results of bf16 and f16 ops are rounded to their type, fp32 ones are not.
/// Aborts on an op it does not know.
std::vector<Numbers> evaluate(mlir::Region &body, std::vector<Numbers> inputs);

} // namespace dit::codegen

#endif // TEST_COMPILER_CODEGEN_REFERENCE_H
