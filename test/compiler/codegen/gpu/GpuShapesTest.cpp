//===- GpuShapesTest.cpp - Kernels whose shapes do not fill a warp --------===//
//
// Each shape takes another way through the GPU's emitter: less than a warp a
// row, a last fragment that is half there, a block a row, a loop over
// fragments, rows or vectors that do not fill the last block. On this machine
// the CPU's code is compared; run-gpu-cases compares the GPU's.
//
//===----------------------------------------------------------------------===//
#include "test/compiler/codegen/KernelHarness.h"

#include "llvm/Support/FormatVariadic.h"

using namespace dit::codegen;

namespace {
struct Shape {
  int64_t rows, lane;
};
} // namespace

static const Shape shapes[] = {{1, 72},    {49, 72},    {256, 72},  {16385, 24},
                               {1, 200},   {49, 200},   {256, 200}, {1, 1152},
                               {49, 1152}, {130, 1152}, {1, 4608},  {5, 4608},
                               {3, 20000}, {1, 70000},  {50, 33},   {7, 1}};

/// {0}, {1}: rows, lane; {2}: element type.
static std::string normalize(Shape shape, const char *type) {
  return llvm::formatv(
             R"(!x = tensor<{0}x{1}x{2}>
!f = tensor<{0}x{1}xf32>
!r = tensor<{0}xf32>
%0:3 = space = [{0}, {1}] (%x0, %x1) : (tensor<{0}x{1}x{2}>, tensor<{1}x{2}>) -> (!x, !r, !r) {{
  ^bb0(%x: !x, %s: tensor<{1}x{2}>):
    %a = arith.extf %x : !x to !f
    %n, %mean, %rstd = dit.layer_norm %a eps = 1.0e-6 : !f
    %b = dit.broadcast %s dims = [1] : tensor<{1}x{2}> -> !x
    %c = arith.extf %b : !x to !f
    %m = arith.mulf %n, %c : !f
    %g = dit.gelu %m approximate = tanh : !f
    %max = dit.reduce max %g dims = [1] : !f
    %o = arith.truncf %g : !f to !x
    dit.yield %o, %mean, %max : !x, !r, !r
  })",
             shape.rows, shape.lane, type)
      .str();
}

static std::string softmax(Shape shape) {
  return llvm::formatv(
             R"(!x = tensor<{0}x{1}xf32>
%0 = space = [{0}, {1}] (%x0) : (tensor<{0}x{1}xf32>) -> !x {{
  ^bb0(%x: !x):
    %s = dit.softmax %x : !x
    dit.yield %s : !x
  })",
             shape.rows, shape.lane)
      .str();
}

static std::string scaleAndShift(Shape shape, const char *type) {
  return llvm::formatv(
             R"(!x = tensor<{0}x{1}x{2}>
%0 = space = [{0}, {1}] (%x0, %x1) : (tensor<{0}x{1}x{2}>, tensor<{0}x{1}x{2}>) -> !x {{
  ^bb0(%x: !x, %y: !x):
    %s = dit.sigmoid %x : !x
    %m = arith.mulf %s, %y : !x
    dit.yield %m : !x
  })",
             shape.rows, shape.lane, type)
      .str();
}

