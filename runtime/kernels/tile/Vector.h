//===- Vector.h - The vectors of one instruction set ------------*- C++ -*-===//
//
// Included only by the sources of this folder, which are compiled once for
// each instruction set (see CMakeLists.txt). Everything here has internal
// linkage: an inline function shared with other files could be kept in the
// version that uses instructions the machine lacks.
//
// exp2 is 2^n p(r), n the nearest integer, r in [-1/2, 1/2], p a minimax
// polynomial; its degree is a parameter, so that what is stored in 16 bits
// does not pay for 24. erf is a rational function fitted to erf(x / sqrt 2) on
// [-5.4, 5.4]. The coefficients come from Remez exchange in double; errors are
// those measured after rounding them to fp32.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_KERNELS_TILE_VECTOR_H
#define DIT_RUNTIME_KERNELS_TILE_VECTOR_H

#include "runtime/plan/ElementType.h"

#include <cstdint>
#include <utility>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace {

using dit::plan::ElementType;

/// fp32 lanes of a vector register.
#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX2__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif

typedef float Float __attribute__((vector_size(4 * lanes)));
typedef int32_t Int __attribute__((vector_size(4 * lanes)));
typedef uint32_t Unsigned __attribute__((vector_size(4 * lanes)));
typedef uint16_t Half __attribute__((vector_size(2 * lanes)));
typedef _Float16 Float16 __attribute__((vector_size(2 * lanes)));

#define DIT_INLINE __attribute__((always_inline)) static inline

/// A vector at any address.
template <typename Vector>
DIT_INLINE Vector loadUnaligned(const void *from) {
  Vector vector;
  __builtin_memcpy(&vector, from, sizeof vector);
  return vector;
}

template <typename Vector>
DIT_INLINE void storeUnaligned(void *to, Vector vector) {
  __builtin_memcpy(to, &vector, sizeof vector);
}

DIT_INLINE Float splat(float value) { return Float{} + value; }

