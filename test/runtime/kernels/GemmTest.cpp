//===- GemmTest.cpp - The GEMM against a loop in double -------------------===//
//
// Tolerance: operands are in [-1, 1], so a sum of k products is off by at most
// k 2^-24 from fp32 addition (and the bf16 dot product adds pairs, no worse);
// activations have slope at most 1.2 and add 1e-6 of their own, or 1e-4
// relative where C has 8 bits and the exponential a lower degree; storing adds
// the rounding of C's type.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/gemm/Gemm.h"
#include "test/runtime/kernels/KernelData.h"

#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace dit::runtime;
using namespace dit::test;
using dit::plan::ElementType;
using dit::plan::PanelLayout;

namespace {

constexpr ElementType F32 = ElementType::F32, F16 = ElementType::F16,
                      BF16 = ElementType::BF16;

double activate(Activation activation, double x) {
  switch (activation) {
  case Activation::Identity:
    return x;
  case Activation::GeluTanh:
    return 0.5 * x *
           (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  case Activation::GeluErf:
    return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  case Activation::Silu:
    return x / (1 + std::exp(-x));
  }
  return NAN;
}

/// Operands of one product, and the product by loops.
struct Problem {
  GemmShape shape;
  Array a, b, bias, gate, residual, start;
  bool hasBias = false;

  /// Sets strides for `rows` of `columns` with a gap, if `gap`.
  explicit Problem(GemmShape given, unsigned seed, bool hasBias = false,
                   int64_t gap = 0)
      : shape(given), hasBias(hasBias) {
    std::mt19937 generator(seed);
    shape.lda = (shape.transposeA ? shape.m : shape.k) + gap;
    shape.ldb = (shape.transposeB ? shape.k : shape.n) + gap;
    shape.ldc = shape.n + gap;
    shape.strideA = shape.lda * (shape.transposeA ? shape.k : shape.m) + gap;
    shape.strideB = shape.ldb * (shape.transposeB ? shape.n : shape.k) + gap;
    shape.strideC = shape.ldc * shape.m + gap;
    a = Array::random(shape.aType, shape.batch * shape.strideA, generator);
    if (shape.packed.isPacked()) {
      shape.ldb = shape.k;
      shape.strideB = packedElements(shape.packed, shape.n, shape.k);
      b = Array(shape.bType, shape.batch * shape.strideB);
      source = Array::random(F32, shape.batch * shape.n * shape.k, generator);
      for (int64_t i = 0; i != shape.batch; ++i)
        packPanels(shape.packed, shape.n, shape.k, F32,
                   source.at(i * shape.n * shape.k), shape.k, shape.bType,
                   b.at(i * shape.strideB));
    } else {
      b = Array::random(shape.bType, shape.batch * shape.strideB, generator);
    }
    bias = Array::random(shape.biasType, shape.n, generator);
    if (shape.rowsPerGate) {
      shape.gateStride = shape.n + 5;
      gate = Array::random(shape.gateType,
                           ((shape.m - 1) / shape.rowsPerGate + 1) *
                               shape.gateStride,
                           generator);
    }
    if (shape.residualStride) {
      shape.residualStride = shape.n + 3;
      residual = Array::random(shape.cType,
                               (shape.batch - 1) * shape.strideC +
                                   shape.m * shape.residualStride,
                               generator);
    }
    start =
        shape.beta != 0
            ? Array::random(shape.cType, shape.batch * shape.strideC, generator)
            : Array::poison(shape.cType, shape.batch * shape.strideC);
  }

  int64_t indexOfA(int64_t batch, int64_t row, int64_t k) const {
    return batch * shape.strideA +
           (shape.transposeA ? k * shape.lda + row : row * shape.lda + k);
  }
  int64_t indexOfB(int64_t batch, int64_t k, int64_t column) const {
    if (shape.packed.isPacked())
      return batch * shape.strideB +
             packedIndex(shape.packed, shape.k, column, k);
    return batch * shape.strideB +
           (shape.transposeB ? column * shape.ldb + k : k * shape.ldb + column);
  }
  /// All of A B, in double: [batch, m, n].
  std::vector<double> products() const {
    const std::vector<double> as = a.doubles(), bs = b.doubles();
    std::vector<double> sums;
    std::vector<double> column(static_cast<size_t>(shape.k));
    sums.resize(static_cast<size_t>(shape.batch * shape.m * shape.n));
    for (int64_t batch = 0; batch != shape.batch; ++batch)
      for (int64_t n = 0; n != shape.n; ++n) {
        for (int64_t k = 0; k != shape.k; ++k)
          column[static_cast<size_t>(k)] =
              bs[static_cast<size_t>(indexOfB(batch, k, n))];
        for (int64_t m = 0; m != shape.m; ++m) {
          double sum = 0;
          for (int64_t k = 0; k != shape.k; ++k)
            sum += as[static_cast<size_t>(indexOfA(batch, m, k))] *
                   column[static_cast<size_t>(k)];
          sums[static_cast<size_t>((batch * shape.m + m) * shape.n + n)] = sum;
        }
      }
    return sums;
  }
  /// The value of C for a sum, and how far from it C may be.
  std::pair<double, double> expected(double sum, int64_t batch, int64_t row,
                                     int64_t column) const {
    if (hasBias)
      sum += bias[column];
    double value = activate(shape.activation, sum);
    if (shape.rowsPerGate)
      value *= gate[row / shape.rowsPerGate * shape.gateStride + column];
    // The activation's own error is relative to it, whatever is added.
    double tolerance = 1.2 * static_cast<double>(shape.k) * 0x1p-24 + 2e-6 +
                       std::abs(value) * (shape.cType == BF16 ? 1e-4 : 4e-6);
    if (shape.residualStride)
      value +=
          residual[batch * shape.strideC + row * shape.residualStride + column];
    if (shape.beta != 0)
      value +=
          shape.beta * start[batch * shape.strideC + row * shape.ldc + column];
    return {value, tolerance + std::abs(value) * roundingOf(shape.cType)};
  }

  Array run(InstructionSet set, int64_t step) const {
    llvm::Expected<GemmKernel> kernel = GemmKernel::create(shape, set);
    if (!kernel) {
      ADD_FAILURE() << llvm::toString(kernel.takeError());
      return start;
    }
    Array c = start;
    GemmPointers pointers;
    pointers.a = a.data();
    pointers.b = b.data();
    pointers.c = c.data();
    pointers.bias = hasBias ? bias.data() : nullptr;
    pointers.gate = shape.rowsPerGate ? gate.data() : nullptr;
    pointers.residual = shape.residualStride ? residual.data() : nullptr;
    runInSteps(*kernel, pointers, step ? step : kernel->blocks());
    return c;
  }

  /// Runs whole and in small steps: right numbers, the same bits, and not a
  /// byte written between the rows.
  void check(InstructionSet set = hostInstructionSet()) const {
    Array c = run(set, 0);
    const std::vector<double> sums = products();
    int64_t wrong = 0;
    for (int64_t i = 0; i != c.size(); ++i) {
      int64_t batch = i / shape.strideC, row = i % shape.strideC / shape.ldc,
              column = i % shape.strideC % shape.ldc;
      if (row >= shape.m || column >= shape.n) {
        wrong += std::memcmp(c.at(i), start.at(i),
                             dit::plan::elementBytes(shape.cType)) != 0;
        continue;
      }
      double sum =
          sums[static_cast<size_t>((batch * shape.m + row) * shape.n + column)];
      auto [want, tolerance] = expected(sum, batch, row, column);
      if (!(std::abs(c[i] - want) <= tolerance) && ++wrong <= 3)
        ADD_FAILURE() << describe() << " at [" << batch << ", " << row << ", "
                      << column << "]: " << c[i] << ", expected " << want;
    }
    EXPECT_EQ(wrong, 0) << describe();
    EXPECT_TRUE(run(set, 1) == c) << describe() << ", one block at a time";
    EXPECT_TRUE(run(set, 3) == c) << describe() << ", three blocks at a time";
  }

  std::string describe() const {
    std::string text;
    llvm::raw_string_ostream(text)
        << "m " << shape.m << " n " << shape.n << " k " << shape.k << " batch "
        << shape.batch << " " << elementName(shape.aType) << " -> "
        << elementName(shape.cType) << " columns " << shape.packed.columns
        << " vnni " << shape.packed.vnni << (shape.transposeA ? " A^T" : "")
        << (shape.transposeB ? " B^T" : "") << " activation "
        << static_cast<int>(shape.activation);
    return text;
  }

private:
  Array source;
};

GemmShape shapeOf(int64_t m, int64_t n, int64_t k, ElementType type,
                  ElementType cType, PanelLayout packed) {
  GemmShape shape;
  shape.m = m;
  shape.n = n;
  shape.k = k;
  shape.aType = shape.bType = type;
  shape.cType = cType;
  shape.packed = packed;
  return shape;
}

TEST(Gemm, PackedShapesOfEveryType) {
  for (int64_t m : {1, 3, 49, 64, 130})
    for (int64_t n : {8, 16, 72, 200})
      for (int64_t k : {1, 7, 16, 256})
        for (ElementType type : {F32, F16, BF16})
          Problem(
              shapeOf(m, n, k, type, type, dit::plan::fastPanelLayout(type)),
              static_cast<unsigned>(m * n + k))
              .check();
}

TEST(Gemm, LargeShapes) {
  for (ElementType type : {F32, F16, BF16}) {
    PanelLayout packed = dit::plan::fastPanelLayout(type);
    Problem(shapeOf(256, 200, 1152, type, F32, packed), 1, true).check();
    // Several chunks of k, the last one shorter.
    Problem(shapeOf(17, 40, 9010, type, F32, packed), 2).check();
    Problem(shapeOf(3, 1152, 384, type, type, packed), 3, true).check();
    // Several groups of row tiles.
    Problem(shapeOf(1300, 70, 300, type, F32, packed), 4).check();
  }
}

TEST(Gemm, EveryInstructionSet) {
  for (InstructionSet set : instructionSets())
    for (ElementType type : {F32, F16, BF16})
      for (ElementType cType : {F32, type})
        for (int64_t columns : {32, 64}) {
          PanelLayout packed = dit::plan::fastPanelLayout(type);
          packed.columns = columns;
          GemmShape shape = shapeOf(70, 77, 64, type, cType, packed);
          shape.activation = Activation::GeluTanh;
          shape.biasType = type;
          Problem(shape, 5, true).check(set);
        }
}

TEST(Gemm, Epilogues) {
  unsigned seed = 0;
  for (InstructionSet set : instructionSets())
    for (ElementType type : {F32, F16, BF16})
      for (int activation : {0, 1, 2, 3})
        for (int parts = 0; parts != 16; ++parts) {
          GemmShape shape =
              shapeOf(67, 45, 24, type, type, dit::plan::fastPanelLayout(type));
          shape.activation = static_cast<Activation>(activation);
          shape.rowsPerGate = parts & 2 ? 16 : 0;
          shape.gateType = parts & 1 ? F32 : type;
          shape.residualStride = parts & 4 ? 1 : 0;
          shape.beta = parts & 8 ? (parts & 4 ? 1.0f : -0.5f) : 0.0f;
          Problem(shape, ++seed, parts & 1, 3).check(set);
        }
}

TEST(Gemm, ResidualMayBeC) {
  GemmShape shape = shapeOf(70, 40, 32, F32, F32, {32, 1});
  shape.residualStride = 1;
  Problem problem(shape, 7, true);
  Array separate = problem.run(hostInstructionSet(), 0);
  problem.shape.residualStride = problem.shape.ldc;
  Array c(F32, problem.start.size());
  for (int64_t row = 0; row != shape.m; ++row)
    for (int64_t column = 0; column != shape.n; ++column)
      c.set(row * problem.shape.ldc + column,
            problem.residual[row * (shape.n + 3) + column]);
  llvm::Expected<GemmKernel> kernel = GemmKernel::create(problem.shape);
  ASSERT_TRUE(bool(kernel));
  GemmPointers pointers;
  pointers.a = problem.a.data();
  pointers.b = problem.b.data();
  pointers.bias = problem.bias.data();
  pointers.c = c.data();
  pointers.residual = c.data();
  runInSteps(*kernel, pointers, 1);
  EXPECT_TRUE(c == separate);
}

TEST(Gemm, RowMajorAndTransposedOperands) {
  unsigned seed = 100;
  for (InstructionSet set : instructionSets())
    for (ElementType type : {F32, F16, BF16})
      for (bool transposeA : {false, true})
        for (bool transposeB : {false, true})
          for (int64_t k : {5, 50}) {
            GemmShape shape = shapeOf(75, 41, k, type, F32, {});
            shape.batch = 3;
            shape.transposeA = transposeA;
            shape.transposeB = transposeB;
            Problem(shape, ++seed, true, 1).check(set);
          }
}

TEST(Gemm, BatchesWithGateAndResidual) {
  GemmShape shape = shapeOf(20, 40, 16, F32, F32, {});
  shape.batch = 3;
  shape.rowsPerGate = 5;
  shape.residualStride = 1;
  Problem(shape, 8, true, 2).check();
}

TEST(Gemm, RowsMayBeBroadcast) {
  for (ElementType type : {F32, BF16})
    for (int64_t m : {1, 70}) {
      GemmShape shape =
          shapeOf(m, 40, 16, type, F32, dit::plan::fastPanelLayout(type));
      Problem problem(shape, 9);
      problem.shape.lda = 0;
      problem.check();
    }
}

TEST(Gemm, BatchesMayShareAnOperand) {
  for (ElementType type : {F32, BF16}) {
    GemmShape shape = shapeOf(20, 40, 16, type, F32, {});
    shape.batch = 2;
    Problem problem(shape, 9);
    problem.shape.strideB = 0;
    problem.check();
  }
}

// The sums of one row must not depend on how many rows there are, so that a
// picture does not depend on its batch.
TEST(Gemm, RowsDoNotDependOnTheNumberOfRows) {
  for (ElementType type : {F32, F16, BF16})
    for (int64_t k : {192, 384, 5000}) {
      PanelLayout packed = dit::plan::fastPanelLayout(type);
      Problem all(shapeOf(150, 64, k, type, F32, packed), 11);
      Array whole = all.run(hostInstructionSet(), 0);
      for (int64_t m : {1, 2, 5, 13, 64, 100}) {
        Problem few(all.shape, 11);
        few.shape.m = m;
        Array part = few.run(hostInstructionSet(), 0);
        EXPECT_EQ(std::memcmp(part.data(), whole.data(),
                              static_cast<size_t>(m * 64 * 4)),
                  0)
            << "m " << m << " k " << k << " " << elementName(type);
      }
    }
}

TEST(Gemm, ActivationsAreExactToTheBitsOfFp32) {
  // K = 1 and A = 1: the sums are B's elements.
  const int64_t n = 40000;
  for (InstructionSet set : instructionSets())
    for (Activation activation :
         {Activation::GeluTanh, Activation::GeluErf, Activation::Silu}) {
      GemmShape shape = shapeOf(1, n, 1, F32, F32, {});
      shape.activation = activation;
      Problem problem(shape, 1);
      problem.a.set(0, 1);
      for (int64_t i = 0; i != n; ++i)
        problem.b.set(i, (static_cast<double>(i) - n / 2) * 1e-3);
      Array c = problem.run(set, 0);
      double worst = 0;
      for (int64_t i = 0; i != n; ++i) {
        double want = activate(activation, problem.b[i]);
        worst = std::max(worst, std::abs(c[i] - want) / (1 + std::abs(want)));
      }
      EXPECT_LT(worst, activation == Activation::GeluErf ? 1.3e-6 : 8e-7)
          << static_cast<int>(activation);
      // Far out: no overflow, no NaN.
      problem.b.set(0, -1e20);
      problem.b.set(1, 1e20);
      problem.b.set(2, NAN);
      c = problem.run(set, 0);
      EXPECT_NEAR(c[0], 0, 1.3e-6);
      EXPECT_NEAR(c[1] / problem.b[1], 1, 2e-7);
      EXPECT_TRUE(std::isnan(c[2]));
    }
}

std::string errorOf(const GemmShape &shape) {
  llvm::Expected<GemmKernel> kernel = GemmKernel::create(shape);
  return kernel ? "" : llvm::toString(kernel.takeError());
}

TEST(Gemm, Errors) {
  GemmShape good = shapeOf(4, 4, 4, F32, F32, {});
  good.lda = good.ldb = good.ldc = 4;
  EXPECT_EQ(errorOf(good), "");
  GemmShape shape = good;
  shape.k = 0;
  EXPECT_EQ(errorOf(shape), "gemm of m 4, n 4, k 0: sizes must be positive");
  shape = good;
  shape.bType = BF16;
  EXPECT_EQ(errorOf(shape), "gemm of m 4, n 4, k 4: A is f32 and B bf16, but "
                            "both must be f32, both f16 or both bf16");
  shape = good;
  shape.cType = ElementType::I64;
  EXPECT_EQ(errorOf(shape), "gemm of m 4, n 4, k 4: C, bias and gate must be "
                            "f32, f16 or bf16, not i64");
  shape = good;
  shape.packed = {48, 1};
  EXPECT_EQ(errorOf(shape), "gemm of m 4, n 4, k 4: panels of 48 columns; they "
                            "must have 32 or 64");
  shape.packed = {32, 2};
  EXPECT_EQ(errorOf(shape), "gemm of m 4, n 4, k 4: groups of 2 k in a panel; "
                            "there must be 1, or 2 for bf16");
}

} // namespace
