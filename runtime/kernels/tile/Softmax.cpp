//===- Softmax.cpp - One block of the online softmax ----------------------===//
//
// Scores lie [key][query], so a vector holds one key's scores for `lanes`
// queries: the maximum and the sum over the keys need no shuffles. 32 queries
// at a time, in two passes over the keys: the largest exponent, then
//
//   p = 2^(exponent - largest),  sum = sum * correction + sum of p.
//
// A maximum of -inf (every key so far masked out) is replaced by zero in the
// subtraction, which makes p zero, not NaN.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/tile/TileFunctions.h"
#include "runtime/kernels/tile/Vector.h"

namespace dit::runtime::DIT_INSTRUCTION_SET {

constexpr int group = 32 / lanes; // vectors of 32 queries
constexpr float log2e = 0x1.715476p+0f;
constexpr float minusInfinity = -__builtin_inff();

/// The largest exponent of each of 32 queries; in natural units the exponents
/// replace the scores.
template <bool natural>
static void findMaximum(const SoftmaxBlock &block, int64_t query,
                        Float (&maximum)[group]) {
  for (Float &vector : maximum)
    vector = splat(minusInfinity);
  for (int64_t key = 0; key != block.keys; ++key) {
    float *scores = block.scores + key * block.queries + query;
    const float *mask =
        block.mask ? block.mask + key * block.queries + query : nullptr;
    for (int i = 0; i != group; ++i) {
      Float exponent = loadUnaligned<Float>(scores + i * lanes);
      if constexpr (natural) {
        exponent *= block.scale;
        if (mask)
          exponent += loadUnaligned<Float>(mask + i * lanes);
        storeUnaligned(scores + i * lanes, exponent);
      }
      maximum[i] = larger(maximum[i], exponent);
    }
  }
  if constexpr (!natural)
    for (Float &vector : maximum)
      vector *= block.scale * log2e;
}

/// p of one vector; `offset` is minus the maximum.
template <bool natural, int degree>
DIT_INLINE Float probability(Float score, float factor, Float offset) {
  if constexpr (natural)
    return exp2<degree>((score + offset) * factor);
  else
    return exp2<degree>(multiplyAdd(score, splat(factor), offset));
}

template <bool natural, bool paired>
static void softmaxGroup(const SoftmaxBlock &block, int64_t query) {
  constexpr int degree = paired ? 3 : 5;
  Float maximum[group], offset[group], correction[group];
  findMaximum<natural>(block, query, maximum);
  for (int i = 0; i != group; ++i) {
    int64_t lane = query + i * lanes;
    Float before = block.first ? splat(minusInfinity)
                               : loadUnaligned<Float>(block.maximum + lane);
    maximum[i] = larger(maximum[i], before);
    storeUnaligned(block.maximum + lane, maximum[i]);
    offset[i] = maximum[i] == splat(minusInfinity) ? Float{} : -maximum[i];
    Float change = before + offset[i];
    correction[i] = exp2<5>(natural ? change * log2e : change);
    storeUnaligned(block.correction + lane, correction[i]);
  }

  float factor = natural ? log2e : block.scale * log2e;
  Float sum[group] = {};
  int64_t key = 0;
  for (; key + 2 <= block.keys; key += 2) {
    float *even = block.scores + key * block.queries + query;
    float *odd = even + block.queries;
    for (int i = 0; i != group; ++i) {
      Float a = probability<natural, degree>(
          loadUnaligned<Float>(even + i * lanes), factor, offset[i]);
      Float b = probability<natural, degree>(
          loadUnaligned<Float>(odd + i * lanes), factor, offset[i]);
      sum[i] += a + b;
      if constexpr (paired) {
        char *pairs = static_cast<char *>(block.pairs) +
                      4 * (key / 2 * block.queries + query + i * lanes);
        storeUnaligned(pairs, narrowPairs<ElementType::BF16>(a, b));
      } else {
        storeUnaligned(even + i * lanes, a);
        storeUnaligned(odd + i * lanes, b);
      }
    }
  }
  for (int i = 0; i != group; ++i) {
    int64_t lane = query + i * lanes;
    if (key != block.keys) {
      float *last = block.scores + key * block.queries + lane;
      Float a = probability<natural, degree>(loadUnaligned<Float>(last), factor,
                                             offset[i]);
      sum[i] += a;
      if constexpr (paired)
        storeUnaligned(static_cast<char *>(block.pairs) +
                           4 * (key / 2 * block.queries + lane),
                       narrowPairs<ElementType::BF16>(a, Float{}));
      else
        storeUnaligned(last, a);
    }
    if (!block.first)
      sum[i] = multiplyAdd(loadUnaligned<Float>(block.sum + lane),
                           correction[i], sum[i]);
    storeUnaligned(block.sum + lane, sum[i]);
  }
}

void softmax(const SoftmaxBlock &block) {
  for (int64_t query = 0; query != block.queries; query += 32) {
    if (block.natural && block.pairs)
      softmaxGroup<true, true>(block, query);
    else if (block.natural)
      softmaxGroup<true, false>(block, query);
    else if (block.pairs)
      softmaxGroup<false, true>(block, query);
    else
      softmaxGroup<false, false>(block, query);
  }
}

void scaleLanes(float *values, int64_t rows, int64_t count,
                const float *factors) {
  for (int64_t row = 0; row != rows; ++row)
    for (int64_t lane = 0; lane < count; lane += lanes) {
      float *at = values + row * count + lane;
      storeUnaligned(at, loadUnaligned<Float>(at) *
                             loadUnaligned<Float>(factors + lane));
    }
}

} // namespace dit::runtime::DIT_INSTRUCTION_SET
