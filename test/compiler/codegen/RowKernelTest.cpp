//===- RowKernelTest.cpp - Kernels with reductions along their rows -------===//
#include "test/compiler/codegen/KernelHarness.h"

#include "llvm/Support/FormatVariadic.h"

using namespace dit::codegen;

/// Sums of many fp32 numbers around 1.
static constexpr double sums = 1e-5;

namespace {
struct Shape {
  int64_t batch, tokens, lane;
};

/// {0}, {1}, {2}: batch, tokens, lane; {3}: element type.
std::string layerNormModulate(Shape shape, const char *type) {
  return llvm::formatv(
             R"(%0:2 = space = [{0}, {1}, {2}] (%x0, %x1, %x2, %x3, %x4) : (tensor<{0}x{1}x{2}x{3}>, tensor<{0}x{1}x{2}x{3}>, tensor<{0}x{2}x{3}>, tensor<{0}x{2}x{3}>, tensor<{0}x{2}x{3}>) -> (tensor<{0}x{1}x{2}x{3}>, tensor<{0}x{1}x{2}x{3}>) {{
  ^bb0(%x: tensor<{0}x{1}x{2}x{3}>, %p: tensor<{0}x{1}x{2}x{3}>, %g: tensor<{0}x{2}x{3}>, %s: tensor<{0}x{2}x{3}>, %t: tensor<{0}x{2}x{3}>):
    %gate = dit.broadcast %g dims = [0, 2] : tensor<{0}x{2}x{3}> -> tensor<{0}x{1}x{2}x{3}>
    %gp = arith.mulf %gate, %p : tensor<{0}x{1}x{2}x{3}>
    %y = arith.addf %x, %gp : tensor<{0}x{1}x{2}x{3}>
    %n, %mean, %rstd = dit.layer_norm %y eps = 1.0e-6 : tensor<{0}x{1}x{2}x{3}>
    %one = arith.constant dense<1.0> : tensor<{0}x{2}x{3}>
    %s1 = arith.addf %s, %one : tensor<{0}x{2}x{3}>
    %scale = dit.broadcast %s1 dims = [0, 2] : tensor<{0}x{2}x{3}> -> tensor<{0}x{1}x{2}x{3}>
    %shift = dit.broadcast %t dims = [0, 2] : tensor<{0}x{2}x{3}> -> tensor<{0}x{1}x{2}x{3}>
    %m = arith.mulf %n, %scale : tensor<{0}x{1}x{2}x{3}>
    %h = arith.addf %m, %shift : tensor<{0}x{1}x{2}x{3}>
    dit.yield %y, %h : tensor<{0}x{1}x{2}x{3}>, tensor<{0}x{1}x{2}x{3}>
  })",
             shape.batch, shape.tokens, shape.lane, type)
      .str();
}

class RowKernel : public testing::TestWithParam<const char *> {
protected:
  void check(const std::string &kernel, double tolerance,
             int64_t rowsPerBlock = 3) {
    CompiledKernel compiled(kernel, GetParam(), rowsPerBlock);
    compiled.fillRandomly(11);
    compiled.check(tolerance);
  }
};
} // namespace
INSTANTIATE_TEST_SUITE_P(Targets, RowKernel,
                         testing::Values("native", "x86-64-v4", "x86-64-v3"));

TEST_P(RowKernel, gateResidualLayerNormModulate) {
  for (Shape shape : {Shape{1, 1, 7}, Shape{2, 5, 72}, Shape{1, 49, 200},
                      Shape{3, 4, 1152}, Shape{1, 2, 4608}, Shape{2, 128, 16},
                      Shape{1, 3, 33}, Shape{2, 2, 1}}) {
    SCOPED_TRACE(shape.lane);
    check(layerNormModulate(shape, "f32"), sums);
  }
}

TEST_P(RowKernel, layerNormOfBf16KeepsTheRoundedSum) {
  // x + gate · branch is stored as bf16; statistics and the normalised row must
  // be those of the stored value, however the kernel keeps it in between.
  check(R"(
!x = tensor<4x72xbf16>
!w = tensor<4x72xf32>
!s = tensor<4xf32>
%0:4 = space = [4, 72] (%x0, %x1) : (!x, !x) -> (!x, !w, !s, !s) {
  ^bb0(%x: !x, %p: !x):
    %a = arith.extf %x : !x to !w
    %b = arith.extf %p : !x to !w
    %c = arith.mulf %a, %b : !w
    %d = arith.addf %c, %a : !w
    %y = arith.truncf %d : !w to !x
    %z = arith.extf %y : !x to !w
    %n, %mean, %rstd = dit.layer_norm %z eps = 1.0e-6 : !w
    dit.yield %y, %n, %mean, %rstd : !x, !w, !s, !s
  })",
        sums);
}

