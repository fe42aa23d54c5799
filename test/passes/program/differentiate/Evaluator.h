//===- Evaluator.h - dit IR by naive loops in double ------------*- C++ -*-===//
//
// The meaning of every op that a model, a loss or a gradient is made of, for
// tests that take differences: all element types are doubles, nothing is
// rounded, integers and booleans are doubles too.
//
//===----------------------------------------------------------------------===//
#ifndef TEST_PASSES_PROGRAM_DIFFERENTIATE_EVALUATOR_H
#define TEST_PASSES_PROGRAM_DIFFERENTIATE_EVALUATOR_H

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

#include <vector>

namespace dit {

/// A tensor's elements, row-major.
using Numbers = std::vector<double>;

/// The values of dit.globals by name.
using GlobalNumbers = llvm::StringMap<Numbers>;

/// The results of `function`. An op that is not known is a test failure, and
/// the results are empty.
std::vector<Numbers> evaluate(mlir::func::FuncOp function,
                              llvm::ArrayRef<Numbers> arguments,
                              const GlobalNumbers &globals = {});

} // namespace dit

#endif // TEST_PASSES_PROGRAM_DIFFERENTIATE_EVALUATOR_H
