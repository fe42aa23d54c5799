//===- LaneMathTest.cpp - Elementary functions against libm's doubles -----===//
//
// Sweeps over the whole useful range, plus special values. ulp errors are
// measured against the double result in units of the fp32 result's last place.
//
//===----------------------------------------------------------------------===//
#include "test/compiler/codegen/KernelHarness.h"

#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace dit::codegen;

static constexpr int64_t count = 1 << 16;

namespace {
class LaneMath : public testing::TestWithParam<const char *> {
protected:
  /// f(x) for `x`, computed by `op` on !x.
  std::vector<double> apply(llvm::StringRef op, std::vector<float> x,
                            const char *type = "f32") {
    x.resize(count, x.back());
    CompiledKernel kernel(llvm::formatv(R"(
!x = tensor<64x{0}x{1}>
%0 = space = [64, {0}] (%x0) : (!x) -> !x {{
  ^bb0(%x: !x):
    {2}
    dit.yield %y : !x
  })",
                                        count / 64, type, op)
                              .str(),
                          GetParam());
    kernel.fill(0, x);
    kernel.run();
    return kernel.result(0);
  }

  static std::vector<float> sweep(double low, double high) {
    std::vector<float> x(count);
    for (int64_t i = 0; i < count; ++i)
      x[i] = static_cast<float>(low + (high - low) * i / (count - 1));
    return x;
  }

  /// Numbers of every magnitude in [low, high], 0 < low.
  static std::vector<float> magnitudes(double low, double high) {
    std::vector<float> x = sweep(std::log(low), std::log(high));
    for (float &value : x)
      value = std::exp(value);
    return x;
  }

  double worstUlp(llvm::StringRef op, const std::vector<float> &x,
                  double (*exact)(double)) {
    std::vector<double> y = apply(op, x);
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double wanted = exact(x[i]);
      auto single = static_cast<float>(std::fabs(wanted));
      double ulp = std::nextafter(single, INFINITY) - single;
      worst = std::max(worst, std::fabs(y[i] - wanted) / ulp);
    }
    return worst;
  }

  double worstAbsolute(llvm::StringRef op, const std::vector<float> &x,
                       double (*exact)(double), const char *type = "f32") {
    std::vector<double> y = apply(op, x, type);
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i)
      worst = std::max(worst, std::fabs(y[i] - exact(x[i])));
    return worst;
  }
};
} // namespace
INSTANTIATE_TEST_SUITE_P(Targets, LaneMath,
                         testing::Values("native", "x86-64-v3"));

static constexpr const char *expOp = "%y = math.exp %x : !x";
static constexpr const char *logOp = "%y = math.log %x : !x";
static constexpr const char *tanhOp = "%y = math.tanh %x : !x";
static constexpr const char *erfOp = "%y = math.erf %x : !x";
static constexpr const char *sinOp = "%y = math.sin %x : !x";
static constexpr const char *cosOp = "%y = math.cos %x : !x";

TEST_P(LaneMath, exponential) {
  EXPECT_LT(worstUlp(expOp, sweep(-87, 88.7), std::exp), 2);
  EXPECT_LT(worstUlp(expOp, sweep(-1, 1), std::exp), 2);
  // Denormal results: one step of the denormals.
  EXPECT_LE(worstAbsolute(expOp, sweep(-105, -87), std::exp), 0x1p-149);
  std::vector<double> y = apply(
      expOp, {0, INFINITY, -INFINITY, NAN, 89, -150, 1e30f, -1e30f, -0.0f});
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(y[1], INFINITY);
  EXPECT_EQ(y[2], 0);
  EXPECT_TRUE(std::isnan(y[3]));
  EXPECT_EQ(y[4], INFINITY);
  EXPECT_EQ(y[5], 0);
  EXPECT_EQ(y[6], INFINITY);
  EXPECT_EQ(y[7], 0);
  EXPECT_EQ(y[8], 1);
}

