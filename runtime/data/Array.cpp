//===- Array.cpp - A tensor in host memory --------------------------------===//

#include "runtime/data/Array.h"

#include "llvm/Support/ErrorHandling.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

using namespace dit::runtime;
using namespace dit::plan;

namespace {

/// fp16 and bf16 as types of their own, with the arithmetic of fp32.
struct Half {
  uint16_t bits;
  explicit operator float() const { return floatFromF16(bits); }
  static Half from(float value) { return {f16FromFloat(value)}; }
};
struct BFloat {
  uint16_t bits;
  explicit operator float() const { return floatFromBF16(bits); }
  static BFloat from(float value) { return {bf16FromFloat(value)}; }
};
/// One byte, zero or not.
struct Boolean {
  uint8_t byte;
};

} // namespace

/// Calls `action` with a value of the C++ type that stands for `type`.
template <typename Action>
static void withType(ElementType type, Action &&action) {
  switch (type) {
  case ElementType::F32:
    return action(float());
  case ElementType::F64:
    return action(double());
  case ElementType::F16:
    return action(Half());
  case ElementType::BF16:
    return action(BFloat());
  case ElementType::I8:
    return action(int8_t());
  case ElementType::U8:
    return action(uint8_t());
  case ElementType::I16:
    return action(int16_t());
  case ElementType::I32:
    return action(int32_t());
  case ElementType::I64:
    return action(int64_t());
  case ElementType::Bool:
    return action(Boolean());
  case ElementType::Unspecified:
    break;
  }
  llvm_unreachable("an array has an element type");
}

template <typename T>
static auto plainValue(T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat>)
    return static_cast<float>(value);
  else if constexpr (std::is_same_v<T, Boolean>)
    return static_cast<uint8_t>(value.byte != 0);
  else
    return value;
}

/// One value; `lossy` as convertArray says.
template <typename To, typename From>
static To convertValue(From value, bool &lossy) {
  if constexpr (std::is_same_v<To, Half> || std::is_same_v<To, BFloat>) {
    To result = To::from(static_cast<float>(value));
    lossy |= std::isfinite(static_cast<double>(value)) &&
             !std::isfinite(static_cast<float>(result));
    return result;
  } else if constexpr (std::is_same_v<To, Boolean>) {
    lossy |= value != From(0) && value != From(1);
    return {static_cast<uint8_t>(value != From(0))};
  } else if constexpr (std::is_floating_point_v<To>) {
    To result = static_cast<To>(value);
    lossy |=
        std::isfinite(static_cast<double>(value)) && !std::isfinite(result);
    // An integer must survive; a fraction may be rounded.
    if constexpr (std::is_integral_v<From>)
      lossy |=
          static_cast<long double>(result) != static_cast<long double>(value);
    return result;
  } else {
    using Limits = std::numeric_limits<To>;
    long double wide = static_cast<long double>(value);
    if (!(wide >= static_cast<long double>(Limits::min()) &&
          wide <= static_cast<long double>(Limits::max()))) {
      lossy = true;
      return wide > 0 ? Limits::max() : Limits::min();
    }
    To result = static_cast<To>(value);
    lossy |= static_cast<long double>(result) != wide;
    return result;
  }
}

Array dit::runtime::convertArray(const Array &array, ElementType type,
                                 bool &lossy) {
  if (array.type == type)
    return array;
  Array result{type, array.shape, {}};
  int64_t count = array.elements();
  result.bytes.resize(count * elementBytes(type));
  withType(array.type, [&](auto from) {
    withType(type, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      for (int64_t i = 0; i != count; ++i) {
        From value;
        std::memcpy(&value, &array.bytes[i * sizeof(From)], sizeof(From));
        To converted = convertValue<To>(plainValue(value), lossy);
        std::memcpy(&result.bytes[i * sizeof(To)], &converted, sizeof(To));
      }
    });
  });
  return result;
}

std::vector<double> dit::runtime::arrayValues(const Array &array) {
  std::vector<double> values(array.elements());
  withType(array.type, [&](auto from) {
    using From = decltype(from);
    for (size_t i = 0; i != values.size(); ++i) {
      From value;
      std::memcpy(&value, &array.bytes[i * sizeof(From)], sizeof(From));
      values[i] = static_cast<double>(plainValue(value));
    }
  });
  return values;
}

Array dit::runtime::makeArray(llvm::ArrayRef<int64_t> shape,
                              llvm::ArrayRef<float> values) {
  const uint8_t *bytes = reinterpret_cast<const uint8_t *>(values.data());
  return {ElementType::F32,
          shape.vec(),
          {bytes, bytes + values.size() * sizeof(float)}};
}