DIT_INLINE Float multiplyAdd(Float a, Float b, Float c) {
#if defined(__FMA__) || defined(__AVX512F__)
  return __builtin_elementwise_fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// The larger of two; `a` where `a` is NaN.
DIT_INLINE Float larger(Float a, Float b) { return b > a ? b : a; }

/// The smaller of two; `a` where `a` is NaN.
DIT_INLINE Float smaller(Float a, Float b) { return b < a ? b : a; }

constexpr int bytesOf(ElementType type) {
  return type == ElementType::F32 ? 4 : 2;
}

/// bf16 bits of 16-bit lanes, widened.
DIT_INLINE Float widenBF16(Half bits) {
  return (Float)(__builtin_convertvector(bits, Unsigned) << 16);
}

/// bf16 bits, to nearest even; NaN stays NaN.
DIT_INLINE Half narrowBF16(Float value) {
#if defined(__AVX512BF16__)
  return (Half)_mm512_cvtneps_pbh((__m512)value);
#else
  Unsigned bits = (Unsigned)value;
  Unsigned rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  Unsigned quiet = (bits >> 16) | 0x40;
  return __builtin_convertvector(value != value ? quiet : rounded, Half);
#endif
}

/// `lanes` elements at element `index` of an array of `type`.
template <ElementType type>
DIT_INLINE Float load(const void *base, int64_t index) {
  const char *from = static_cast<const char *>(base) + index * bytesOf(type);
  if constexpr (type == ElementType::F32)
    return loadUnaligned<Float>(from);
  else if constexpr (type == ElementType::BF16)
    return widenBF16(loadUnaligned<Half>(from));
  else
    return __builtin_convertvector(loadUnaligned<Float16>(from), Float);
}

template <ElementType type>
DIT_INLINE void store(void *base, int64_t index, Float value) {
  char *to = static_cast<char *>(base) + index * bytesOf(type);
  if constexpr (type == ElementType::F32)
    storeUnaligned(to, value);
  else if constexpr (type == ElementType::BF16)
    storeUnaligned(to, narrowBF16(value));
  else
    storeUnaligned(to, __builtin_convertvector(value, Float16));
}

/// The 16-bit pairs {even, odd} of two vectors.
template <ElementType type>
DIT_INLINE Unsigned narrowPairs(Float even, Float odd) {
#if defined(__AVX512BF16__)
  if constexpr (type == ElementType::BF16) {
    // The conversion puts even's lanes below odd's.
    const __m512i order = (__m512i)(Unsigned{
        0x100000, 0x110001, 0x120002, 0x130003, 0x140004, 0x150005, 0x160006,
        0x170007, 0x180008, 0x190009, 0x1a000a, 0x1b000b, 0x1c000c, 0x1d000d,
        0x1e000e, 0x1f000f});
    return (Unsigned)_mm512_permutexvar_epi16(
        order, (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even));
  }
#endif
  Half low, high;
  store<type>(&low, 0, even);
  store<type>(&high, 0, odd);
  return __builtin_convertvector(low, Unsigned) |
         __builtin_convertvector(high, Unsigned) << 16;
}

/// The first `count` < lanes elements, zero in the other lanes; nothing past
/// them is touched.
template <ElementType type>
DIT_INLINE Float loadFirst(const void *base, int64_t index, int64_t count) {
  const char *from = static_cast<const char *>(base) + index * bytesOf(type);
#if defined(__AVX512F__)
  const auto mask = static_cast<__mmask16>((1u << count) - 1);
  if constexpr (type == ElementType::F32)
    return (Float)_mm512_maskz_loadu_ps(mask, from);
  const auto bits = (Half)_mm256_maskz_loadu_epi16(mask, from);
  return load<type>(&bits, 0);
#else
  char buffer[sizeof(Float)] = {};
  for (int64_t i = 0; i != count; ++i)
    __builtin_memcpy(buffer + i * bytesOf(type), from + i * bytesOf(type),
                     bytesOf(type));
  return load<type>(buffer, 0);
#endif
}

template <ElementType type>
DIT_INLINE void storeFirst(void *base, int64_t index, int64_t count,
                           Float value) {
  char *to = static_cast<char *>(base) + index * bytesOf(type);
#if defined(__AVX512F__)
  const auto mask = static_cast<__mmask16>((1u << count) - 1);
  if constexpr (type == ElementType::F32) {
    _mm512_mask_storeu_ps(to, mask, (__m512)value);
  } else {
    Half bits;
    store<type>(&bits, 0, value);
    _mm256_mask_storeu_epi16(to, mask, (__m256i)bits);
  }
#else
  char buffer[sizeof(Float)];
  store<type>(buffer, 0, value);
  for (int64_t i = 0; i != count; ++i)
    __builtin_memcpy(to + i * bytesOf(type), buffer + i * bytesOf(type),
                     bytesOf(type));
#endif
}

/// 2^x to a relative error of 2^-13.7, 2^-18.5 or 2^-22.7 for degree 3, 4, 5;
/// NaN for NaN; zero below -127 (AVX-512: below -150). x stays below 128.
template <int degree>
DIT_INLINE Float exp2(Float x) {
#if defined(__AVX512F__)
  // x minus its floor; 0 for infinities. scalef takes the floor itself.
  Float r = (Float)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEG_INF);
#else
  x = larger(x, splat(-127.0f));
  Float n = __builtin_elementwise_floor(x);
  Float r = x - n;
#endif
  Float p;
  if constexpr (degree == 3) {
    p = splat(0x1.3f96a4p-4f);
    p = multiplyAdd(p, r, splat(0x1.cefc4cp-3f));
    p = multiplyAdd(p, r, splat(0x1.64444cp-1f));
    p = multiplyAdd(p, r, splat(0x1.fff632p-1f));
  } else if constexpr (degree == 4) {
    p = splat(0x1.bb7cd4p-7f);
    p = multiplyAdd(p, r, splat(0x1.aa13f0p-5f));
    p = multiplyAdd(p, r, splat(0x1.ee798ap-3f));
    p = multiplyAdd(p, r, splat(0x1.62d166p-1f));
    p = multiplyAdd(p, r, splat(0x1.00002cp+0f));
  } else {
    p = splat(0x1.ec320ap-10f);
    p = multiplyAdd(p, r, splat(0x1.26900cp-7f));
    p = multiplyAdd(p, r, splat(0x1.c95446p-5f));
    p = multiplyAdd(p, r, splat(0x1.ebd5a8p-3f));
    p = multiplyAdd(p, r, splat(0x1.62e4f6p-1f));
    p = multiplyAdd(p, r, splat(0x1.fffffep-1f));
  }
#if defined(__AVX512F__)
  return (Float)_mm512_scalef_ps((__m512)p, (__m512)x);
#else
  // The exponent's bits; n = -127 gives the bits of zero.
  return p * (Float)((__builtin_convertvector(n, Int) + 127) << 23);
#endif
}