TEST_P(LaneMath, logarithm) {
  EXPECT_LT(worstUlp(logOp, magnitudes(1e-45, 3e38), std::log), 2);
  EXPECT_LT(worstUlp(logOp, sweep(0.25, 4), std::log), 2);
  std::vector<double> y =
      apply(logOp, {1, 0, INFINITY, NAN, -1, 1e-42f, -INFINITY, -0.0f});
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], -INFINITY);
  EXPECT_EQ(y[2], INFINITY);
  EXPECT_TRUE(std::isnan(y[3]));
  EXPECT_TRUE(std::isnan(y[4]));
  EXPECT_NEAR(y[5], std::log(1e-42f), 1e-5);
  EXPECT_TRUE(std::isnan(y[6]));
  EXPECT_EQ(y[7], -INFINITY);
}

TEST_P(LaneMath, hyperbolicTangent) {
  EXPECT_LT(worstUlp(tanhOp, sweep(-12, 12), std::tanh), 3);
  EXPECT_LT(worstUlp(tanhOp, magnitudes(1e-30, 1), std::tanh), 3);
  std::vector<double> y = apply(tanhOp, {INFINITY, -INFINITY, NAN, -0.0f});
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(y[1], -1);
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_TRUE(std::signbit(y[3]));
}

TEST_P(LaneMath, errorFunction) {
  EXPECT_LT(worstAbsolute(erfOp, sweep(-6, 6), std::erf), 1e-7);
  EXPECT_LT(worstUlp(erfOp, magnitudes(1e-30, 1), std::erf), 3);
  std::vector<double> y = apply(erfOp, {INFINITY, -INFINITY, NAN, 100});
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(y[1], -1);
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_EQ(y[3], 1);
}

TEST_P(LaneMath, sineAndCosine) {
  for (double reach : {1.0, 10.0, 1000.0, 1e6}) {
    EXPECT_LT(worstAbsolute(sinOp, sweep(-reach, reach), std::sin), 1e-7);
    EXPECT_LT(worstAbsolute(cosOp, sweep(-reach, reach), std::cos), 1e-7);
  }
  EXPECT_LT(worstUlp(sinOp, magnitudes(1e-30, 0.7), std::sin), 2);
  EXPECT_TRUE(std::isnan(apply(sinOp, {INFINITY})[0]));
  EXPECT_TRUE(std::isnan(apply(cosOp, {NAN})[0]));
}

TEST_P(LaneMath, powers) {
  auto check = [&](const char *exponent, const std::vector<float> &x,
                   double (*exact)(double)) {
    std::string op = llvm::formatv("%c = arith.constant dense<{0}> : !x\n"
                                   "%y = math.powf %x, %c : !x",
                                   exponent);
    EXPECT_LT(worstUlp(op, x, exact), 2) << exponent;
  };
  check("2.0", sweep(-10, 10), [](double x) { return x * x; });
  check("3.0", sweep(-10, 10), [](double x) { return x * x * x; });
  check("-2.0", sweep(0.1, 10), [](double x) { return 1 / (x * x); });
  check("0.5", sweep(0, 10), [](double x) { return std::sqrt(x); });
  check("-0.5", sweep(0.1, 10), [](double x) { return 1 / std::sqrt(x); });
  check("1.7", sweep(0, 100), [](double x) { return std::pow(x, 1.7f); });
  check("-11.0", sweep(-3, 3), [](double x) { return std::pow(x, -11); });
  EXPECT_TRUE(std::isnan(
      apply("%c = arith.constant dense<1.5> : !x\n%y = math.powf %x, %c : !x",
            {-2})[0]));
}

TEST_P(LaneMath, roots) {
  EXPECT_LT(worstUlp("%y = math.rsqrt %x : !x", magnitudes(1e-30, 1e30),
                     [](double x) { return 1 / std::sqrt(x); }),
            1.5);
  EXPECT_LT(
      worstUlp("%y = math.sqrt %x : !x", magnitudes(1e-30, 1e30), std::sqrt),
      0.51);
}

