//===- PackingTest.cpp - Packed weights and 16-bit floats -----------------===//

#include "runtime/plan/Packing.h"
#include "test/runtime/kernels/KernelData.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

using namespace dit::plan;
using namespace dit::test;

namespace {

TEST(Packing, EveryElementIsWhereTheLayoutSays) {
  // 3 x 5 in panels of 2 columns and pairs of k: written out by hand.
  float weight[15];
  for (int i = 0; i != 15; ++i)
    weight[i] = static_cast<float>(i / 5 * 10 + i % 5 + 1);           // row, k
  const float want[] = {1,  2,  11, 12, 3,  4,  13, 14, 5,  0, 15, 0, //
                        21, 22, 0,  0,  23, 24, 0,  0,  25, 0, 0,  0};
  PanelLayout layout{2, 2};
  ASSERT_EQ(packedElements(layout, 3, 5), 24);
  float packed[24];
  std::fill_n(packed, 24, NAN);
  packPanels(layout, 3, 5, ElementType::F32, weight, 5, ElementType::F32,
             packed);
  for (int i = 0; i != 24; ++i)
    EXPECT_EQ(packed[i], want[i]) << i;
  EXPECT_EQ(packedIndex(layout, 5, 1, 3), 7);
  EXPECT_EQ(packedIndex(layout, 5, 2, 4), 20);
}

TEST(Packing, UnpackingInverts) {
  std::mt19937 generator(1);
  for (ElementType type : {ElementType::F32, ElementType::F16,
                           ElementType::BF16, ElementType::F64})
    for (PanelLayout layout : {PanelLayout{32, 1}, PanelLayout{32, 2},
                               PanelLayout{64, 1}, PanelLayout{3, 4}})
      for (int64_t n : {1, 8, 33, 64})
        for (int64_t k : {1, 7, 16}) {
          Array weight = Array::random(type, n * (k + 2), generator);
          Array packed = Array::poison(type, packedElements(layout, n, k));
          packPanels(layout, n, k, type, weight.data(), k + 2, type,
                     packed.data());
          Array back = Array::poison(type, n * k);
          unpackPanels(layout, n, k, type, packed.data(), type, back.data(), k);
          double sum = 0;
          for (int64_t i = 0; i != packed.size(); ++i)
            sum += std::abs(packed[i]);
          double wanted = 0;
          for (int64_t row = 0; row != n; ++row)
            for (int64_t column = 0; column != k; ++column) {
              double value = weight[row * (k + 2) + column];
              wanted += std::abs(value);
              ASSERT_EQ(back[row * k + column], value);
              ASSERT_EQ(packed[packedIndex(layout, k, row, column)], value);
            }
          EXPECT_NEAR(sum, wanted, 1e-9 * wanted); // padding is zero
        }
}

// The nearest 16-bit float, found by trying all of them.
double nearest(double value, float (*widen)(uint16_t), int exponentBits) {
  double best = NAN, distance = INFINITY;
  // Far outside, the distances to all candidates round to the same double.
  if (exponentBits == 5)
    value = std::clamp(value, -0x1p20, 0x1p20);
  bool bestEven = false;
  for (unsigned bits = 0; bits != 0x10000; ++bits) {
    double candidate = widen(static_cast<uint16_t>(bits));
    if (std::isnan(candidate))
      continue;
    // Infinity stands for the next power of two, as rounding sees it.
    double place =
        std::isinf(candidate)
            ? std::copysign(std::ldexp(1.0, 1 << (exponentBits - 1)), candidate)
            : candidate;
    double d = std::abs(place - value);
    bool even = bits % 2 == 0;
    if (d < distance || (d == distance && even && !bestEven)) {
      best = candidate;
      distance = d;
      bestEven = even;
    }
  }
  return best;
}

TEST(ElementType, SixteenBitFloatsRoundToNearestEven) {
  std::mt19937 generator(3);
  std::vector<float> values = {
      0.0f,       -0.0f,      1.0f,         65504.0f,     65519.9f,
      65520.0f,   -65536.0f,  1e38f,        0x1p-14f,     0x1p-24f,
      0x1p-25f,   0x1.8p-25f, 3.4e38f,      0x1.01p0f,    0x1.03p0f,
      0x1.002p0f, 0x1.006p0f, 0x1.ffcp-15f, 0x1.ffep-15f, 1e-30f};
  std::uniform_real_distribution<float> exponent(-26, 17);
  for (int i = 0; i != 60; ++i)
    values.push_back(std::exp2(exponent(generator)));
  for (float value : values) {
    EXPECT_EQ(floatFromF16(f16FromFloat(value)),
              nearest(value, floatFromF16, 5))
        << value;
    EXPECT_EQ(floatFromBF16(bf16FromFloat(value)),
              nearest(value, floatFromBF16, 8))
        << value;
  }
}

TEST(ElementType, EverySixteenBitFloatSurvives) {
  for (unsigned i = 0; i != 0x10000; ++i) {
    auto bits = static_cast<uint16_t>(i);
    if (std::isnan(floatFromF16(bits)))
      EXPECT_TRUE(std::isnan(floatFromF16(f16FromFloat(floatFromF16(bits)))));
    else
      EXPECT_EQ(f16FromFloat(floatFromF16(bits)), bits);
    if (std::isnan(floatFromBF16(bits)))
      EXPECT_TRUE(
          std::isnan(floatFromBF16(bf16FromFloat(floatFromBF16(bits)))));
    else
      EXPECT_EQ(bf16FromFloat(floatFromBF16(bits)), bits);
  }
  EXPECT_EQ(floatFromF16(0x3c00), 1.0f);
  EXPECT_EQ(floatFromF16(0x0001), 0x1p-24f);
  EXPECT_EQ(floatFromF16(0xfbff), -65504.0f);
}

} // namespace
