//===- Philox.h - Counter-based random numbers ----------------------------===//
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011). A number depends only on what it is for, never on who drew it or
// when, so batches, ranks and resumed runs see the same noise:
//
//   key      seed, low word and high word
//   counter  element / 4, picture low word, step, stream | picture bits 32..47
//            in the upper half
//
// x_T has step word 0; the noise of the s-th executed step (0 = largest t) has
// s + 1. One counter gives four words and so the elements 4 i .. 4 i + 3.
// Compiled kernels (dit.random) draw the same numbers; this is the reference.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DIFFUSION_PHILOX_H
#define DIT_RUNTIME_DIFFUSION_PHILOX_H

#include <array>
#include <cmath>
#include <cstdint>

namespace dit::runtime {

using PhiloxWords = std::array<uint32_t, 4>;

/// What the lower half of the counter's last word says.
enum PhiloxStream : uint32_t {
  InitialNoise = 0,
  StepNoise = 1,
  // Drawn by train plans: t 2, noise 3, label dropout 4.
  LatentNoise = 5,
  SampleOrder = 6,
  Mirroring = 7,
  ParameterInit = 8 // and above: one a parameter
};

/// The ten rounds.
constexpr PhiloxWords philox(PhiloxWords counter, uint64_t seed) {
  uint32_t key0 = static_cast<uint32_t>(seed);
  uint32_t key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round != 10; ++round) {
    uint64_t a = uint64_t(0xD2511F53) * counter[0];
    uint64_t b = uint64_t(0xCD9E8D57) * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key0,
               static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key1,
               static_cast<uint32_t>(a)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

/// The counter of the four elements from 4 * `quad` on.
constexpr PhiloxWords philoxCounter(uint32_t quad, uint64_t picture,
                                    uint32_t step, uint32_t stream) {
  return {quad, static_cast<uint32_t>(picture), step,
          (stream & 0xffff) | static_cast<uint32_t>(picture >> 32) << 16};
}

/// Uniform in (0, 1]: safe to take the logarithm of. 24 bits.
inline float uniformAboveZero(uint32_t word) {
  return (static_cast<float>(word >> 8) + 1.0f) * 0x1p-24f;
}

/// Uniform in [0, 1). 24 bits.
inline float uniformBelowOne(uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1p-24f;
}

/// Four standard normal numbers by Box and Muller, from words (0, 1), (2, 3).
inline std::array<float, 4> normals(const PhiloxWords &words) {
  std::array<float, 4> result;
  for (int pair = 0; pair != 2; ++pair) {
    float radius =
        std::sqrt(-2.0f * std::log(uniformAboveZero(words[2 * pair])));
    float angle = 6.283185307179586f * uniformBelowOne(words[2 * pair + 1]);
    result[2 * pair] = radius * std::cos(angle);
    result[2 * pair + 1] = radius * std::sin(angle);
  }
  return result;
}

/// One element's standard normal number.
inline float normal(uint64_t seed, uint32_t element, uint64_t picture,
                    uint32_t step, uint32_t stream) {
  return normals(philox(philoxCounter(element >> 2, picture, step, stream),
                        seed))[element & 3];
}

} // namespace dit::runtime

#endif // DIT_RUNTIME_DIFFUSION_PHILOX_H