TEST_P(LaneMath, activations) {
  auto geluErf = [](double x) {
    return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  };
  auto geluTanh = [](double x) {
    double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
    return 0.5 * x * (1 + std::tanh(u));
  };
  EXPECT_LT(worstAbsolute("%y = dit.gelu %x approximate = none : !x",
                          sweep(-8, 8), geluErf),
            1e-6);
  EXPECT_LT(worstAbsolute("%y = dit.gelu %x approximate = tanh : !x",
                          sweep(-8, 8), geluTanh),
            1e-6);
  EXPECT_LT(worstUlp("%y = dit.sigmoid %x : !x", sweep(-80, 80),
                     [](double x) { return 1 / (1 + std::exp(-x)); }),
            3);
  std::vector<double> y = apply("%y = dit.gelu %x approximate = tanh : !x",
                                {100, -100, 1e20f, -1e20f});
  EXPECT_EQ(y[0], 100);
  EXPECT_EQ(y[1], 0);
  EXPECT_EQ(y[2], 1e20f);
  EXPECT_EQ(y[3], 0);
}

TEST_P(LaneMath, geluSlopes) {
  auto erfSlope = [](double x) {
    return 0.5 * (1 + std::erf(x / std::sqrt(2.0))) +
           x * std::exp(-x * x / 2) / std::sqrt(2 * M_PI);
  };
  auto tanhSlope = [](double x) {
    double a = std::sqrt(2 / M_PI);
    double t = std::tanh(a * (x + 0.044715 * x * x * x));
    return 0.5 * (1 + t) +
           0.5 * x * (1 - t * t) * a * (1 + 3 * 0.044715 * x * x);
  };
  // Values up to 1.13.
  EXPECT_LT(worstAbsolute("%one = arith.constant dense<1.0> : !x\n"
                          "%y = dit.gelu_grad %x, %one approximate = none : !x",
                          sweep(-8, 8), erfSlope),
            5e-7);
  EXPECT_LT(worstAbsolute("%one = arith.constant dense<1.0> : !x\n"
                          "%y = dit.gelu_grad %x, %one approximate = tanh : !x",
                          sweep(-8, 8), tanhSlope),
            5e-7);
  std::vector<double> y =
      apply("%two = arith.constant dense<2.0> : !x\n"
            "%y = dit.gelu_grad %x, %two approximate = tanh : !x",
            {-1e30, -50, 0, 50, 1e10});
  EXPECT_NEAR(y[0], 0, 1e-30);
  EXPECT_NEAR(y[1], 0, 1e-30);
  EXPECT_EQ(y[2], 1);
  EXPECT_EQ(y[3], 2);
  EXPECT_EQ(y[4], 2);
}

TEST_P(LaneMath, roundingToWholeNumbers) {
  std::vector<float> x = {0.5f,        -0.5f, 1.5f,       2.5f, -2.5f,
                          0.49999997f, -1.2f, 8388609.0f, 1e30f};
  std::vector<double> y = apply("%y = math.round %x : !x", x);
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_EQ(y[i], std::round(x[i])) << x[i];
}

TEST_P(LaneMath, doublePrecision) {
  EXPECT_LT(worstAbsolute(sinOp, sweep(-1e6, 1e6), std::sin, "f64"), 1e-15);
  EXPECT_LT(worstAbsolute(cosOp, sweep(-1e6, 1e6), std::cos, "f64"), 1e-15);
  EXPECT_LT(worstAbsolute(expOp, sweep(-700, 1), std::exp, "f64"), 1e-15);
  EXPECT_LT(worstAbsolute(logOp, sweep(1e-3, 1e3), std::log, "f64"), 2e-15);
  EXPECT_LT(worstAbsolute(tanhOp, sweep(-20, 20), std::tanh, "f64"), 1e-15);
}
