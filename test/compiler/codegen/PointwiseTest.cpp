//===- PointwiseTest.cpp - Elementwise kernels and views ------------------===//
#include "test/compiler/codegen/KernelHarness.h"

#include "llvm/Support/FormatVariadic.h"

using namespace dit::codegen;

/// fp32 results of a few roundings.
static constexpr double single = 1e-6;

namespace {
/// Every kernel is run for each of these: 16 and 8 lanes.
class Pointwise : public testing::TestWithParam<const char *> {
protected:
  void check(const std::string &kernel, double tolerance = single,
             int64_t rowsPerBlock = 3) {
    CompiledKernel compiled(kernel, GetParam(), rowsPerBlock);
    compiled.fillRandomly(7);
    compiled.check(tolerance);
  }
};
} // namespace
INSTANTIATE_TEST_SUITE_P(Targets, Pointwise,
                         testing::Values("native", "x86-64-v4", "x86-64-v3"));

TEST_P(Pointwise, lanesOfEveryLength) {
  for (int64_t lane : {1, 2, 3, 7, 8, 15, 16, 17, 33, 72, 200, 1152, 4608})
    for (int64_t rows : {1, 5, 49}) {
      SCOPED_TRACE(llvm::formatv("{0} x {1}", rows, lane).str());
      check(llvm::formatv(R"(
!x = tensor<{0}x{1}xf32>
%0 = space = [{0}, {1}] (%x0, %x1) : (!x, !x) -> !x {{
  ^bb0(%a: !x, %b: !x):
    %m = arith.mulf %a, %b : !x
    %s = arith.subf %m, %a : !x
    dit.yield %s : !x
  })",
                          rows, lane)
                .str());
    }
}

TEST_P(Pointwise, broadcastsOfEveryKind) {
  for (int64_t lane : {7, 40, 192})
    check(llvm::formatv(R"(
!x = tensor<3x5x{0}xf32>
!sample = tensor<3x{0}xf32>
!token = tensor<5xf32>
!lane = tensor<{0}xf32>
!one = tensor<f32>
%0 = space = [3, 5, {0}] (%x0, %x1, %x2, %x3, %x4) : (!x, !sample, !token, !lane, !one) -> !x {{
  ^bb0(%x: !x, %s: !sample, %t: !token, %l: !lane, %o: !one):
    %bs = dit.broadcast %s dims = [0, 2] : !sample -> !x
    %bt = dit.broadcast %t dims = [1] : !token -> !x
    %bl = dit.broadcast %l dims = [2] : !lane -> !x
    %bo = dit.broadcast %o dims = [] : !one -> !x
    %0 = arith.mulf %x, %bs : !x
    %1 = arith.addf %0, %bt : !x
    %2 = arith.mulf %1, %bl : !x
    %3 = arith.addf %2, %bo : !x
    dit.yield %3 : !x
  })",
                        lane)
              .str());
}

TEST_P(Pointwise, slicesAndConcatenations) {
  // Chunks of one row, put together in another order, over the lane.
  check(R"(
!x = tensor<5x96xf32>
!c = tensor<5x32xf32>
!s = tensor<5x20xf32>
%0 = space = [5, 84] (%x0) : (!x) -> tensor<5x84xf32> {
  ^bb0(%x: !x):
    %a = tensor.extract_slice %x[0, 0] [5, 32] [1, 1] : !x to !c
    %b = tensor.extract_slice %x[0, 64] [5, 32] [1, 1] : !x to !c
    %d = tensor.extract_slice %x[0, 1] [5, 20] [1, 3] : !x to !s
    %n = arith.negf %b : !c
    %y = tensor.concat dim(1) %n, %d, %a : (!c, !s, !c) -> tensor<5x84xf32>
    dit.yield %y : tensor<5x84xf32>
  })");
  // Over rows, and a slice that drops a dimension.
  check(R"(
!x = tensor<2x3x24xf32>
!y = tensor<2x5x24xf32>
!r = tensor<2x24xf32>
%0 = space = [2, 4, 24] (%x0, %x1) : (!x, !y) -> tensor<2x4x24xf32> {
  ^bb0(%x: !x, %y: !y):
    %r = tensor.extract_slice %y[0, 4, 0] [2, 1, 24] [1, 1, 1] : !y to !r
    %e = tensor.expand_shape %r [[0], [1, 2]] output_shape [2, 1, 24] : !r into tensor<2x1x24xf32>
    %z = tensor.concat dim(1) %e, %x : (tensor<2x1x24xf32>, !x) -> tensor<2x4x24xf32>
    dit.yield %z : tensor<2x4x24xf32>
  })");
  // More pieces than loops are cut into.
  check(R"(
!x = tensor<3x2xf32>
%0 = space = [3, 20] (%x0, %x1) : (!x, !x) -> tensor<3x20xf32> {
  ^bb0(%x: !x, %y: !x):
    %z = tensor.concat dim(1) %x, %y, %x, %y, %y, %x, %x, %x, %y, %x : (!x, !x, !x, !x, !x, !x, !x, !x, !x, !x) -> tensor<3x20xf32>
    dit.yield %z : tensor<3x20xf32>
  })");
}

