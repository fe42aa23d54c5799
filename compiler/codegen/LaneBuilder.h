//===- LaneBuilder.h - Arithmetic on scalars and vectors alike --*- C++ -*-===//
//
// A value inside a kernel is a scalar, where it is the same for every lane, or
// a one-dimensional vector. bf16 and f16 numbers are held as fp32 numbers that
// the narrow type can represent: `round` makes them so.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_CODEGEN_LANEBUILDER_H
#define COMPILER_CODEGEN_LANEBUILDER_H

#include "compiler/codegen/KernelSource.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"

namespace dit::codegen {

/// Makes ops at the insertion point of `builder`, scalars repeated where
/// another operand is a vector.
class LaneBuilder {
public:
  LaneBuilder(mlir::OpBuilder &builder, mlir::Location loc, VectorTarget target)
      : builder(builder), loc(loc), target(target) {}

  mlir::OpBuilder &builder;
  mlir::Location loc;
  const VectorTarget target;

  /// The type that holds a number of tensor element type `element`.
  static mlir::Type getComputeType(mlir::Type element);
  /// The type that `element` has in memory: booleans are bytes, bf16 and f16
  /// are 16 bits.
  static mlir::Type getStorageType(mlir::Type element);
  /// `type`'s element type with the shape (scalar or vector) of `like`.
  static mlir::Type getTypeLike(mlir::Type element, mlir::Type like);

  /// A constant with the type, or with another element type and the shape, of
  /// `like`.
  mlir::Value constant(mlir::Type like, double value);
  mlir::Value integer(mlir::Type like, int64_t value);
  mlir::Value bits(mlir::Type like, uint64_t value);

  /// `value` repeated over the lanes of `like`, itself where it has lanes.
  mlir::Value widen(mlir::Value value, mlir::Type like);
  /// Repeats the scalars among `values` where one is a vector.
  void unify(llvm::MutableArrayRef<mlir::Value> values);

  /// An op whose operands and result are alike.
  template <typename OpTy>
  mlir::Value make(mlir::Value lhs, mlir::Value rhs) {
    mlir::Value both[] = {lhs, rhs};
    unify(both);
    return OpTy::create(builder, loc, both[0], both[1]);
  }
  template <typename OpTy>
  mlir::Value make(mlir::Value value) {
    return OpTy::create(builder, loc, value);
  }
  /// A cast to `element`.
  template <typename OpTy>
  mlir::Value cast(mlir::Value value, mlir::Type element) {
    return OpTy::create(builder, loc, getTypeLike(element, value.getType()),
                        value);
  }

  mlir::Value add(mlir::Value lhs, mlir::Value rhs) {
    return make<mlir::arith::AddFOp>(lhs, rhs);
  }
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs) {
    return make<mlir::arith::SubFOp>(lhs, rhs);
  }
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs) {
    return make<mlir::arith::MulFOp>(lhs, rhs);
  }
  mlir::Value div(mlir::Value lhs, mlir::Value rhs) {
    return make<mlir::arith::DivFOp>(lhs, rhs);
  }
  mlir::Value mul(mlir::Value lhs, double rhs) {
    return mul(lhs, constant(lhs.getType(), rhs));
  }
  mlir::Value add(mlir::Value lhs, double rhs) {
    return add(lhs, constant(lhs.getType(), rhs));
  }
  /// a · b + c, rounded once.
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c);
  mlir::Value fma(mlir::Value a, mlir::Value b, double c) {
    return fma(a, b, constant(a.getType(), c));
  }
  mlir::Value fma(mlir::Value a, double b, mlir::Value c) {
    return fma(a, constant(a.getType(), b), c);
  }
  /// lhs / rhs to 2 ulp where that is cheaper; 0 from |rhs| = 2^126 on.
  mlir::Value divideFast(mlir::Value lhs, mlir::Value rhs);
  /// Σ coefficients[i] · x^(n - 1 - i), by Horner's rule.
  mlir::Value polynomial(mlir::Value x, llvm::ArrayRef<double> coefficients);

  mlir::Value compare(mlir::arith::CmpFPredicate predicate, mlir::Value lhs,
                      mlir::Value rhs);
  mlir::Value compare(mlir::arith::CmpIPredicate predicate, mlir::Value lhs,
                      mlir::Value rhs);
  mlir::Value select(mlir::Value condition, mlir::Value yes, mlir::Value no);

  /// Integers of 8 to 64 bits, extended with the sign or cut.
  mlir::Value resizeInteger(mlir::Value value, mlir::Type element);

  /// An fp32 value as the nearest (ties to even) that `element`, bf16 or f16,
  /// has; other types are left alone.
  mlir::Value round(mlir::Value value, mlir::Type element);
  /// Memory's form of a value, and back.
  mlir::Value toStorage(mlir::Value value, mlir::Type element);
  mlir::Value fromStorage(mlir::Value stored, mlir::Type element);

private:
  mlir::Value toBf16Bits(mlir::Value value);

  /// Rounded values whose form in a narrow type exists already.
  llvm::DenseMap<std::pair<mlir::Value, mlir::Type>, mlir::Value> narrow;
};

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_LANEBUILDER_H
