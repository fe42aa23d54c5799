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

//===----------------------------------------------------------------------===//
// Training: eps_hat = w x_t + b of 64 numbers each, vb = 0. Flats of 128
// numbers: w at 0, b at 64.
//===----------------------------------------------------------------------===//

/// operands: masters, gradients, pictures [batch, 64], labels, samples, seed,
/// step, noise, given_t, use_given, drop, diffusion, mse, vb, t. The batch is
/// `end` - `begin` = 1 block: 2 samples. Drops the label by drawing a number;
/// the loss is that of the picture plus the label, so that it matters.
static void accumulateLinear(void *const *operands, bool first) {
  const float *masters = static_cast<const float *>(operands[0]);
  float *gradients = static_cast<float *>(operands[1]);
  const float *pictures = static_cast<const float *>(operands[2]);
  const int64_t *labels = static_cast<const int64_t *>(operands[3]);
  const int64_t *samples = static_cast<const int64_t *>(operands[4]);
  uint64_t seed = *static_cast<const uint64_t *>(operands[5]);
  uint32_t step = *static_cast<const int64_t *>(operands[6]);
  const float *noise = static_cast<const float *>(operands[7]);
  const int64_t *givenT = static_cast<const int64_t *>(operands[8]);
  bool useGiven = *static_cast<const int64_t *>(operands[9]) != 0;
  float drop = *static_cast<const float *>(operands[10]);
  const float *diffusion = static_cast<const float *>(operands[11]);
  float *mse = static_cast<float *>(operands[12]);
  float *vb = static_cast<float *>(operands[13]);
  int64_t *t = static_cast<int64_t *>(operands[14]);
  constexpr int batch = 2, size = 64;
  if (first)
    std::memset(gradients, 0, 2 * size * sizeof(float));
  for (int n = 0; n != batch; ++n) {
    PhiloxWords words = philox(philoxCounter(0, samples[n], step, 3), seed);
    t[n] = useGiven ? givenT[n] : words[0] % 1000;
    bool dropped = !useGiven && uniformBelowOne(words[1]) < drop;
    float label = (dropped ? 4 : labels[n]) / 8.0f;
    const float *row = diffusion + 5 * t[n];
    mse[n] = vb[n] = 0;
    for (int i = 0; i != size; ++i) {
      float z =
          useGiven ? noise[n * size + i] : normal(seed, i, samples[n], step, 2);
      float x = row[0] * (pictures[n * size + i] + label) + row[1] * z;
      float error = masters[i] * x + masters[size + i] - z;
      mse[n] += error * error / size;
      gradients[i] += 2 * error * x / (size * batch);
      gradients[size + i] += 2 * error / (size * batch);
    }
  }
}

extern "C" void train_first(void *const *operands, int64_t, int64_t) {
  accumulateLinear(operands, true);
}

extern "C" void train_more(void *const *operands, int64_t, int64_t) {
  accumulateLinear(operands, false);
}

/// As the steps above, without a gradient.
extern "C" void train_evaluate(void *const *operands, int64_t, int64_t) {
  float scratch[128];
  void *own[15];
  std::memcpy(own, operands, sizeof(own));
  own[1] = scratch;
  accumulateLinear(own, true);
}

/// operands: masters, ema, moment1, moment2, applied, loss_scale.
extern "C" void train_start(void *const *operands, int64_t, int64_t) {
  std::memcpy(operands[1], operands[0], 128 * sizeof(float));
  std::memset(operands[2], 0, 128 * sizeof(float));
  std::memset(operands[3], 0, 128 * sizeof(float));
  *static_cast<int64_t *>(operands[4]) = 0;
  *static_cast<float *>(operands[5]) = 1;
}

/// What is one number. operands: gradients, hyper, numbers, applied, skipped,
/// gradient_norm; numbers are hyper and applied, with the gradients' factor,
/// 0 where all stays as it is, in place of the norm to clip at.
extern "C" void train_prepare(void *const *operands, int64_t, int64_t) {
  const float *gradients = static_cast<const float *>(operands[0]);
  const float *hyper = static_cast<const float *>(operands[1]);
  float *numbers = static_cast<float *>(operands[2]);
  int64_t *applied = static_cast<int64_t *>(operands[3]);
  int64_t *skipped = static_cast<int64_t *>(operands[4]);
  float *norm = static_cast<float *>(operands[5]);
  float sum = 0;
  for (int i = 0; i != 128; ++i)
    sum += gradients[i] * hyper[3] * gradients[i] * hyper[3];
  *norm = std::sqrt(sum);
  bool isFinite = *norm <= 3e38f;
  ++*(isFinite ? applied : skipped);
  std::memcpy(numbers, hyper, 8 * sizeof(float));
  bool clips = hyper[1] > 0 && *norm > hyper[1];
  numbers[1] = !isFinite ? 0 : clips ? hyper[3] * hyper[1] / *norm : hyper[3];
  numbers[8] = *applied;
}

/// AdamW and averages. operands: masters, gradients, ema, moment1, moment2,
/// numbers.
extern "C" void train_update(void *const *operands, int64_t, int64_t) {
  float *masters = static_cast<float *>(operands[0]);
  const float *gradients = static_cast<const float *>(operands[1]);
  float *ema = static_cast<float *>(operands[2]);
  float *moment1 = static_cast<float *>(operands[3]);
  float *moment2 = static_cast<float *>(operands[4]);
  const float *hyper = static_cast<const float *>(operands[5]);
  float scale = hyper[1], steps = hyper[8];
  if (scale == 0)
    return;
  for (int i = 0; i != 128; ++i) {
    float g = gradients[i] * scale;
    masters[i] *= 1 - hyper[0] * hyper[4];
    moment1[i] = hyper[5] * moment1[i] + (1 - hyper[5]) * g;
    moment2[i] = hyper[6] * moment2[i] + (1 - hyper[6]) * g * g;
    float m = moment1[i] / (1 - std::pow(hyper[5], steps));
    float v = moment2[i] / (1 - std::pow(hyper[6], steps));
    masters[i] -= hyper[0] * m / (std::sqrt(v) + hyper[7]);
    ema[i] = hyper[2] * ema[i] + (1 - hyper[2]) * masters[i];
  }
}
