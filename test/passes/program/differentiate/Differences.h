//===- Differences.h - Gradients by central differences ---------*- C++ -*-===//
#ifndef TEST_PASSES_PROGRAM_DIFFERENTIATE_DIFFERENCES_H
#define TEST_PASSES_PROGRAM_DIFFERENTIATE_DIFFERENCES_H

#include "test/passes/program/differentiate/Evaluator.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <random>

namespace dit {

/// Repeatable numbers.
class RandomNumbers {
public:
  explicit RandomNumbers(unsigned seed) : engine(seed) {}

  /// `count` numbers in [low, high).
  Numbers draw(int64_t count, double low, double high);
  /// `count` different indices below `size`, all where there are fewer.
  std::vector<size_t> choose(size_t count, size_t size);

private:
  std::mt19937 engine;
};

/// Expects that `gradient` is the derivative of `loss` by `values`, which
/// `loss` reads, at each of `entries`: within 1e-6 of the derivative or of a
/// thousandth of the largest one. Differences of fourth order with steps of
/// 1e-3 are exact to about 1e-11.
void expectDifferences(Numbers &values, llvm::function_ref<double()> loss,
                       llvm::ArrayRef<size_t> entries, const Numbers &gradient);

/// Makes a loss of the results of `function`: appends a weight for every result
/// to the arguments and returns the weighted sum, one number.
void sumResults(mlir::func::FuncOp function);

} // namespace dit

#endif // TEST_PASSES_PROGRAM_DIFFERENTIATE_DIFFERENCES_H
