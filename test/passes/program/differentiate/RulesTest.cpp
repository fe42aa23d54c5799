//===- RulesTest.cpp - Every gradient against central differences ---------===//
//
// A case is a function of dit IR. Its results, weighted with random numbers,
// are summed to a loss; the gradients by its float arguments that the compiler
// writes must be the loss's differences, all in double. What remains is the
// rounding of fp32 constants in rules (1/N, 2/√π): 6e-8.
//
//===----------------------------------------------------------------------===//
#include "passes/fusion/Passes.h"
#include "passes/program/Differentiate.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "test/passes/program/differentiate/Differences.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dit;

namespace {

/// A function and the range that its float arguments are drawn from.
struct Case {
  const char *name;
  const char *text;
  double low = -1, high = 1;
  /// The last argument is a constant.
  bool lastIsFixed = false;
  /// Attention's gradient is spelled out, as for GPUs at fp32.
  bool expandsAttention = false;
};

class RulesTest : public testing::TestWithParam<Case> {};

TEST_P(RulesTest, AgreesWithDifferences) {
  DialectRegistry registry;
  registry.insert<DitDialect, arith::ArithDialect, func::FuncDialect,
                  math::MathDialect, tensor::TensorDialect>();
  registerDifferentiableModels(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto module = parseSourceString<ModuleOp>(GetParam().text, &context);
  ASSERT_TRUE(module);
  auto function = *module->getOps<func::FuncOp>().begin();
  unsigned inputs = function.getNumArguments() - GetParam().lastIsFixed;
  sumResults(function);

  RandomNumbers random(0);
  std::vector<Numbers> arguments;
  for (Type type : function.getArgumentTypes())
    arguments.push_back(
        random.draw(cast<RankedTensorType>(type).getNumElements(),
                    GetParam().low, GetParam().high));

  func::FuncOp gradient = function.clone();
  module->push_back(gradient);
  gradient.setName("gradient");
  Operation *end = gradient.getBody().front().getTerminator();
  OpBuilder builder(end);
  SmallVector<Value> wrt(gradient.getArguments().take_front(inputs));
  auto gradients = differentiate(builder, end->getOperand(0), wrt);
  ASSERT_TRUE(succeeded(gradients));
  for (auto [value, slope] : llvm::zip(wrt, *gradients)) {
    ASSERT_TRUE(slope);
    EXPECT_EQ(slope.getType(), value.getType());
  }
  end->setOperands(*gradients);
  gradient.setType(builder.getFunctionType(gradient.getArgumentTypes(),
                                           end->getOperandTypes()));
  ASSERT_TRUE(succeeded(mlir::verify(*module)));
  if (GetParam().expandsAttention) {
    PassManager manager(&context);
    manager.addNestedPass<func::FuncOp>(createExpandAttentionGrad());
    ASSERT_TRUE(succeeded(manager.run(*module)));
    EXPECT_TRUE(gradient.getOps<AttentionGradOp>().empty());
  }

  std::vector<Numbers> slopes = evaluate(gradient, arguments);
  ASSERT_EQ(slopes.size(), inputs);
  for (unsigned index = 0; index < inputs; ++index) {
    SCOPED_TRACE("argument " + std::to_string(index));
    auto loss = [&] { return evaluate(function, arguments)[0][0]; };
    std::vector<size_t> entries(arguments[index].size());
    std::iota(entries.begin(), entries.end(), 0);
    expectDifferences(arguments[index], loss, entries, slopes[index]);
  }
}

const Case cases[] = {
    {"addf_subf", R"(
func.func @f(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  %0 = arith.addf %a, %b : tensor<2x3xf32>
  %1 = arith.subf %0, %b : tensor<2x3xf32>
  %2 = arith.subf %b, %a : tensor<2x3xf32>
  return %1, %2 : tensor<2x3xf32>, tensor<2x3xf32>
})"},
    {"mulf_negf", R"(
func.func @f(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = arith.mulf %a, %b : tensor<2x3xf32>
  %1 = arith.negf %0 : tensor<2x3xf32>
  %2 = arith.mulf %1, %1 : tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
})"},
    {"divf", R"(
func.func @f(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = arith.divf %a, %b : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
})",
     0.5, 2},
    {"maximumf_minimumf", R"(
func.func @f(%a: tensor<4x3xf32>, %b: tensor<4x3xf32>) -> (tensor<4x3xf32>, tensor<4x3xf32>) {
  %0 = arith.maximumf %a, %b : tensor<4x3xf32>
  %1 = arith.minimumf %a, %b : tensor<4x3xf32>
  return %0, %1 : tensor<4x3xf32>, tensor<4x3xf32>
})"},
    {"select", R"(
func.func @f(%a: tensor<4x3xf32>, %b: tensor<4x3xf32>, %c: tensor<4x3xf32>) -> tensor<4x3xf32> {
  %0 = arith.constant dense<0.1> : tensor<4x3xf32>
  %1 = arith.cmpf ogt, %c, %0 : tensor<4x3xf32>
  %2 = arith.select %1, %a, %b : tensor<4x3xi1>, tensor<4x3xf32>
  return %2 : tensor<4x3xf32>
})",
     -1, 1, true},
    {"casts", R"(
func.func @f(%a: tensor<6xf32>) -> tensor<6xf32> {
  %0 = arith.truncf %a : tensor<6xf32> to tensor<6xbf16>
  %1 = arith.mulf %0, %0 : tensor<6xbf16>
  %2 = arith.extf %1 : tensor<6xbf16> to tensor<6xf32>
  return %2 : tensor<6xf32>
})"},
    {"integers", R"(
func.func @f(%a: tensor<6xf32>) -> tensor<6xf32> {
  %0 = arith.fptosi %a : tensor<6xf32> to tensor<6xi64>
  %1 = arith.sitofp %0 : tensor<6xi64> to tensor<6xf32>
  %2 = arith.mulf %1, %a : tensor<6xf32>
  return %2 : tensor<6xf32>
})",
     2.1, 2.9},
    {"exp_log", R"(
func.func @f(%a: tensor<6xf32>) -> (tensor<6xf32>, tensor<6xf32>) {
  %0 = math.exp %a : tensor<6xf32>
  %1 = math.log %a : tensor<6xf32>
  return %0, %1 : tensor<6xf32>, tensor<6xf32>
})",
     0.5, 2},
    {"sqrt_rsqrt", R"(
func.func @f(%a: tensor<6xf32>) -> (tensor<6xf32>, tensor<6xf32>) {
  %0 = math.sqrt %a : tensor<6xf32>
  %1 = math.rsqrt %a : tensor<6xf32>
  return %0, %1 : tensor<6xf32>, tensor<6xf32>
})",
     0.5, 2},
    {"sin_cos", R"(
func.func @f(%a: tensor<6xf32>) -> (tensor<6xf32>, tensor<6xf32>) {
  %0 = math.sin %a : tensor<6xf32>
  %1 = math.cos %a : tensor<6xf32>
  return %0, %1 : tensor<6xf32>, tensor<6xf32>
})"},
    {"tanh_erf", R"(
func.func @f(%a: tensor<6xf32>) -> (tensor<6xf32>, tensor<6xf32>) {
  %0 = math.tanh %a : tensor<6xf32>
  %1 = math.erf %a : tensor<6xf32>
  return %0, %1 : tensor<6xf32>, tensor<6xf32>
})"},
    {"powf", R"(
func.func @f(%a: tensor<6xf32>) -> (tensor<6xf32>, tensor<6xf32>, tensor<6xf32>) {
  %two = arith.constant dense<2.0> : tensor<6xf32>
  %half = arith.constant dense<-0.5> : tensor<6xf32>
  %many = arith.constant dense<[1.0, 2.0, 3.0, 0.0, -1.0, 0.5]> : tensor<6xf32>
  %0 = math.powf %a, %two : tensor<6xf32>
  %1 = math.powf %a, %half : tensor<6xf32>
  %2 = math.powf %a, %many : tensor<6xf32>
  return %0, %1, %2 : tensor<6xf32>, tensor<6xf32>, tensor<6xf32>
})",
     0.5, 2},
    {"absf", R"(
func.func @f(%a: tensor<6xf32>) -> tensor<6xf32> {
  %0 = math.absf %a : tensor<6xf32>
  return %0 : tensor<6xf32>
})"},
    {"reshape", R"(
func.func @f(%a: tensor<4x6xf32>) -> (tensor<4x2x3xf32>, tensor<24xf32>) {
  %0 = tensor.expand_shape %a [[0], [1, 2]] output_shape [4, 2, 3] : tensor<4x6xf32> into tensor<4x2x3xf32>
  %1 = tensor.collapse_shape %a [[0, 1]] : tensor<4x6xf32> into tensor<24xf32>
  %2 = arith.mulf %1, %1 : tensor<24xf32>
  return %0, %2 : tensor<4x2x3xf32>, tensor<24xf32>
})"},
    {"split", R"(
func.func @f(%a: tensor<2x6xf32>) -> (tensor<2x2xf32>, tensor<2x1xf32>) {
  %0 = tensor.extract_slice %a[0, 4] [2, 2] [1, 1] : tensor<2x6xf32> to tensor<2x2xf32>
  %1 = tensor.extract_slice %a[0, 0] [2, 2] [1, 1] : tensor<2x6xf32> to tensor<2x2xf32>
  %2 = tensor.extract_slice %a[0, 3] [2, 1] [1, 1] : tensor<2x6xf32> to tensor<2x1xf32>
  %3 = arith.mulf %0, %1 : tensor<2x2xf32>
  return %3, %2 : tensor<2x2xf32>, tensor<2x1xf32>
})"},
    {"overlapping_slices", R"(
func.func @f(%a: tensor<3x6xf32>) -> (tensor<3x4xf32>, tensor<2x6xf32>, tensor<3x6xf32>) {
  %0 = tensor.extract_slice %a[0, 2] [3, 4] [1, 1] : tensor<3x6xf32> to tensor<3x4xf32>
  %1 = tensor.extract_slice %a[0, 1] [3, 4] [1, 1] : tensor<3x6xf32> to tensor<3x4xf32>
  %2 = tensor.extract_slice %a[1, 0] [2, 6] [1, 1] : tensor<3x6xf32> to tensor<2x6xf32>
  %3 = arith.mulf %0, %1 : tensor<3x4xf32>
  %4 = arith.mulf %a, %a : tensor<3x6xf32>
  return %3, %2, %4 : tensor<3x4xf32>, tensor<2x6xf32>, tensor<3x6xf32>
})"},
    {"strided_slice", R"(
func.func @f(%a: tensor<4x7x9xf32>) -> (tensor<2x3x4xf32>, tensor<7x2xf32>) {
  %0 = tensor.extract_slice %a[1, 1, 2] [2, 3, 4] [2, 1, 2] : tensor<4x7x9xf32> to tensor<2x3x4xf32>
  %1 = tensor.extract_slice %a[2, 0, 0] [1, 7, 2] [1, 1, 5] : tensor<4x7x9xf32> to tensor<7x2xf32>
  return %0, %1 : tensor<2x3x4xf32>, tensor<7x2xf32>
})"},
    {"concat", R"(
func.func @f(%a: tensor<2x3xf32>, %b: tensor<2x1xf32>) -> tensor<2x7xf32> {
  %0 = tensor.concat dim(1) %a, %b, %a : (tensor<2x3xf32>, tensor<2x1xf32>, tensor<2x3xf32>) -> tensor<2x7xf32>
  return %0 : tensor<2x7xf32>
})"},
    {"broadcast", R"(
func.func @f(%a: tensor<2x3xf32>, %b: tensor<f32>) -> (tensor<4x2x5x3xf32>, tensor<2x2xf32>) {
  %0 = dit.broadcast %a dims = [1, 3] : tensor<2x3xf32> -> tensor<4x2x5x3xf32>
  %1 = dit.broadcast %b dims = [] : tensor<f32> -> tensor<2x2xf32>
  return %0, %1 : tensor<4x2x5x3xf32>, tensor<2x2xf32>
})"},
    {"transpose", R"(
func.func @f(%a: tensor<2x3x4xf32>) -> tensor<4x2x3xf32> {
  %0 = dit.transpose %a permutation = [2, 0, 1] : tensor<2x3x4xf32>
  return %0 : tensor<4x2x3xf32>
})"},
    {"reduce_sum", R"(
func.func @f(%a: tensor<2x3x4xf32>) -> (tensor<3xf32>, tensor<2x3xf32>) {
  %0 = dit.reduce sum %a dims = [0, 2] : tensor<2x3x4xf32>
  %1 = dit.reduce sum %a dims = [2] : tensor<2x3x4xf32>
  return %0, %1 : tensor<3xf32>, tensor<2x3xf32>
})"},
    {"reduce_max_min", R"(
func.func @f(%a: tensor<2x3x4xf32>) -> (tensor<3xf32>, tensor<2x3xf32>) {
  %0 = dit.reduce max %a dims = [0, 2] : tensor<2x3x4xf32>
  %1 = dit.reduce min %a dims = [2] : tensor<2x3x4xf32>
  return %0, %1 : tensor<3xf32>, tensor<2x3xf32>
})"},
    {"linear", R"(
func.func @f(%x: tensor<2x3x4xf32>, %w: tensor<5x4xf32>, %b: tensor<5xf32>) -> tensor<2x3x5xf32> {
  %0 = dit.matmul %x, %w bias %b {transpose_rhs} : tensor<2x3x4xf32>, tensor<5x4xf32> bias tensor<5xf32> -> tensor<2x3x5xf32>
  return %0 : tensor<2x3x5xf32>
})"},
    {"matmul_shared", R"(
func.func @f(%x: tensor<2x3x4xf32>, %w: tensor<4x5xf32>) -> tensor<2x3x5xf32> {
  %0 = dit.matmul %x, %w : tensor<2x3x4xf32>, tensor<4x5xf32> -> tensor<2x3x5xf32>
  return %0 : tensor<2x3x5xf32>
})"},
    {"matmul_transposed_lhs_shared", R"(
func.func @f(%x: tensor<2x4x3xf32>, %y: tensor<4x3xf32>, %w: tensor<4x5xf32>, %v: tensor<5x4xf32>)
    -> (tensor<2x3x5xf32>, tensor<2x3x5xf32>, tensor<3x5xf32>, tensor<3x5xf32>) {
  %0 = dit.matmul %x, %w {transpose_lhs} : tensor<2x4x3xf32>, tensor<4x5xf32> -> tensor<2x3x5xf32>
  %1 = dit.matmul %x, %v {transpose_lhs, transpose_rhs} : tensor<2x4x3xf32>, tensor<5x4xf32> -> tensor<2x3x5xf32>
  %2 = dit.matmul %y, %w {transpose_lhs} : tensor<4x3xf32>, tensor<4x5xf32> -> tensor<3x5xf32>
  %3 = dit.matmul %y, %v {transpose_lhs, transpose_rhs} : tensor<4x3xf32>, tensor<5x4xf32> -> tensor<3x5xf32>
  return %0, %1, %2, %3 : tensor<2x3x5xf32>, tensor<2x3x5xf32>, tensor<3x5xf32>, tensor<3x5xf32>
})"},
    {"matmul_batched", R"(
func.func @f(%x: tensor<2x3x4xf32>, %y: tensor<2x4x3xf32>, %w: tensor<2x4x5xf32>, %v: tensor<2x5x4xf32>)
    -> (tensor<2x3x5xf32>, tensor<2x3x5xf32>, tensor<2x3x5xf32>, tensor<2x3x5xf32>) {
  %0 = dit.matmul %x, %w : tensor<2x3x4xf32>, tensor<2x4x5xf32> -> tensor<2x3x5xf32>
  %1 = dit.matmul %x, %v {transpose_rhs} : tensor<2x3x4xf32>, tensor<2x5x4xf32> -> tensor<2x3x5xf32>
  %2 = dit.matmul %y, %w {transpose_lhs} : tensor<2x4x3xf32>, tensor<2x4x5xf32> -> tensor<2x3x5xf32>
  %3 = dit.matmul %y, %v {transpose_lhs, transpose_rhs} : tensor<2x4x3xf32>, tensor<2x5x4xf32> -> tensor<2x3x5xf32>
  return %0, %1, %2, %3 : tensor<2x3x5xf32>, tensor<2x3x5xf32>, tensor<2x3x5xf32>, tensor<2x3x5xf32>
})"},
    {"layer_norm", R"(
func.func @f(%x: tensor<2x3x7xf32>) -> tensor<2x3x7xf32> {
  %n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-2 : tensor<2x3x7xf32>
  return %n : tensor<2x3x7xf32>
})"},
    {"rms_norm", R"(
func.func @f(%x: tensor<2x3x7xf32>) -> tensor<2x3x7xf32> {
  %n, %rstd = dit.rms_norm %x eps = 1.0e-2 : tensor<2x3x7xf32>
  return %n : tensor<2x3x7xf32>
})"},
    {"softmax", R"(
func.func @f(%x: tensor<2x3x7xf32>) -> tensor<2x3x7xf32> {
  %p = dit.softmax %x : tensor<2x3x7xf32>
  return %p : tensor<2x3x7xf32>
})",
     -2, 2},
    {"attention", R"(
func.func @f(%q: tensor<2x5x3x4xf32>, %k: tensor<2x5x3x4xf32>, %v: tensor<2x5x3x4xf32>) -> tensor<2x5x3x4xf32> {
  %o, %lse = dit.attention %q, %k, %v scale = 0.7 : tensor<2x5x3x4xf32>, tensor<2x5x3x4xf32>, tensor<2x5x3x4xf32>
  return %o : tensor<2x5x3x4xf32>
})",
     -2, 2},
    {"attention_grouped_cross_masked", R"(
func.func @f(%q: tensor<2x3x4x2xf32>, %k: tensor<2x5x2x2xf32>, %v: tensor<2x5x2x3xf32>, %m: tensor<2x1x3x5xf32>) -> tensor<2x3x4x3xf32> {
  %o, %lse = dit.attention %q, %k, %v mask %m scale = 0.7 : tensor<2x3x4x2xf32>, tensor<2x5x2x2xf32>, tensor<2x5x2x3xf32>, tensor<2x1x3x5xf32>
  return %o : tensor<2x3x4x3xf32>
})",
     -2, 2, true},
    {"attention_expanded", R"(
func.func @f(%q: tensor<2x3x2x2xf32>, %k: tensor<2x5x2x2xf32>, %v: tensor<2x5x2x3xf32>, %m: tensor<2x1x3x5xf32>) -> tensor<2x3x2x3xf32> {
  %o, %lse = dit.attention %q, %k, %v mask %m scale = 0.75 : tensor<2x3x2x2xf32>, tensor<2x5x2x2xf32>, tensor<2x5x2x3xf32>, tensor<2x1x3x5xf32>
  return %o : tensor<2x3x2x3xf32>
})",
     -2, 2, true, true},
    {"gelu", R"(
func.func @f(%x: tensor<2x9xf32>) -> (tensor<2x9xf32>, tensor<2x9xf32>) {
  %0 = dit.gelu %x approximate = tanh : tensor<2x9xf32>
  %1 = dit.gelu %x approximate = none : tensor<2x9xf32>
  return %0, %1 : tensor<2x9xf32>, tensor<2x9xf32>
})",
     -3, 3},
    {"sigmoid", R"(
func.func @f(%x: tensor<2x9xf32>) -> (tensor<2x9xf32>, tensor<2x9xf32>) {
  %0 = dit.sigmoid %x : tensor<2x9xf32>
  %1 = arith.mulf %x, %0 : tensor<2x9xf32>
  return %0, %1 : tensor<2x9xf32>, tensor<2x9xf32>
})",
     -3, 3},
    {"gather", R"(
func.func @f(%table: tensor<5x2x3xf32>) -> (tensor<2x3x2x3xf32>, tensor<2x3xf32>) {
  %i = arith.constant dense<[[0, 3, 3], [-1, -5, 9]]> : tensor<2x3xi64>
  %j = arith.constant dense<2> : tensor<i64>
  %0 = dit.gather %table, %i : tensor<5x2x3xf32>, tensor<2x3xi64>
  %1 = dit.gather %table, %j : tensor<5x2x3xf32>, tensor<i64>
  return %0, %1 : tensor<2x3x2x3xf32>, tensor<2x3xf32>
})"},
    // A value of many users, and ops that lead nowhere.
    {"users", R"(
func.func @f(%a: tensor<3xf32>) -> tensor<3xf32> {
  %0 = arith.mulf %a, %a : tensor<3xf32>
  %1 = arith.addf %0, %a : tensor<3xf32>
  %2 = math.exp %1 : tensor<3xf32>
  %nowhere = math.floor %2 : tensor<3xf32>
  %3 = arith.mulf %2, %0 : tensor<3xf32>
  %4 = arith.subf %3, %1 : tensor<3xf32>
  return %4 : tensor<3xf32>
})"},
};

INSTANTIATE_TEST_SUITE_P(All, RulesTest, testing::ValuesIn(cases),
                         [](const auto &info) { return info.param.name; });

} // namespace
