//===- Differences.cpp - Gradients by central differences -----------------===//
#include "test/passes/program/differentiate/Differences.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "gtest/gtest.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace dit;

Numbers RandomNumbers::draw(int64_t count, double low, double high) {
  Numbers numbers(count);
  for (double &number : numbers)
    number = low + (high - low) * (engine() / 4294967296.0);
  return numbers;
}

std::vector<size_t> RandomNumbers::choose(size_t count, size_t size) {
  std::vector<size_t> indices(size);
  std::iota(indices.begin(), indices.end(), 0);
  for (size_t i = 0; i < std::min(count, size); ++i)
    std::swap(indices[i], indices[i + engine() % (size - i)]);
  indices.resize(std::min(count, size));
  return indices;
}

void dit::expectDifferences(Numbers &values, llvm::function_ref<double()> loss,
                            llvm::ArrayRef<size_t> entries,
                            const Numbers &gradient) {
  ASSERT_EQ(gradient.size(), values.size());
  constexpr double step = 1e-3;
  std::vector<double> slopes;
  double largest = 0;
  for (size_t entry : entries) {
    double value = values[entry];
    auto at = [&](double offset) {
      values[entry] = value + offset;
      return loss();
    };
    slopes.push_back(
        (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) /
        (12 * step));
    values[entry] = value;
    largest = std::max(largest, std::fabs(slopes.back()));
  }
  for (auto [entry, slope] : llvm::zip(entries, slopes))
    EXPECT_NEAR(gradient[entry], slope,
                1e-6 * std::max(std::fabs(slope), 1e-3 * largest))
        << "entry " << entry;
}

void dit::sumResults(func::FuncOp function) {
  Operation *end = function.getBody().front().getTerminator();
  OpBuilder builder(end);
  Location loc = function.getLoc();
  Value loss;
  for (Value result : llvm::to_vector(end->getOperands())) {
    RankedTensorType type = getTensorType(result);
    unsigned index = function.getNumArguments();
    ASSERT_TRUE(succeeded(function.insertArgument(index, type, {}, loc)));
    Value weighted = arith::MulFOp::create(builder, loc, result,
                                           function.getArgument(index));
    SmallVector<int64_t> dims;
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      dims.push_back(dim);
    Value sum = ReduceOp::create(builder, loc, ReduceKind::Sum, weighted, dims);
    loss = loss ? arith::AddFOp::create(builder, loc, loss, sum) : sum;
  }
  end->setOperands(loss);
  function.setType(
      builder.getFunctionType(function.getArgumentTypes(), loss.getType()));
}
