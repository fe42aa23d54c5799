//===- PictureCrop.cpp - Scales pictures as Pillow does -------------------===//
//
// A separable filter, rows first, then columns, each rounded to bytes. Weights
// are those of Pillow's resize(): the filter is stretched by the scale when a
// picture shrinks, normalised, and rounded to 22 binary places.
//
//===----------------------------------------------------------------------===//

#include "runtime/data/PictureFile.h"

#include <algorithm>
#include <cmath>

using namespace dit::runtime;

namespace {

/// A filter's shape.
struct Filter {
  double support;
  double (*weight)(double);
};

/// The inputs that make one output.
struct Taps {
  int64_t first = 0;
  std::vector<int32_t> weights;
};

} // namespace

static constexpr int fixedBits = 22;

static double boxWeight(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }

/// Keys' cubic with a = -0.5.
static double cubicWeight(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2)
    return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

static std::vector<Taps> makeTaps(int64_t from, int64_t to,
                                  const Filter &filter) {
  double scale = static_cast<double>(from) / static_cast<double>(to);
  double stretch = std::max(scale, 1.0), support = filter.support * stretch;
  std::vector<Taps> taps(to);
  for (int64_t i = 0; i != to; ++i) {
    double centre = (static_cast<double>(i) + 0.5) * scale;
    int64_t first =
        std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
    int64_t last = std::min(static_cast<int64_t>(centre + support + 0.5), from);
    std::vector<double> weights;
    double sum = 0;
    for (int64_t x = first; x < last; ++x) {
      weights.push_back(
          filter.weight((static_cast<double>(x) - centre + 0.5) / stretch));
      sum += weights.back();
    }
    taps[i].first = first;
    for (double weight : weights)
      taps[i].weights.push_back(static_cast<int32_t>(
          std::round(weight / sum * (int64_t(1) << fixedBits))));
  }
  return taps;
}

/// Filters lines of `count` pixels, `step` bytes apart, into lines of
/// taps.size() pixels, `step` bytes apart; a line's pixel has `step` bytes of
/// which each is filtered on its own.
static void filterLine(const uint8_t *from, uint8_t *to, int64_t step,
                       const std::vector<Taps> &taps) {
  for (const Taps &tap : taps) {
    for (int64_t byte = 0; byte != step; ++byte) {
      int64_t sum = int64_t(1) << (fixedBits - 1);
      const uint8_t *at = from + tap.first * step + byte;
      for (int32_t weight : tap.weights) {
        sum += int64_t(weight) * *at;
        at += step;
      }
      *to++ =
          static_cast<uint8_t>(std::clamp<int64_t>(sum >> fixedBits, 0, 255));
    }
  }
}

/// A picture of another size.
static Picture resize(const Picture &picture, int64_t width, int64_t height,
                      const Filter &filter) {
  int64_t channels = picture.channels;
  Picture rows{width, picture.height, channels, {}};
  rows.pixels.resize(width * picture.height * channels);
  std::vector<Taps> taps = makeTaps(picture.width, width, filter);
  for (int64_t y = 0; y != picture.height; ++y)
    filterLine(&picture.pixels[y * picture.width * channels],
               &rows.pixels[y * width * channels], channels, taps);
  // Columns: a row is one pixel of width * channels bytes.
  Picture result{width, height, channels, {}};
  result.pixels.resize(width * height * channels);
  filterLine(rows.pixels.data(), result.pixels.data(), width * channels,
             makeTaps(picture.height, height, filter));
  return result;
}

Picture dit::runtime::cropToSquare(Picture picture, int64_t edge) {
  while (std::min(picture.width, picture.height) >= 2 * edge)
    picture = resize(picture, picture.width / 2, picture.height / 2,
                     {0.5, boxWeight});
  double scale = static_cast<double>(edge) /
                 static_cast<double>(std::min(picture.width, picture.height));
  // Python rounds halves to even, and so does nearbyint.
  auto scaled = [&](int64_t size) {
    return std::max<int64_t>(std::llrint(static_cast<double>(size) * scale),
                             edge);
  };
  int64_t width = scaled(picture.width), height = scaled(picture.height);
  if (width != picture.width || height != picture.height)
    picture = resize(picture, width, height, {2, cubicWeight});
  int64_t left = (width - edge) / 2, top = (height - edge) / 2;
  int64_t rowBytes = edge * picture.channels;
  Picture result{edge, edge, picture.channels, {}};
  result.pixels.resize(rowBytes * edge);
  for (int64_t y = 0; y != edge; ++y)
    std::copy_n(&picture.pixels[((top + y) * width + left) * picture.channels],
                rowBytes, &result.pixels[y * rowBytes]);
  return result;
}