TEST_P(Pointwise, transposes) {
  check(R"(
!x = tensor<4x6x40xf32>
%0 = space = [6, 4, 40] (%x0) : (!x) -> tensor<6x4x40xf32> {
  ^bb0(%x: !x):
    %t = dit.transpose %x permutation = [1, 0, 2] : !x
    dit.yield %t : tensor<6x4x40xf32>
  })");
  check(R"(
!x = tensor<4x6x40xf32>
%0 = space = [40, 6, 4] (%x0) : (!x) -> tensor<40x6x4xf32> {
  ^bb0(%x: !x):
    %t = dit.transpose %x permutation = [2, 1, 0] : !x
    %e = math.exp %t : tensor<40x6x4xf32>
    dit.yield %e : tensor<40x6x4xf32>
  })");
}

TEST_P(Pointwise, patchify) {
  // [B, C, H, W] to [B, h·w, C·p·p], the layout of a convolution's weight.
  check(R"(
!x = tensor<2x3x8x8xf32>
!e = tensor<2x3x4x2x4x2xf32>
!t = tensor<2x4x4x3x2x2xf32>
!y = tensor<2x16x12xf32>
%0 = space = [2, 16, 12] (%x0) : (!x) -> !y {
  ^bb0(%x: !x):
    %e = tensor.expand_shape %x [[0], [1], [2, 3], [4, 5]] output_shape [2, 3, 4, 2, 4, 2] : !x into !e
    %t = dit.transpose %e permutation = [0, 2, 4, 1, 3, 5] : !e
    %y = tensor.collapse_shape %t [[0], [1, 2], [3, 4, 5]] : !t into !y
    dit.yield %y : !y
  })");
}

TEST_P(Pointwise, unpatchify) {
  for (int64_t width : {8, 40})
    check(llvm::formatv(R"(
!y = tensor<2x{1}x12xf32>
!e = tensor<2x4x{2}x2x2x3xf32>
!t = tensor<2x3x4x2x{2}x2xf32>
!x = tensor<2x3x8x{0}xf32>
%0 = space = [2, 3, 8, {0}] (%x0) : (!y) -> !x {{
  ^bb0(%y: !y):
    %e = tensor.expand_shape %y [[0], [1, 2], [3, 4, 5]] output_shape [2, 4, {2}, 2, 2, 3] : !y into !e
    %t = dit.transpose %e permutation = [0, 5, 1, 3, 2, 4] : !e
    %x = tensor.collapse_shape %t [[0], [1], [2, 3], [4, 5]] : !t into !x
    dit.yield %x : !x
  })",
                        width, 2 * width, width / 2)
              .str());
}

TEST_P(Pointwise, rotationOfPairsAndOfHalves) {
  check(R"(
!x = tensor<2x5x3x24xf32>
!p = tensor<2x5x3x12x2xf32>
!h = tensor<2x5x3x12x1xf32>
!a = tensor<5x12xf32>
!v = tensor<2x5x3x12xf32>
%0 = space = [2, 5, 3, 24] (%x0, %x1) : (!x, !a) -> !x {
  ^bb0(%x: !x, %angle: !a):
    %p = tensor.expand_shape %x [[0], [1], [2], [3, 4]] output_shape [2, 5, 3, 12, 2] : !x into !p
    %re = tensor.extract_slice %p[0, 0, 0, 0, 0] [2, 5, 3, 12, 1] [1, 1, 1, 1, 1] : !p to !v
    %im = tensor.extract_slice %p[0, 0, 0, 0, 1] [2, 5, 3, 12, 1] [1, 1, 1, 1, 1] : !p to !v
    %c0 = math.cos %angle : !a
    %s0 = math.sin %angle : !a
    %c = dit.broadcast %c0 dims = [1, 3] : !a -> !v
    %s = dit.broadcast %s0 dims = [1, 3] : !a -> !v
    %rc = arith.mulf %re, %c : !v
    %is = arith.mulf %im, %s : !v
    %rs = arith.mulf %re, %s : !v
    %ic = arith.mulf %im, %c : !v
    %r = arith.subf %rc, %is : !v
    %i = arith.addf %rs, %ic : !v
    %r1 = tensor.expand_shape %r [[0], [1], [2], [3, 4]] output_shape [2, 5, 3, 12, 1] : !v into !h
    %i1 = tensor.expand_shape %i [[0], [1], [2], [3, 4]] output_shape [2, 5, 3, 12, 1] : !v into !h
    %y = tensor.concat dim(4) %r1, %i1 : (!h, !h) -> !p
    %z = tensor.collapse_shape %y [[0], [1], [2], [3, 4]] : !p into !x
    dit.yield %z : !x
  })");
  check(R"(
!x = tensor<10x40xf32>
!h = tensor<10x20xf32>
%0 = space = [10, 40] (%x0, %x1, %x2) : (!x, !x, !x) -> !x {
  ^bb0(%x: !x, %c: !x, %s: !x):
    %a = tensor.extract_slice %x[0, 0] [10, 20] [1, 1] : !x to !h
    %b = tensor.extract_slice %x[0, 20] [10, 20] [1, 1] : !x to !h
    %n = arith.negf %b : !h
    %r = tensor.concat dim(1) %n, %a : (!h, !h) -> !x
    %xc = arith.mulf %x, %c : !x
    %rs = arith.mulf %r, %s : !x
    %y = arith.addf %xc, %rs : !x
    dit.yield %y : !x
  })");
}

