//===- Match.h - Seeing what an expression means ----------------*- C++ -*-===//
//
// Small matchers on values, shared by the recognitions of this phase. They see
// through the spellings that differ between exporters: order and association of
// products and sums, casts, and constants written as splats.
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_SIMPLIFY_MATCH_H
#define PASSES_SIMPLIFY_MATCH_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>

namespace dit {

/// The number that every element of a constant is.
std::optional<double> getSplat(mlir::Value value);

/// True where `number` is `expected` as an exporter writes it: in fp32, or
/// rounded to fp16 or bf16.
bool isNear(double number, double expected);

/// `value` without the float casts around it.
mlir::Value skipCasts(mlir::Value value);

/// `value` without its float casts, reshapes of dimensions of 1 and broadcasts
/// along trailing dimensions: a row's statistic before it was spread.
mlir::Value skipSpread(mlir::Value value);

/// A product of `factors` and `scale`. powf by 2 and 3, squares, divisions by
/// a constant and negations are taken apart; a factor may occur repeatedly.
struct Product {
  double scale = 1;
  llvm::SmallVector<mlir::Value, 4> factors;

  /// True and takes the factor out where it is there.
  bool take(mlir::Value factor);
};
/// `whole` is not taken apart itself.
Product matchProduct(mlir::Value value, mlir::Value whole = {});

/// A sum of `terms` and `constant`; subtracted terms are negated products.
struct Sum {
  double constant = 0;
  struct Term {
    mlir::Value value;
    bool negated;
  };
  llvm::SmallVector<Term, 4> terms;
};
/// `whole` is not taken apart itself.
Sum matchSum(mlir::Value value, mlir::Value whole = {});

/// The input whose mean along the last dimension `value` is (spread or not).
mlir::Value matchMean(mlir::Value value);

/// The input x of `value` = x², along any spelling.
mlir::Value matchSquare(mlir::Value value);

/// A root: `value` = √input or 1/√input.
struct Root {
  mlir::Value input;
  bool reciprocal;
};
std::optional<Root> matchRoot(mlir::Value value);

} // namespace dit

#endif // PASSES_SIMPLIFY_MATCH_H