TEST_P(RowKernel, layerNormOnBf16Tensors) {
  check(layerNormModulate({2, 3, 72}, "bf16"), /*tolerance=*/0x1p-6);
}

TEST_P(RowKernel, rmsNormOfHeads) {
  // Query and key norm: rows are heads, the weight is per lane.
  for (int64_t lane : {48, 64, 72})
    check(llvm::formatv(R"(
!q = tensor<2x5x3x{0}xf32>
!w = tensor<{0}xf32>
!r = tensor<2x5x3xf32>
%0:2 = space = [2, 5, 3, {0}] (%x0, %x1) : (!q, !w) -> (!q, !r) {{
  ^bb0(%q: !q, %w: !w):
    %n, %rstd = dit.rms_norm %q eps = 1.0e-6 : !q
    %b = dit.broadcast %w dims = [3] : !w -> !q
    %y = arith.mulf %n, %b : !q
    dit.yield %y, %rstd : !q, !r
  })",
                        lane)
              .str(),
          sums);
}

TEST_P(RowKernel, softmaxOfScaledRows) {
  for (int64_t lane : {1, 5, 16, 64, 197, 1024})
    check(llvm::formatv(R"(
!s = tensor<2x7x{0}xf32>
%0 = space = [2, 7, {0}] (%x0) : (!s) -> !s {{
  ^bb0(%s: !s):
    %k = arith.constant dense<3.0> : !s
    %t = arith.mulf %s, %k : !s
    %p = dit.softmax %t : !s
    dit.yield %p : !s
  })",
                        lane)
              .str(),
          sums);
}

TEST_P(RowKernel, reductionsOfEveryKind) {
  for (int64_t lane : {1, 9, 64, 130})
    for (const char *type : {"f32", "f64", "bf16", "i64", "i32"})
      for (const char *kind : {"sum", "max", "min"}) {
        SCOPED_TRACE(llvm::formatv("{0} {1} {2}", lane, type, kind).str());
        check(llvm::formatv(R"(
!x = tensor<5x{0}x{1}>
!r = tensor<5x{1}>
%0 = space = [5, {0}] (%x0) : (!x) -> !r {{
  ^bb0(%x: !x):
    %r = dit.reduce {2} %x dims = [1] : !x
    dit.yield %r : !r
  })",
                            lane, type, kind)
                  .str(),
              type[0] == 'b' ? 0x1p-8 : sums);
      }
}

