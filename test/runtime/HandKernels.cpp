//===- HandKernels.cpp - Kernels for plans made by hand -------------------===//
//
// Compiled alone into an object file, which tests put into plans as ditc puts
// the code it generates.
//
//===----------------------------------------------------------------------===//

#include "runtime/diffusion/Philox.h"

#include <cstring>

using namespace dit::runtime;

/// operands: x, y. One block is 4 elements: y = 2 x + 1.
extern "C" void twice_plus_one(void *const *operands, int64_t begin,
                               int64_t end) {
  const float *x = static_cast<const float *>(operands[0]);
  float *y = static_cast<float *>(operands[1]);
  for (int64_t i = 4 * begin; i != 4 * end; ++i)
    y[i] = 2 * x[i] + 1;
}

/// operands: from, to. One block is 64 bytes; calls memcpy of the process.
extern "C" void copy_blocks(void *const *operands, int64_t begin, int64_t end) {
  std::memcpy(static_cast<char *>(operands[1]) + 64 * begin,
              static_cast<const char *>(operands[0]) + 64 * begin,
              64 * (end - begin));
}

/// A sampler's step with the model eps = label / 8 + x / 2, v = x / (1 + |x|):
/// operands latent [blocks, 64], labels, pictures, seed, step, coefficients,
/// guidance [1], noise, use_noise, timesteps. A block is one picture of 64
/// elements. Guidance compares with the null label 4.
extern "C" void denoise(void *const *operands, int64_t begin, int64_t end) {
  float *latent = static_cast<float *>(operands[0]);
  const int64_t *labels = static_cast<const int64_t *>(operands[1]);
  const int64_t *pictures = static_cast<const int64_t *>(operands[2]);
  uint64_t seed = *static_cast<const uint64_t *>(operands[3]);
  int64_t step = *static_cast<const int64_t *>(operands[4]);
  const float *row = static_cast<const float *>(operands[5]) + 8 * step;
  float guidance = *static_cast<const float *>(operands[6]);
  const float *noise = static_cast<const float *>(operands[7]);
  bool useNoise = *static_cast<const int64_t *>(operands[8]) != 0;
  for (int64_t picture = begin; picture != end; ++picture)
    for (uint32_t i = 0; i != 64; ++i) {
      float x = latent[64 * picture + i];
      float conditional = labels[picture] / 8.0f + x / 2;
      float unconditional = 4 / 8.0f + x / 2;
      float eps = unconditional + guidance * (conditional - unconditional);
      float v = x / (1 + std::fabs(x)), f = (v + 1) / 2;
      float logvar = f * row[5] + (1 - f) * row[4];
      float z = useNoise
                    ? noise[64 * picture + i]
                    : normal(seed, i, pictures[picture], step + 1, StepNoise);
      latent[64 * picture + i] = row[0] * x + row[1] * eps +
                                 (row[2] + row[3] * std::exp(logvar / 2)) * z;
    }
}

/// operands: step. One block: step + 1.
extern "C" void advance(void *const *operands, int64_t begin, int64_t end) {
  for (int64_t i = begin; i != end; ++i)
    ++*static_cast<int64_t *>(operands[0]);
}