/// {0} runs of {1} rows of {2} numbers, {3} rows in all.
static std::string sumColumns(int64_t runs, Shape run) {
  return llvm::formatv(
             R"(!x = tensor<{3}x{2}xbf16>
!f = tensor<{3}x{2}xf32>
!c = tensor<{0}x{1}x{2}xf32>
!s = tensor<{0}x{2}xf32>
%0:5 = space = [{3}, {2}] (%x0, %x1) : (!x, !f) -> (!f, tensor<{3}xf32>, !s, !s, !s) {{
  ^bb0(%x: !x, %y: !f):
    %a = arith.extf %x : !x to !f
    %m = arith.mulf %a, %y : !f
    %r = dit.reduce max %m dims = [1] : !f
    %b = dit.broadcast %r dims = [0] : tensor<{3}xf32> -> !f
    %d = arith.subf %y, %b : !f
    %ac = tensor.expand_shape %a [[0, 1], [2]] output_shape [{0}, {1}, {2}] : !f into !c
    %mc = tensor.expand_shape %m [[0, 1], [2]] output_shape [{0}, {1}, {2}] : !f into !c
    %dc = tensor.expand_shape %d [[0, 1], [2]] output_shape [{0}, {1}, {2}] : !f into !c
    %as = dit.reduce sum %ac dims = [1] {{dit.partial} : !c
    %ms = dit.reduce max %mc dims = [1] {{dit.partial} : !c
    %ds = dit.reduce sum %dc dims = [1] {{dit.partial} : !c
    dit.yield %d, %r, %as, %ms, %ds : !f, tensor<{3}xf32>, !s, !s, !s
  })",
             runs, run.rows, run.lane, runs * run.rows)
      .str();
}

/// Sums whose rows' threads exchange nothing.
static std::string sumColumnsAlone(int64_t runs, Shape run) {
  return llvm::formatv(
             R"(!x = tensor<{0}x{1}x{2}xbf16>
!f = tensor<{0}x{1}x{2}xf32>
%0 = space = [{0}, {1}, {2}] (%x0) : (!x) -> tensor<{0}x{2}xf32> {{
  ^bb0(%x: !x):
    %a = arith.extf %x : !x to !f
    %s = dit.reduce sum %a dims = [1] {{dit.partial} : !f
    dit.yield %s : tensor<{0}x{2}xf32>
  })",
             runs, run.rows, run.lane)
      .str();
}

/// {0} pictures of two planes as rows of 4 x 4 patches, and their sums.
static std::string patchify(int64_t pictures) {
  return llvm::formatv(
             R"(!x = tensor<{0}x1x16x16xf32>
!b = tensor<{0}x1x16x16xi1>
!r = tensor<{0}x16x32xf32>
%0:2 = space = [{0}, 16, 32] (%x0, %x1, %x2) : (!x, !x, !b) -> (tensor<{0}x16x32xbf16>, tensor<{0}x32xf32>) {{
  ^bb0(%x: !x, %y: !x, %b: !b):
    %m = arith.mulf %x, %y : !x
    %s = arith.select %b, %x, %y : !b, !x
    %c = tensor.concat dim(1) %m, %s : (!x, !x) -> tensor<{0}x2x16x16xf32>
    %e = tensor.expand_shape %c [[0], [1], [2, 3], [4, 5]] output_shape [{0}, 2, 4, 4, 4, 4] : tensor<{0}x2x16x16xf32> into tensor<{0}x2x4x4x4x4xf32>
    %t = dit.transpose %e permutation = [0, 2, 4, 3, 5, 1] : tensor<{0}x2x4x4x4x4xf32>
    %r = tensor.collapse_shape %t [[0], [1, 2], [3, 4, 5]] : tensor<{0}x4x4x4x4x2xf32> into !r
    %o = arith.truncf %r : !r to tensor<{0}x16x32xbf16>
    %p = dit.reduce sum %r dims = [1] {{dit.partial} : !r
    dit.yield %o, %p : tensor<{0}x16x32xbf16>, tensor<{0}x32xf32>
  })",
             pictures)
      .str();
}

static void check(const std::string &kernel, double tolerance,
                  int64_t rowsPerBlock = 4) {
  CompiledKernel compiled(kernel, "native", rowsPerBlock);
  compiled.fillRandomly(5);
  compiled.check(tolerance);
}

TEST(GpuShapes, normsOfBf16) {
  for (Shape shape : shapes)
    check(normalize(shape, "bf16"), 0x1p-7);
}

TEST(GpuShapes, softmaxes) {
  for (Shape shape : shapes)
    if (shape.rows < 100)
      check(softmax(shape), 2e-6);
}

TEST(GpuShapes, flatKernels) {
  for (Shape shape : shapes)
    for (const char *type : {"f32", "f16"})
      if (shape.rows < 100)
        check(scaleAndShift(shape, type), type[1] == '3' ? 2e-6 : 0x1p-9);
}

// One run and many, of more rows than a block has at once and of fewer, whose
// number is no power of two; runs that do not fill the last block.
TEST(GpuShapes, columnSums) {
  for (Shape run : {Shape{32, 192},
                    {28, 72},
                    {9, 32},
                    {8, 8},
                    {25, 7},
                    {32, 1152},
                    {8, 4608}})
    for (int64_t runs : {1, 3})
      check(sumColumns(runs, run), 1e-5, run.rows);
}

TEST(GpuShapes, columnSumsAlone) {
  for (Shape run : {Shape{32, 768}, {28, 1152}, {9, 576}, {8, 24}})
    check(sumColumnsAlone(3, run), 1e-5, run.rows);
}

TEST(GpuShapes, patches) { check(patchify(3), 0x1p-7, 16); }