/// a / b for 1 <= b <= 2^126, to 2 units in the last place.
DIT_INLINE Float divide(Float a, Float b) {
#if defined(__AVX512F__)
  Float guess = (Float)_mm512_rcp14_ps((__m512)b);
  return a * (guess * multiplyAdd(-b, guess, splat(2.0f)));
#else
  return a / b;
#endif
}

/// The degree of exp2 that is exact enough for a result stored as `type`.
constexpr int degreeFor(ElementType type) {
  return type == ElementType::F32 ? 5 : type == ElementType::F16 ? 4 : 3;
}

/// x / (1 + 2^t), without overflow.
template <int degree>
DIT_INLINE Float gateBySigmoid(Float x, Float t) {
  return divide(x, exp2<degree>(smaller(t, splat(125.0f))) + 1.0f);
}

/// x sigmoid(x).
template <int degree>
DIT_INLINE Float silu(Float x) {
  return gateBySigmoid<degree>(x, x * -0x1.715476p+0f); // -log2 e
}

/// x (1 + tanh u) / 2 = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).
template <int degree>
DIT_INLINE Float geluTanh(Float x) {
  // -2 log2 e sqrt(2 / pi), and that times 0.044715.
  constexpr double linear = -2.30220819813733;
  Float factor =
      multiplyAdd(x * x, splat(float(linear * 0.044715)), splat(float(linear)));
  return gateBySigmoid<degree>(x, x * factor);
}

/// x (1 + erf(x / sqrt 2)) / 2; erf to 4e-7, and so the result to 1.2e-6 where
/// it vanishes below.
DIT_INLINE Float geluErf(Float x) {
  Float z = smaller(larger(x, splat(-5.4f)), splat(5.4f));
  Float t = z * z;
  Float p = splat(0x1.91c7c0p-25f);
  p = multiplyAdd(p, t, splat(0x1.aad050p-17f));
  p = multiplyAdd(p, t, splat(0x1.589bc2p-12f));
  p = multiplyAdd(p, t, splat(0x1.30cc62p-7f));
  p = multiplyAdd(p, t, splat(0x1.1162bap-4f));
  p = multiplyAdd(p, t, splat(0x1.988450p-1f));
  Float q = splat(0x1.469368p-20f);
  q = multiplyAdd(q, t, splat(0x1.2fab3ap-14f));
  q = multiplyAdd(q, t, splat(0x1.e7524ep-10f));
  q = multiplyAdd(q, t, splat(0x1.d0f4f2p-6f));
  q = multiplyAdd(q, t, splat(0x1.00535ap-2f));
  q = multiplyAdd(q, t, splat(1.0f));
  // Below -5.4 what is left of 1 + erf must not be multiplied by a large x.
  Float half = larger(x, splat(-5.4f)) * 0.5f;
  return multiplyAdd(half, divide(z * p, q), half);
}

/// One round of the transposition below: rows i and i + step exchange their
/// off-diagonal squares of `step` columns.
template <int step, int... lane>
DIT_INLINE void exchangeSquares(Float (&rows)[lanes],
                                std::integer_sequence<int, lane...>) {
#pragma clang loop unroll(full)
  for (int i = 0; i < lanes; ++i) {
    if (i & step)
      continue;
    Float a = rows[i], b = rows[i + step];
    rows[i] = __builtin_shufflevector(
        a, b, (lane & step ? lane - step + lanes : lane)...);
    rows[i + step] = __builtin_shufflevector(
        a, b, (lane & step ? lane + lanes : lane + step)...);
  }
}

/// Transposes `lanes` rows of `lanes` 32-bit elements in registers.
DIT_INLINE void transposeSquare(Float (&rows)[lanes]) {
  using Lanes = std::make_integer_sequence<int, lanes>;
  exchangeSquares<1>(rows, Lanes());
  exchangeSquares<2>(rows, Lanes());
  if constexpr (lanes >= 8)
    exchangeSquares<4>(rows, Lanes());
  if constexpr (lanes >= 16)
    exchangeSquares<8>(rows, Lanes());
}

} // namespace

#endif // DIT_RUNTIME_KERNELS_TILE_VECTOR_H