/// The gradient of norm, modulation, gate and a bias: {0} runs of {1} rows of
/// {2}. Column sums of points, of what a row's reduction made, and largest
/// ones.
static std::string columnSums(int64_t runs, int64_t run, int64_t lane) {
  return llvm::formatv(R"(
!x = tensor<{3}x{2}xf32>
!n = tensor<{3}x{2}xbf16>
!c = tensor<{0}x{1}x{2}xf32>
!s = tensor<{0}x{2}xf32>
!w = tensor<{2}xf32>
!r = tensor<{3}xf32>
%0:6 = space = [{3}, {2}] (%x0, %x1, %x2) : (tensor<{3}x{2}xf32>, tensor<{3}x{2}xbf16>, tensor<{2}xf32>) -> (tensor<{0}x{2}xf32>, tensor<{3}x{2}xf32>, tensor<{0}x{2}xf32>, tensor<{3}xf32>, tensor<{0}x{2}xf32>, tensor<{0}x{2}xf32>) {{
  ^bb0(%g: !x, %b: !n, %w: !w):
    %branch = arith.extf %b : !n to !x
    %ws = dit.broadcast %w dims = [1] : !w -> !x
    %gw = arith.mulf %g, %ws : !x
    %a = dit.reduce sum %gw dims = [1] : !x
    %count = arith.constant dense<{2}.0> : !r
    %mean = arith.divf %a, %count : !r
    %as = dit.broadcast %mean dims = [0] : !r -> !x
    %d = arith.subf %gw, %as : !x
    %e = arith.mulf %d, %branch : !x
    %gc = tensor.expand_shape %g [[0, 1], [2]] output_shape [{0}, {1}, {2}] : !x into !c
    %dc = tensor.expand_shape %d [[0, 1], [2]] output_shape [{0}, {1}, {2}] : !x into !c
    %ec = tensor.expand_shape %e [[0, 1], [2]] output_shape [{0}, {1}, {2}] : !x into !c
    %gs = dit.reduce sum %gc dims = [1] {{dit.partial} : !c
    %ds = dit.reduce sum %dc dims = [1] {{dit.partial} : !c
    %es = dit.reduce sum %ec dims = [1] {{dit.partial} : !c
    %em = dit.reduce max %ec dims = [1] {{dit.partial} : !c
    dit.yield %gs, %d, %ds, %a, %es, %em : !s, !x, !s, !r, !s, !s
  })",
                       runs, run, lane, runs * run)
      .str();
}

TEST_P(RowKernel, columnSums) {
  struct Case {
    int64_t runs, run, lane;
  };
  for (auto [runs, run, lane] :
       {Case{4, 8, 64}, Case{3, 32, 1152}, Case{5, 16, 72}, Case{2, 9, 7},
        Case{37, 8, 33}, Case{2, 8, 4608}}) {
    SCOPED_TRACE(lane);
    check(columnSums(runs, run, lane), 10 * sums, 2 * run);
  }
}

TEST_P(RowKernel, reductionOfOtherDimensions) {
  // A mean over tokens: the row differs from lane to lane.
  check(R"(
!x = tensor<3x10x40xf32>
!r = tensor<3x40xf32>
%0 = space = [3, 40] (%x0) : (!x) -> !r {
  ^bb0(%x: !x):
    %e = math.exp %x : !x
    %r = dit.reduce sum %e dims = [1] : !x
    %k = arith.constant dense<10.0> : !r
    %m = arith.divf %r, %k : !r
    dit.yield %m : !r
  })",
        sums);
  check(R"(
!x = tensor<3x4x5x6xf32>
!r = tensor<3x5xf32>
%0 = space = [3, 5] (%x0) : (!x) -> !r {
  ^bb0(%x: !x):
    %r = dit.reduce sum %x dims = [1, 3] : !x
    dit.yield %r : !r
  })",
        sums);
}

TEST_P(RowKernel, lossOfEachPicture) {
  check(R"(
!x = tensor<4x100xf32>
!r = tensor<4xf32>
%0 = space = [4, 100] (%x0, %x1) : (!x, !x) -> !r {
  ^bb0(%x: !x, %y: !x):
    %d = arith.subf %x, %y : !x
    %s = arith.mulf %d, %d : !x
    %r = dit.reduce sum %s dims = [1] : !x
    %k = arith.constant dense<0.01> : !r
    %m = arith.mulf %r, %k : !r
    dit.yield %m : !r
  })",
        sums);
}

TEST_P(RowKernel, normOfATransposedRow) {
  // Tokens last: the norm's rows lie across the lanes.
  check(R"(
!x = tensor<2x6x24xf32>
!t = tensor<2x24x6xf32>
%0 = space = [2, 24, 6] (%x0) : (!x) -> !t {
  ^bb0(%x: !x):
    %n, %m, %r = dit.layer_norm %x eps = 1.0e-5 : !x
    %t = dit.transpose %n permutation = [0, 2, 1] : !x
    dit.yield %t : !t
  })",
        sums);
}

TEST_P(RowKernel, normOfAConcatenation) {
  check(R"(
!a = tensor<5x40xf32>
!b = tensor<5x24xf32>
!x = tensor<5x64xf32>
%0 = space = [5, 64] (%x0, %x1) : (!a, !b) -> !x {
  ^bb0(%a: !a, %b: !b):
    %s = dit.sigmoid %a : !a
    %x = tensor.concat dim(1) %s, %b : (!a, !b) -> !x
    %n, %m, %r = dit.layer_norm %x eps = 1.0e-5 : !x
    %p = dit.softmax %n : !x
    dit.yield %p : !x
  })",
        sums);
}

TEST_P(RowKernel, aNormOfANorm) {
  check(R"(
!x = tensor<5x96xf32>
!r = tensor<5xf32>
%0:3 = space = [5, 96] (%x0, %x1) : (!x, !x) -> (!x, !x, !r) {
  ^bb0(%x: !x, %y: !x):
    %n, %m, %r = dit.layer_norm %x eps = 1.0e-5 : !x
    %g = dit.gelu %n approximate = tanh : !x
    %z = arith.addf %g, %y : !x
    %n2, %r2 = dit.rms_norm %z eps = 1.0e-5 : !x
    %k = dit.reduce max %n2 dims = [1] : !x
    dit.yield %z, %n2, %k : !x, !x, !r
  })",
        sums);
}

