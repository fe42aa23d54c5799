//===- ElementType.cpp - Element types and conversions --------------------===//

#include "runtime/plan/ElementType.h"

#include <bit>
#include <cassert>
#include <cstring>
#include <type_traits>

using namespace dit::plan;

int64_t dit::plan::elementBytes(ElementType type) {
  switch (type) {
  case ElementType::Unspecified:
    return 0;
  case ElementType::I8:
  case ElementType::U8:
  case ElementType::Bool:
    return 1;
  case ElementType::F16:
  case ElementType::BF16:
  case ElementType::I16:
    return 2;
  case ElementType::F32:
  case ElementType::I32:
    return 4;
  case ElementType::F64:
  case ElementType::I64:
    return 8;
  }
  return 0;
}

const char *dit::plan::elementName(ElementType type) {
  static const char *const names[] = {"unspecified", "f32", "f16", "bf16",
                                      "f64",         "i8",  "u8",  "i16",
                                      "i32",         "i64", "bool"};
  return names[static_cast<int>(type)];
}

bool dit::plan::isFloat(ElementType type) {
  return type == ElementType::F32 || type == ElementType::F16 ||
         type == ElementType::BF16 || type == ElementType::F64;
}

uint16_t dit::plan::bf16FromFloat(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value)
    return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float dit::plan::floatFromBF16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t dit::plan::f16FromFloat(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = (bits >> 16) & 0x8000;
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return static_cast<uint16_t>(sign | 0x7e00 | ((magnitude >> 13) & 0x3ff));
  if (magnitude >= 0x47800000) // 65536 and above
    return static_cast<uint16_t>(sign | 0x7c00);
  if (magnitude < 0x38800000) { // below 2^-14: a multiple of 2^-24
    // Adding 2^-1 puts the units of 2^-24 in the last bits of the mantissa,
    // rounded by the addition itself.
    float sum = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign |
                                 (std::bit_cast<uint32_t>(sum) - 0x3f000000));
  }
  // Rebias the exponent by 112; a carry out of the mantissa rounds up into
  // the exponent and, at the top, to infinity.
  uint32_t rounded = magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1);
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

float dit::plan::floatFromF16(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  uint32_t exponent = (bits >> 10) & 0x1f;
  uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0x1f)
    return std::bit_cast<float>(sign | 0x7f800000 | (mantissa << 13));
  if (exponent == 0) {
    float value = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -value : value;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) |
                              (mantissa << 13));
}

/// The element at `index` as a double (exact for all four types).
static double loadFloat(ElementType type, const void *from, int64_t index) {
  const char *at = static_cast<const char *>(from) + index * elementBytes(type);
  if (type == ElementType::F64) {
    double value;
    std::memcpy(&value, at, 8);
    return value;
  }
  if (type == ElementType::F32) {
    float value;
    std::memcpy(&value, at, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, at, 2);
  return type == ElementType::BF16 ? floatFromBF16(bits) : floatFromF16(bits);
}

static void storeFloat(ElementType type, void *to, int64_t index,
                       double value) {
  char *at = static_cast<char *>(to) + index * elementBytes(type);
  if (type == ElementType::F64) {
    std::memcpy(at, &value, 8);
    return;
  }
  float single = static_cast<float>(value);
  if (type == ElementType::F32) {
    std::memcpy(at, &single, 4);
    return;
  }
  uint16_t bits =
      type == ElementType::BF16 ? bf16FromFloat(single) : f16FromFloat(single);
  std::memcpy(at, &bits, 2);
}

/// Calls `body` with the type as a constant.
template <typename Body>
static void withFloatType(ElementType type, Body body) {
  using enum ElementType;
  switch (type) {
  case F64:
    return body(std::integral_constant<ElementType, F64>());
  case F32:
    return body(std::integral_constant<ElementType, F32>());
  case F16:
    return body(std::integral_constant<ElementType, F16>());
  default:
    return body(std::integral_constant<ElementType, BF16>());
  }
}

void dit::plan::convertFloats(ElementType fromType, const void *from,
                              ElementType toType, void *to, int64_t count) {
  assert(isFloat(fromType) && isFloat(toType));
  if (fromType == toType) {
    std::memcpy(to, from, static_cast<size_t>(count * elementBytes(toType)));
    return;
  }
  // Both types constant in the loop, so that it becomes vector code: models
  // have hundreds of millions of numbers.
  withFloatType(fromType, [&](auto known) {
    withFloatType(toType, [&](auto wanted) {
      for (int64_t i = 0; i != count; ++i)
        storeFloat(wanted, to, i, loadFloat(known, from, i));
    });
  });
}