TEST_P(Pointwise, rowsOfATable) {
  // Indices from -2 (from the end) to 10 (clamped), a table of 7.
  check(R"(
!t = tensor<7x40xf32>
!y = tensor<6x40xf32>
%0 = space = [6, 40] (%x0, %x1) : (!t, tensor<6xi64>) -> !y {
  ^bb0(%t: !t, %i: tensor<6xi64>):
    %g = dit.gather %t, %i : !t, tensor<6xi64>
    %y = arith.addf %g, %g : !y
    dit.yield %y : !y
  })");
  // A look-up for every lane.
  check(R"(
!t = tensor<7xf32>
!i = tensor<6x40xi32>
!y = tensor<6x40xf32>
%0 = space = [6, 40] (%x0, %x1) : (!t, !i) -> !y {
  ^bb0(%t: !t, %i: !i):
    %y = dit.gather %t, %i : !t, !i
    dit.yield %y : !y
  })");
}

TEST_P(Pointwise, constantsWithManyValues) {
  check(R"(
!x = tensor<3x4xf32>
!m = tensor<4xi1>
%0 = space = [3, 4] (%x0) : (!x) -> !x {
  ^bb0(%x: !x):
    %c = arith.constant dense<[1.0, -2.0, 3.5, 0.25]> : tensor<4xf32>
    %m = arith.constant dense<[true, false, false, true]> : !m
    %b = dit.broadcast %c dims = [1] : tensor<4xf32> -> !x
    %n = dit.broadcast %m dims = [1] : !m -> tensor<3x4xi1>
    %p = arith.mulf %x, %b : !x
    %y = arith.select %n, %p, %x : tensor<3x4xi1>, !x
    dit.yield %y : !x
  })");
}

TEST_P(Pointwise, integersAndBooleans) {
  check(R"(
!i = tensor<5x21xi64>
!f = tensor<5x21xf32>
!b = tensor<5x21xi1>
%0:3 = space = [5, 21] (%x0, %x1, %x2) : (!i, !f, !b) -> (!i, !b, !f) {
  ^bb0(%i: !i, %f: !f, %b: !b):
    %three = arith.constant dense<3> : !i
    %q = arith.divsi %i, %three : !i
    %r = arith.remsi %i, %three : !i
    %s = arith.addi %q, %r : !i
    %zero = arith.constant dense<0.0> : !f
    %c = arith.cmpf ogt, %f, %zero : !f
    %d = arith.cmpi slt, %r, %three : !i
    %e = arith.select %b, %c, %d : !b, !b
    %g = arith.sitofp %s : !i to !f
    %h = arith.uitofp %b : !b to !f
    %k = arith.addf %g, %h : !f
    %t = arith.fptosi %f : !f to !i
    %u = arith.addi %s, %t : !i
    dit.yield %u, %e, %k : !i, !b, !f
  })");
}

TEST_P(Pointwise, narrowTypesRoundAfterEveryOp) {
  for (const char *type : {"bf16", "f16"})
    for (int64_t lane : {16, 21})
      check(llvm::formatv(R"(
!x = tensor<6x{1}x{0}>
!w = tensor<6x{1}xf32>
%0:2 = space = [6, {1}] (%x0, %x1, %x2) : (!x, !x, !w) -> (!x, !w) {{
  ^bb0(%a: !x, %b: !x, %c: !w):
    %m = arith.mulf %a, %b : !x
    %s = arith.addf %m, %a : !x
    %t = arith.truncf %c : !w to !x
    %u = arith.addf %s, %t : !x
    %v = arith.extf %u : !x to !w
    %r = arith.truncf %c : !w to !x
    %e = arith.extf %r : !x to !w
    %y = arith.addf %v, %e : !w
    dit.yield %u, %y : !x, !w
  })",
                          type, lane)
                .str(),
            /*tolerance=*/0);
}