TEST_P(RowKernel, maximumOfARowWithNan) {
  CompiledKernel kernel(R"(
!x = tensor<2x40xf32>
!r = tensor<2xf32>
%0 = space = [2, 40] (%x0) : (!x) -> !r {
  ^bb0(%x: !x):
    %r = dit.reduce max %x dims = [1] : !x
    dit.yield %r : !r
  })",
                        GetParam());
  std::vector<float> values = randomFloats(80, 1);
  values[35] = NAN;
  kernel.fill(0, values);
  kernel.run();
  EXPECT_TRUE(std::isnan(kernel.result(0)[0]));
  EXPECT_FALSE(std::isnan(kernel.result(0)[1]));
}

TEST_P(RowKernel, normsOfTokensOfTwoKinds) {
  // Text and picture tokens, each with its own norm, joined; then a rotation
  // of pairs: what Flux makes its queries of. Rows are cut where one kind ends.
  for (int64_t lane : {16, 48, 72})
    check(llvm::formatv(R"(
!i = tensor<2x7x{0}xf32>
!t = tensor<2x5x{0}xf32>
!q = tensor<2x7x3x{1}xf32>
!r = tensor<2x5x3x{1}xf32>
!w = tensor<{1}xf32>
!x = tensor<2x12x3x{1}xf32>
!p = tensor<2x12x3x{2}x2xf32>
!h = tensor<2x12x3x{2}x1xf32>
!c = tensor<12x{1}xf32>
%0 = space = [2, 12, 3, {1}] (%x0, %x1, %x2, %x3, %x4, %x5) : (!i, !t, !w, !w, !c, !c) -> !x {{
  ^bb0(%i: !i, %t: !t, %wi: !w, %wt: !w, %cos: !c, %sin: !c):
    %q = tensor.expand_shape %i [[0], [1], [2, 3]] output_shape [2, 7, 3, {1}] : !i into !q
    %r = tensor.expand_shape %t [[0], [1], [2, 3]] output_shape [2, 5, 3, {1}] : !t into !r
    %nq, %sq = dit.rms_norm %q eps = 1.0e-6 : !q
    %nr, %sr = dit.rms_norm %r eps = 1.0e-6 : !r
    %bq = dit.broadcast %wi dims = [3] : !w -> !q
    %br = dit.broadcast %wt dims = [3] : !w -> !r
    %yq = arith.mulf %nq, %bq : !q
    %yr = arith.mulf %nr, %br : !r
    %x = tensor.concat dim(1) %yr, %yq : (!r, !q) -> !x
    %p = tensor.expand_shape %x [[0], [1], [2], [3, 4]] output_shape [2, 12, 3, {2}, 2] : !x into !p
    %a = tensor.extract_slice %p[0, 0, 0, 0, 0] [2, 12, 3, {2}, 1] [1, 1, 1, 1, 1] : !p to !h
    %b = tensor.extract_slice %p[0, 0, 0, 0, 1] [2, 12, 3, {2}, 1] [1, 1, 1, 1, 1] : !p to !h
    %n = arith.negf %b : !h
    %o = tensor.concat dim(4) %n, %a : (!h, !h) -> !p
    %z = tensor.collapse_shape %o [[0], [1], [2], [3, 4]] : !p into !x
    %bc = dit.broadcast %cos dims = [1, 3] : !c -> !x
    %bs = dit.broadcast %sin dims = [1, 3] : !c -> !x
    %xc = arith.mulf %x, %bc : !x
    %zs = arith.mulf %z, %bs : !x
    %y = arith.addf %xc, %zs : !x
    dit.yield %y : !x
  })",
                        3 * lane, lane, lane / 2)
              .str(),
          sums);
}

TEST_P(RowKernel, doubledBatch) {
  // Guidance computes every picture twice; labels differ, pixels do not.
  check(R"(
!x = tensor<3x40xf32>
!l = tensor<3xi64>
!t = tensor<7x40xf32>
!y = tensor<6x40xf32>
%0 = space = [6, 40] (%x0, %x1, %x2) : (!x, !l, !t) -> !y {
  ^bb0(%x: !x, %l: !l, %t: !t):
    %none = arith.constant dense<6> : !l
    %both = tensor.concat dim(0) %l, %none : (!l, !l) -> tensor<6xi64>
    %e = dit.gather %t, %both : !t, tensor<6xi64>
    %d = tensor.concat dim(0) %x, %x : (!x, !x) -> !y
    %s = arith.addf %d, %e : !y
    %n, %m, %r = dit.layer_norm %s eps = 1.0e-6 : !y
    dit.yield %n : !y
  })",
        sums);
}
