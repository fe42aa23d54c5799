//===- ElementType.h - Element types and conversions ------------*- C++ -*-===//
//
// The element types of a plan without protobuf, and conversions between the
// floating-point ones with the rounding of the hardware: to nearest, ties to
// even, NaN stays NaN (made quiet), overflow gives infinity.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_PLAN_ELEMENTTYPE_H
#define DIT_RUNTIME_PLAN_ELEMENTTYPE_H

#include <cstdint>

namespace dit::plan {

/// The numbers of dit.proto.ElementType; casts between the two are exact.
enum class ElementType : int {
  Unspecified = 0,
  F32 = 1,
  F16 = 2,
  BF16 = 3,
  F64 = 4,
  I8 = 5,
  U8 = 6,
  I16 = 7,
  I32 = 8,
  I64 = 9,
  Bool = 10
};

/// Bytes of one element; 0 for Unspecified.
int64_t elementBytes(ElementType type);

/// The type's name as plans print it: "f32", "bf16", "bool".
const char *elementName(ElementType type);

/// True for F32, F16, BF16 and F64.
bool isFloat(ElementType type);

/// Bits of the bf16 nearest to `value`.
uint16_t bf16FromFloat(float value);

/// The value of a bf16's bits (exact).
float floatFromBF16(uint16_t bits);

/// Bits of the fp16 nearest to `value`.
uint16_t f16FromFloat(float value);

/// The value of an fp16's bits (exact).
float floatFromF16(uint16_t bits);

/// Converts `count` floating-point elements. From F64 to a 16-bit type the
/// value is rounded once to fp32 and then again. Both types must be floats;
/// the arrays may not overlap.
void convertFloats(ElementType fromType, const void *from, ElementType toType,
                   void *to, int64_t count);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_ELEMENTTYPE_H
