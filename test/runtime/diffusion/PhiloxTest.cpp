//===- PhiloxTest.cpp - Known answers and moments -------------------------===//

#include "runtime/diffusion/Philox.h"

#include <gtest/gtest.h>

using namespace dit::runtime;

// The known answers of Random123's kat_vectors for philox4x32 with 10 rounds.
TEST(PhiloxTest, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0),
            (PhiloxWords{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, ~0ull),
            (PhiloxWords{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                   0x299f31d0a4093822ull),
            (PhiloxWords{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(PhiloxTest, TheCounterNamesElementPictureStepAndStream) {
  EXPECT_EQ(philoxCounter(7, 0x0012'3456'789aull, 3, 1),
            (PhiloxWords{7, 0x3456789a, 3, 0x00120001}));
}

TEST(PhiloxTest, UniformsStayInTheirInterval) {
  EXPECT_EQ(uniformAboveZero(0), 0x1p-24f);
  EXPECT_EQ(uniformAboveZero(~0u), 1.0f);
  EXPECT_EQ(uniformBelowOne(0), 0.0f);
  EXPECT_LT(uniformBelowOne(~0u), 1.0f);
}

TEST(PhiloxTest, NormalsAreBoxMullerInDouble) {
  for (uint32_t element = 0; element != 64; ++element) {
    PhiloxWords words = philox(philoxCounter(element / 4, 9, 2, 1), 55);
    int pair = element % 4 / 2;
    double u1 = ((words[2 * pair] >> 8) + 1) / 16777216.0;
    double u2 = (words[2 * pair + 1] >> 8) / 16777216.0;
    double angle = 2 * 3.14159265358979323846 * u2;
    double expected = std::sqrt(-2 * std::log(u1)) *
                      (element % 2 ? std::sin(angle) : std::cos(angle));
    EXPECT_NEAR(normal(55, element, 9, 2, 1), expected, 4e-6);
  }
}

TEST(PhiloxTest, MomentsOfAMillion) {
  double sum = 0, squares = 0, fourth = 0;
  constexpr int count = 1 << 20;
  for (int i = 0; i != count; i += 4)
    for (float value : normals(philox(philoxCounter(i / 4, 0, 0, 0), 1))) {
      sum += value;
      squares += double(value) * value;
      fourth += std::pow(double(value), 4);
    }
  EXPECT_NEAR(sum / count, 0, 5e-3);
  EXPECT_NEAR(squares / count, 1, 7e-3);
  EXPECT_NEAR(fourth / count, 3, 5e-2);
}
