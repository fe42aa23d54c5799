//===- LaneMath.h - Elementary functions without a library ------*- C++ -*-===//
//
// On fp32 and fp64 scalars and vectors, by range reduction and polynomials, so
// that vectors stay vectors and the generated code needs no libm. NaN goes
// through, infinities and signed zeros are as in C. Errors are against the
// exact value, and tested against double precision.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_CODEGEN_LANEMATH_H
#define COMPILER_CODEGEN_LANEMATH_H

#include "compiler/codegen/LaneBuilder.h"

namespace dit::codegen {

/// e^x: 2 ulp; denormal results are right to the last place.
mlir::Value emitExp(LaneBuilder &lanes, mlir::Value x);
/// ln x: 2 ulp; -inf at 0, NaN below.
mlir::Value emitLog(LaneBuilder &lanes, mlir::Value x);
/// 2 ulp in fp32; an absolute 2^-52 in fp64.
mlir::Value emitTanh(LaneBuilder &lanes, mlir::Value x);
/// An absolute 1e-7; fp32 only.
mlir::Value emitErf(LaneBuilder &lanes, mlir::Value x);
/// An absolute 1e-7 in fp32 (|x| <= 4e6), 2^-51 in fp64 (|x| <= 1e9).
mlir::Value emitSin(LaneBuilder &lanes, mlir::Value x);
mlir::Value emitCos(LaneBuilder &lanes, mlir::Value x);
/// 1 / √x, correctly rounded twice; on GPUs 2^-22.9 off at most.
mlir::Value emitRsqrt(LaneBuilder &lanes, mlir::Value x);
/// 1 / (1 + e^-x).
mlir::Value emitSigmoid(LaneBuilder &lanes, mlir::Value x);
/// x · ½(1 + erf(x / √2)), fp32 only.
mlir::Value emitGeluErf(LaneBuilder &lanes, mlir::Value x);
/// ½x(1 + tanh(√(2/π)(x + 0.044715x³))), as x / (1 + e^-2u).
mlir::Value emitGeluTanh(LaneBuilder &lanes, mlir::Value x);
/// The slopes of both at x: Φ(x) + x·φ(x), and s + x·s(1 − s)·2u' with
/// s = 1 / (1 + e^-2u).
mlir::Value emitGeluErfSlope(LaneBuilder &lanes, mlir::Value x);
mlir::Value emitGeluTanhSlope(LaneBuilder &lanes, mlir::Value x);
/// x^y for one constant y: products for small whole y, roots for ±½, e^(y ln x)
/// in fp64 else.
mlir::Value emitPower(LaneBuilder &lanes, mlir::Value x, double y);
/// x^y, through fp64: NaN for negative x unless y is a whole number.
mlir::Value emitPower(LaneBuilder &lanes, mlir::Value x, mlir::Value y);

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_LANEMATH_H
