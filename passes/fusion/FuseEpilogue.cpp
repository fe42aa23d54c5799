//===- FuseEpilogue.cpp - What a GEMM does with its result ----------------===//
//
// Looks at the one reader of each GEMM's result, again and again, in the order
// in which an epilogue works: bias, activation, rounding.
//
//===----------------------------------------------------------------------===//
#include "passes/fusion/Passes.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_FUSEEPILOGUE
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

/// The [N] that `value` repeats along all other dimensions, null where it is
/// something else.
static Value getRow(Value value) {
  auto broadcast = value.getDefiningOp<BroadcastOp>();
  int64_t last = getTensorType(value).getRank() - 1;
  if (!broadcast || broadcast.getDims() != ArrayRef<int64_t>({last}))
    return {};
  return broadcast.getInput();
}

/// `value` seen through reshapes that nobody else reads.
static Value skipReshapes(Value value) {
  while (isa_and_present<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(
             value.getDefiningOp()) &&
         value.getDefiningOp()->getOperand(0).hasOneUse())
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

/// True for GELU and SiLU that the gradient may compute again, in a kernel: the
/// same bits are wanted of both.
static bool isComputedTwice(Operation *op) {
  if (isa<arith::MulFOp>(op))
    return llvm::any_of(op->getOperands(), [](Value operand) {
      auto sigmoid = operand.getDefiningOp<SigmoidOp>();
      return sigmoid && sigmoid->hasAttr(DitDialect::rerunAttrName);
    });
  return op->hasAttr(DitDialect::rerunAttrName);
}

namespace {
class EpilogueFusion {
public:
  EpilogueFusion(bool report, bool library)
      : report(report), library(library) {}

  /// Fuses `op`, whose operand a GEMM may have made, into that GEMM.
  void visit(Operation *op);

private:
  bool fuseBias(arith::AddFOp op, MatmulOp matmul, Value other);
  bool fuseActivation(Operation *op, Value input, Activation activation);
  void fuseRounding(arith::TruncFOp op);
  void refuse(Operation *op, StringRef reason) {
    if (report)
      op->emitRemark("not fused: ") << reason;
  }
  void fused(Operation *op, StringRef what) {
    if (report)
      op->emitRemark("fused ") << what << " into the GEMM";
  }

  bool report, library;
};
} // namespace

bool EpilogueFusion::fuseBias(arith::AddFOp op, MatmulOp matmul, Value other) {
  Value row = getRow(other);
  if (!row)
    return false;
  if (matmul.getBias() || matmul.getActivation() != Activation::Identity)
    return refuse(op, "the GEMM's epilogue adds a bias or applies an "
                      "activation before"),
           true;
  if (!matmul->hasOneUse())
    return refuse(op, "the GEMM's result without bias is used too"), true;
  fused(op, "the bias");
  // The bias must be there before the product.
  OpBuilder builder(op);
  Value result =
      MatmulOp::create(builder, matmul.getLoc(), op.getType(), matmul.getLhs(),
                       matmul.getRhs(), row, matmul.getTransposeRhs());
  result.getDefiningOp<MatmulOp>().setTransposeLhs(matmul.getTransposeLhs());
  op.replaceAllUsesWith(result);
  op.erase();
  matmul.erase();
  return true;
}

/// `op` applies `activation` to `input`; true where the GEMM does it now.
bool EpilogueFusion::fuseActivation(Operation *op, Value input,
                                    Activation activation) {
  if (auto widened = input.getDefiningOp<arith::ExtFOp>();
      widened && widened.getIn().getDefiningOp<MatmulOp>())
    return refuse(op, "the product is rounded before the activation"), false;
  auto matmul = skipReshapes(input).getDefiningOp<MatmulOp>();
  if (!matmul)
    return false;
  if (matmul.getActivation() != Activation::Identity || matmul.getResidual())
    return refuse(op, "the GEMM's epilogue ends before it"), false;
  if (isComputedTwice(op))
    return refuse(op, "it is computed again for the gradient, by a kernel"),
           false;
  // SiLU reads its input twice.
  bool onlyHere = llvm::all_of(input.getUsers(), [&](Operation *user) {
    return user == op || (activation == Activation::Silu &&
                          isa<SigmoidOp>(user) && user->hasOneUse());
  });
  if (!onlyHere)
    return refuse(op, "the value before the activation is used too"), false;
  if (library && activation != Activation::GeluTanh)
    return refuse(op, "the library's GEMM has no such activation"), false;
  fused(op, stringifyActivation(activation));
  matmul.setActivation(activation);
  op->getResult(0).replaceAllUsesWith(input);
  op->erase();
  return true;
}

void EpilogueFusion::fuseRounding(arith::TruncFOp op) {
  auto matmul = op.getIn().getDefiningOp<MatmulOp>();
  if (!matmul || matmul.getResidual())
    return;
  if (!matmul->hasOneUse())
    return refuse(op, "the value before the rounding is used too");
  fused(op, "the rounding");
  matmul.getResult().setType(cast<RankedTensorType>(op.getType()));
  op.replaceAllUsesWith(matmul.getResult());
  op.erase();
}

void EpilogueFusion::visit(Operation *op) {
  if (auto add = dyn_cast<arith::AddFOp>(op)) {
    for (auto [product, other] : {std::pair(add.getLhs(), add.getRhs()),
                                  std::pair(add.getRhs(), add.getLhs())})
      if (auto matmul = product.getDefiningOp<MatmulOp>())
        if (fuseBias(add, matmul, other))
          return;
  } else if (auto gelu = dyn_cast<GeluOp>(op)) {
    fuseActivation(gelu, gelu.getInput(),
                   gelu.getApproximate() == Approximate::Tanh
                       ? Activation::GeluTanh
                       : Activation::GeluErf);
  } else if (auto product = dyn_cast<arith::MulFOp>(op)) {
    for (auto [input, factor] : {std::pair(product.getLhs(), product.getRhs()),
                                 std::pair(product.getRhs(), product.getLhs())})
      if (auto sigmoid = factor.getDefiningOp<SigmoidOp>();
          sigmoid && sigmoid.getInput() == input) {
        if (fuseActivation(product, input, Activation::Silu))
          sigmoid.erase();
        return;
      }
  } else if (auto round = dyn_cast<arith::TruncFOp>(op)) {
    fuseRounding(round);
  }
}

namespace {
struct FuseEpilogue : dit::impl::FuseEpilogueBase<FuseEpilogue> {
  using FuseEpilogueBase::FuseEpilogueBase;

  void runOnOperation() override {
    EpilogueFusion fusion(report, library);
    for (Block &block : getOperation().getBody())
      for (Operation &op : llvm::make_early_inc_range(block))
        fusion.visit(&op);
    // Kernels that compute the same are one kernel.
    getOperation().walk(
        [](Operation *op) { op->removeAttr(DitDialect::rerunAttrName); });
  }
};
} // namespace
