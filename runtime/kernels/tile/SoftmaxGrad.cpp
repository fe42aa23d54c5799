//===- SoftmaxGrad.cpp - One block of the softmax's gradient --------------===//
//
// Scores lie [query][key], so a vector holds `lanes` keys of one query, and
// what belongs to the query (log sum exp, dO . O) is one number for it:
//
//   p = 2^((scale * score + mask - logSumExp) * log2 e),  ds = p (dp - delta)
//
// Two queries at a time, because the 16-bit dot product of the next matrix
// product wants pairs of them.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/tile/TileFunctions.h"
#include "runtime/kernels/tile/Vector.h"

namespace dit::runtime::DIT_INSTRUCTION_SET {

constexpr float log2e = 0x1.715476p+0f;

namespace {

/// What one query's row is computed from and where it goes.
struct GradRow {
  float *scores, *cotangents;
  const float *mask;
  char *rounded; // bf16 ds, or null
  float offset;  // without a mask: -logSumExp log2 e; else -logSumExp
  float delta;
};

/// p and ds of `lanes` keys.
struct GradVector {
  Float probability, gradient;
};

} // namespace

template <bool masked, int degree>
DIT_INLINE GradVector gradVector(const GradRow &row, int64_t lane, float scale,
                                 float factor) {
  Float score = loadUnaligned<Float>(row.scores + lane), exponent;
  if constexpr (masked)
    // In units of e: large negative masks and sums must cancel.
    exponent = (multiplyAdd(score, splat(scale),
                            loadUnaligned<Float>(row.mask + lane)) +
                row.offset) *
               log2e;
  else
    exponent = multiplyAdd(score, splat(factor), splat(row.offset));
  Float p = exp2<degree>(exponent);
  return {p, p * (loadUnaligned<Float>(row.cotangents + lane) - row.delta)};
}

template <bool masked, bool paired>
static void softmaxGradAs(const SoftmaxGradBlock &block) {
  constexpr int degree = paired ? 3 : 5;
  const int64_t stride = block.lanes;
  const float factor = block.scale * log2e;
  auto rowAt = [&](int64_t query) {
    float sum = block.logSumExp[query];
    return GradRow{block.scores + query * stride,
                   block.cotangents + query * stride,
                   masked ? block.mask + query * stride : nullptr,
                   static_cast<char *>(block.gradRows) + 2 * query * stride,
                   masked ? -sum : -sum * log2e,
                   block.delta[query]};
  };
  for (int64_t query = 0; query < block.queries; query += 2) {
    const bool both = query + 1 != block.queries;
    const GradRow even = rowAt(query);
    const GradRow odd = both ? rowAt(query + 1) : even;
    for (int64_t lane = 0; lane < stride; lane += lanes) {
      GradVector a =
          gradVector<masked, degree>(even, lane, block.scale, factor);
      if constexpr (!paired) {
        GradVector b = a;
        if (both)
          b = gradVector<masked, degree>(odd, lane, block.scale, factor);
        storeUnaligned(even.scores + lane, a.probability);
        storeUnaligned(even.cotangents + lane, a.gradient);
        storeUnaligned(odd.scores + lane, b.probability);
        storeUnaligned(odd.cotangents + lane, b.gradient);
        continue;
      }
      GradVector b{};
      if (both)
        b = gradVector<masked, degree>(odd, lane, block.scale, factor);
      const int64_t pair = 4 * (query / 2 * stride + lane);
      storeUnaligned(
          static_cast<char *>(block.probabilityPairs) + pair,
          narrowPairs<ElementType::BF16>(a.probability, b.probability));
      storeUnaligned(static_cast<char *>(block.gradPairs) + pair,
                     narrowPairs<ElementType::BF16>(a.gradient, b.gradient));
      store<ElementType::BF16>(even.rounded, lane, a.gradient);
      if (both)
        store<ElementType::BF16>(odd.rounded, lane, b.gradient);
    }
    // The dot product reads keys in pairs.
    if (paired && block.keys % 2 != 0) {
      const uint16_t zero = 0;
      __builtin_memcpy(even.rounded + 2 * block.keys, &zero, 2);
      __builtin_memcpy(odd.rounded + 2 * block.keys, &zero, 2);
    }
  }
}

void softmaxGrad(const SoftmaxGradBlock &block) {
  const bool paired = block.probabilityPairs != nullptr;
  if (block.mask && paired)
    softmaxGradAs<true, true>(block);
  else if (block.mask)
    softmaxGradAs<true, false>(block);
  else if (paired)
    softmaxGradAs<false, true>(block);
  else
    softmaxGradAs<false, false>(block);
}

template <ElementType type>
static void rowDotsAs(const void *a, int64_t aStride, const void *b,
                      int64_t bStride, int64_t rows, int64_t columns,
                      float *dots) {
  for (int64_t row = 0; row != rows; ++row) {
    const int64_t fromA = row * aStride, fromB = row * bStride;
    Float sum = {};
    int64_t i = 0;
    for (; i + lanes <= columns; i += lanes)
      sum =
          multiplyAdd(load<type>(a, fromA + i), load<type>(b, fromB + i), sum);
    if (i != columns)
      sum = multiplyAdd(loadFirst<type>(a, fromA + i, columns - i),
                        loadFirst<type>(b, fromB + i, columns - i), sum);
    float parts[lanes];
    storeUnaligned(parts, sum);
#pragma clang loop unroll(full)
    for (int step = lanes / 2; step != 0; step /= 2)
      for (int lane = 0; lane != step; ++lane)
        parts[lane] += parts[lane + step];
    dots[row] = parts[0];
  }
}

void rowDots(ElementType type, const void *a, int64_t aStride, const void *b,
             int64_t bStride, int64_t rows, int64_t columns, float *dots) {
  if (type == ElementType::F32)
    rowDotsAs<ElementType::F32>(a, aStride, b, bStride, rows, columns, dots);
  else if (type == ElementType::BF16)
    rowDotsAs<ElementType::BF16>(a, aStride, b, bStride, rows, columns, dots);
  else
    rowDotsAs<ElementType::F16>(a, aStride, b, bStride, rows, columns, dots);
}

} // namespace dit::runtime::DIT_INSTRUCTION_SET