// What is rounded to one type may be a result of another: of fp32, or of the
// other narrow type.
TEST_P(Pointwise, roundedValuesAreResults) {
  for (auto [type, other] :
       {std::pair("bf16", "f16"), std::pair("f16", "bf16")})
    check(llvm::formatv(R"(
!x = tensor<6x16x{0}>
!o = tensor<6x16x{1}>
!w = tensor<6x16xf32>
%0:3 = space = [6, 16] (%x0) : (!w) -> (!x, !w, !o) {{
  ^bb0(%c: !w):
    %t = arith.truncf %c : !w to !x
    %e = arith.extf %t : !x to !w
    %u = arith.truncf %e : !w to !o
    dit.yield %t, %e, %u : !x, !w, !o
  })",
                        type, other)
              .str(),
          /*tolerance=*/0);
}

TEST_P(Pointwise, roundingOfSpecialValues) {
  CompiledKernel kernel(R"(
!x = tensor<1x8xf32>
!y = tensor<1x8xbf16>
%0 = space = [1, 8] (%x0) : (!x) -> !y {
  ^bb0(%x: !x):
    %y = arith.truncf %x : !x to !y
    dit.yield %y : !y
  })",
                        GetParam());
  // Ties go to even; the largest fp32 becomes infinite; NaN stays.
  kernel.fill(0, {1.00390625f, 1.01171875f, 3.4028235e38f, INFINITY, -INFINITY,
                  NAN, -0.0f, 1.0f});
  kernel.run();
  std::vector<double> result = kernel.result(0);
  EXPECT_EQ(result[0], 1.0);
  EXPECT_EQ(result[1], 1.015625);
  EXPECT_EQ(result[2], INFINITY);
  EXPECT_EQ(result[3], INFINITY);
  EXPECT_EQ(result[4], -INFINITY);
  EXPECT_TRUE(std::isnan(result[5]));
  EXPECT_TRUE(std::signbit(result[6]));
  EXPECT_EQ(result[7], 1.0);
}

TEST_P(Pointwise, resultInPlaceOfAnInput) {
  CompiledKernel kernel(R"(
!x = tensor<9x50xf32>
%0 = space = [9, 50] (%x0, %x1) : (!x, !x) -> !x {
  ^bb0(%a: !x, %b: !x):
    %m = arith.mulf %a, %b : !x
    %s = arith.addf %m, %a : !x
    dit.yield %s : !x
  })",
                        GetParam());
  kernel.fillRandomly(3);
  kernel.run();
  std::vector<double> apart = kernel.result(0);
  kernel.runInPlace(/*input=*/0, /*result=*/0);
  EXPECT_EQ(kernel.numbers(0), apart);
}

TEST_P(Pointwise, doublePrecision) {
  check(R"(
!x = tensor<5x19xf64>
!y = tensor<5x19xf32>
%0:2 = space = [5, 19] (%x0, %x1) : (!x, !y) -> (!x, !y) {
  ^bb0(%x: !x, %y: !y):
    %k = arith.constant dense<1000.0> : !x
    %t = arith.mulf %x, %k : !x
    %c = math.cos %t : !x
    %s = math.sin %t : !x
    %e = math.exp %x : !x
    %a = math.absf %t : !x
    %l = math.log %a : !x
    %w = arith.extf %y : !y to !x
    %p = arith.mulf %s, %w : !x
    %0 = arith.addf %c, %e : !x
    %1 = arith.addf %0, %l : !x
    %2 = arith.addf %1, %p : !x
    %3 = arith.truncf %s : !x to !y
    dit.yield %2, %3 : !x, !y
  })",
        /*tolerance=*/1e-7);
}

TEST_P(Pointwise, randomNumbers) {
  for (const char *distribution : {"normal", "uniform"})
    for (int64_t width : {3, 32})
      check(llvm::formatv(R"(
!n = tensor<1xi64>
!p = tensor<3xi64>
!z = tensor<3x2x5x{1}xf32>
%0 = space = [3, 2, 5, {1}] (%x0, %x1, %x2) : (!n, !n, !p) -> !z {{
  ^bb0(%seed: !n, %step: !n, %pictures: !p):
    %z = dit.random {0} stream = 1 at (%seed, %step, %pictures) : !n, !n, !p -> !z
    dit.yield %z : !z
  })",
                          distribution, width)
                .str());
}
