//===- DifferentiableOpInterface.h - Ops with a gradient --------*- C++ -*-===//
//
// The interface of ops that know their vector-Jacobian product, and the table
// of cotangents that their rules read and add to. The walk over a program is in
// passes/program/Differentiate.h.
//
//===----------------------------------------------------------------------===//
#ifndef DIALECTS_DIT_DIFFERENTIABLEOPINTERFACE_H
#define DIALECTS_DIT_DIFFERENTIABLEOPINTERFACE_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "llvm/ADT/DenseMap.h"

namespace dit {

/// The cotangents of a reverse walk: of each active value, the derivative of
/// the loss by it, a tensor of the value's shape.
///
/// A cotangent has its value's element type, but fp32 where the value is *wide*
/// and narrower: parameters, whose gradients are summed over micro-batches.
/// Sums of two or more contributions narrower than fp32 are made in fp32 and
/// rounded once. Contributions are added in the order in which they come.
class Cotangents {
public:
  explicit Cotangents(mlir::OpBuilder &builder) : builder(builder) {}

  /// Declares that `value`, a float tensor, has a cotangent.
  void activate(mlir::Value value, bool isWide);

  /// True where `value` has a cotangent: a rule computes nothing for others.
  bool needs(mlir::Value value) const { return entries.contains(value); }
  bool isWide(mlir::Value value) const;

  /// The element type of the cotangent of `value`, which needs one.
  mlir::Type getElementType(mlir::Value value) const;

  /// Adds `contribution`, of the shape of `value` and any float element type.
  /// Nothing happens where `value` needs none.
  void add(mlir::Value value, mlir::Value contribution);

  /// Adds `contribution` at [offset, offset + its size) of dimension `dim` of
  /// `value`, zero elsewhere. Slices that do not overlap become one
  /// tensor.concat, so that the parts of a split are written in place.
  void addSlice(mlir::Value value, mlir::Value contribution, int64_t dim,
                int64_t offset);

  /// The sum of all contributions so far, null where there are none: zero.
  mlir::Value get(mlir::Value value);

private:
  struct Slice {
    mlir::Value value;
    int64_t dim, begin, end;
  };
  struct Entry {
    bool isWide = false;
    mlir::Value sum; ///< of whole contributions; null: none
    llvm::SmallVector<Slice> slices;
  };

  mlir::Value sumOf(mlir::Value a, mlir::Value b, mlir::Location loc);
  mlir::Value place(llvm::ArrayRef<Slice> slices, mlir::Value like);

  mlir::OpBuilder &builder;
  llvm::DenseMap<mlir::Value, Entry> entries;
};

} // namespace dit

#include "dialects/dit/DifferentiableOpInterface.h.inc"

namespace dit {

/// Gives ops of arith, math and tensor their DifferentiableOpInterface in every
/// context made with `registry`.
void registerDifferentiableModels(mlir::DialectRegistry &registry);

} // namespace dit

#endif // DIALECTS_DIT_DIFFERENTIABLEOPINTERFACE_H
