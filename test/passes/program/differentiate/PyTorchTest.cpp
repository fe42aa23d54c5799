//===- PyTorchTest.cpp - Loss and gradients that PyTorch computed ---------===//
//
// The first training step of tiny.onnx, imported and simplified as the compiler
// does it, with the compiler's loss and gradients, evaluated in double. PyTorch
// computed it in float32: 2.6e-6 from float64.
//
//===----------------------------------------------------------------------===//
#include "compiler/Pipeline.h"
#include "dialects/dit/Builders.h"
#include "frontends/onnx/Import.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"
#include "passes/program/Differentiate.h"
#include "passes/program/Loss.h"
#include "runtime/data/Npy.h"
#include "test/passes/program/DiffusionConstants.h"
#include "test/passes/program/differentiate/GlobalValues.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace mlir;
using namespace dit;

namespace {

constexpr int64_t batch = 16;
constexpr size_t head = 8;

Numbers readFixture(StringRef name) {
  auto array = runtime::readArray(
      (Twine(DIT_FIXTURES) + "/tiny_train20.npz").str(), {name.str()});
  if (array)
    return runtime::arrayValues(*array);
  ADD_FAILURE() << toString(array.takeError());
  return {};
}

/// The first of the twenty steps' parts.
Numbers readFirst(StringRef name) {
  Numbers all = readFixture(name);
  all.resize(all.size() / 20);
  return all;
}

std::vector<std::string> readNames() {
  auto buffer =
      llvm::MemoryBuffer::getFile(Twine(DIT_FIXTURES) + "/tiny_names.txt");
  SmallVector<StringRef> lines;
  (*buffer)->getBuffer().split(lines, '\n', -1, /*KeepEmpty=*/false);
  return std::vector<std::string>(lines.begin(), lines.end());
}

double normOf(const Numbers &numbers) {
  double square = 0;
  for (double number : numbers)
    square += number * number;
  return std::sqrt(square);
}

class PyTorchTest : public testing::Test {
protected:
  void SetUp() override {
    DialectRegistry registry;
    registerDifferentiableModels(registry);
    context.appendDialectRegistry(registry);
    context.loadDialect<DitDialect, arith::ArithDialect, func::FuncDialect,
                        math::MathDialect, tensor::TensorDialect>();
    module = ModuleOp::create(UnknownLoc::get(&context));
    auto model =
        onnx::OnnxModel::open((Twine(DIT_FIXTURES) + "/tiny.onnx").str());
    ASSERT_TRUE(static_cast<bool>(model)) << toString(model.takeError());
    onnx::ImportOptions options;
    options.batch = batch;
    llvm::Error error = onnx::importModel(**model, options, *module,
                                          [](const llvm::Twine &) {});
    ASSERT_FALSE(error) << toString(std::move(error));
    PassManager passes(&context);
    addPhase(passes, Phase::Simplify, PipelineOptions());
    ASSERT_TRUE(succeeded(passes.run(*module)));
    step = module->lookupSymbol<func::FuncOp>("forward");
  }

  /// @forward(x_t, t, labels) becomes a step (x0, t, labels, noise, table) that
  /// returns the means of mse and vb, and the gradients.
  void makeStep() {
    Location loc = step.getLoc();
    Block &body = step.getBody().front();
    Value x0 = body.getArgument(0), t = body.getArgument(1);
    Value noise = body.addArgument(x0.getType(), loc);
    OpBuilder builder(&body, body.begin());
    Value table = body.addArgument(
        RankedTensorType::get({DiffusionConstants::steps, diffusionColumns},
                              builder.getF32Type()),
        loc);
    Value rows = createDiffusionRows(builder, loc, table, t);
    Value noisy = createNoisyPicture(builder, loc, rows, x0, noise);
    Operation *last = noisy.getDefiningOp();
    x0.replaceUsesWithIf(noisy, [&](OpOperand &use) {
      return last->isBeforeInBlock(use.getOwner());
    });

    Operation *end = body.getTerminator();
    builder.setInsertionPoint(end);
    Losses losses = createLoss(
        builder, loc, {end->getOperand(0), noise, x0, t, rows, Value()});
    SmallVector<Value> results;
    for (Value part : {losses.mse, losses.vb})
      results.push_back(
          ReduceOp::create(builder, loc, ReduceKind::Sum, part, {0}));
    SmallVector<Value> wrt;
    step.walk([&](ReadOp read) {
      auto global = module->lookupSymbol<GlobalOp>(read.getGlobal());
      if (!global.getTrainable())
        return;
      parameters.push_back(global);
      wrt.push_back(read);
    });
    auto gradients = differentiate(builder, losses.total, wrt);
    ASSERT_TRUE(succeeded(gradients));
    llvm::append_range(results, *gradients);
    end->setOperands(results);
    step.setType(builder.getFunctionType(body.getArgumentTypes(),
                                         end->getOperandTypes()));
    ASSERT_TRUE(succeeded(verify(*module)));
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  func::FuncOp step;
  std::vector<GlobalOp> parameters;
};

TEST_F(PyTorchTest, FirstStepOfTiny) {
  ASSERT_NO_FATAL_FAILURE(makeStep());
  Numbers table;
  for (double value : DiffusionConstants().table())
    table.push_back(static_cast<float>(value));
  GlobalNumbers globals;
  for (auto global : module->getOps<GlobalOp>())
    globals[global.getSymName()] = getValues(global);
  std::vector<Numbers> results =
      evaluate(step,
               {readFirst("x0"), readFirst("t"), readFirst("labels"),
                readFirst("noise"), table},
               globals);
  ASSERT_EQ(results.size(), 2 + parameters.size());
  double mse = results[0][0] / batch, vb = results[1][0] / batch;
  EXPECT_NEAR(mse, readFixture("mse")[0], 1e-6);
  // One sample has t = 0. PyTorch's run rounded ᾱ to fp32 before it took
  // √(1 − ᾱ): its x_t has 8e-5 more noise there, vb 5.6e-6 more.
  EXPECT_NEAR(vb, readFixture("vb")[0], 1e-5);

  llvm::StringMap<Numbers> gradients;
  for (auto [index, global] : llvm::enumerate(parameters))
    for (auto piece : global.getPieces().getAsRange<PieceAttr>())
      gradients[piece.getName()] = takePiece(piece, results[2 + index]);
  Numbers norms = readFixture("first_grad_norm");
  Numbers heads = readFixture("first_grad_head");
  std::vector<std::string> names = readNames();
  ASSERT_EQ(names.size(), norms.size());
  ASSERT_EQ(gradients.size(), norms.size());
  for (auto [index, name] : llvm::enumerate(names)) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(gradients.contains(name));
    const Numbers &gradient = gradients[name];
    if (StringRef(name).ends_with("to_k.bias")) {
      // Softmax does not see it.
      EXPECT_LT(normOf(gradient), 1e-12);
      continue;
    }
    double tolerance = 1e-4 * norms[index] + 1e-7;
    EXPECT_NEAR(normOf(gradient), norms[index], tolerance);
    for (size_t i = 0; i < std::min(head, gradient.size()); ++i)
      EXPECT_NEAR(gradient[i], heads[index * head + i], tolerance);
  }
}

} // namespace
