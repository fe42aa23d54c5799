//===- FuseTrainingEpilogue.cpp - GELU and its gradient in GEMMs ----------===//
//
// Sums of an operand over the depth, which make a bias's gradient beside its
// weight's, are in cuBLASLt too, but take longer there than in a kernel.
//
//===----------------------------------------------------------------------===//
#include "passes/fusion/Passes.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_FUSETRAININGEPILOGUE
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

/// What the library asks of the columns of aux.
static constexpr int64_t columnMultiple = 8;

/// The 16-bit value that `value` is, widened to fp32; null where it is none.
static Value getWidened(Value value) {
  auto widened = value.getDefiningOp<arith::ExtFOp>();
  if (!widened || !getTensorType(value).getElementType().isF32() ||
      getTensorType(widened.getIn()).getElementTypeBitWidth() != 16)
    return {};
  return widened.getIn();
}

/// The rounding to `type` that alone reads `op`.
static arith::TruncFOp getRounding(Operation *op, Type type) {
  if (!op->hasOneUse())
    return {};
  auto rounding = dyn_cast<arith::TruncFOp>(*op->user_begin());
  return rounding && rounding.getType() == type ? rounding : arith::TruncFOp();
}

/// Rows times a weight, nothing done with them yet, and as many columns as aux
/// needs.
static bool takesAux(MatmulOp matmul) {
  return matmul.getActivation() == Activation::Identity &&
         !matmul.getResidual() && !matmul.getTransposeLhs() &&
         getTensorType(matmul.getRhs()).getRank() == 2 &&
         matmul.getSizes().n % columnMultiple == 0;
}

/// The GEMM whose result is `low`, maybe by a rounding that alone reads it.
static MatmulOp getProduct(Value low) {
  if (auto matmul = low.getDefiningOp<MatmulOp>())
    return matmul;
  auto rounding = low.getDefiningOp<arith::TruncFOp>();
  auto matmul =
      rounding ? rounding.getIn().getDefiningOp<MatmulOp>() : MatmulOp();
  return matmul && matmul->hasOneUse() ? matmul : MatmulOp();
}

static bool isBefore(Value value, Operation *op) {
  Operation *producer = value.getDefiningOp();
  return !producer || producer->isBeforeInBlock(op);
}

namespace {
class TrainingEpilogues {
public:
  explicit TrainingEpilogues(bool report) : report(report) {}

  void visit(GeluOp op);
  void visit(GeluGradOp op);

private:
  void fused(Operation *op, StringRef what) {
    if (report)
      op->emitRemark("fused ") << what << " into the GEMM";
  }

  bool report;
};
} // namespace

void TrainingEpilogues::visit(GeluOp op) {
  Value low = getWidened(op.getInput());
  MatmulOp matmul = low ? getProduct(low) : MatmulOp();
  arith::TruncFOp rounding =
      low ? getRounding(op, low.getType()) : arith::TruncFOp();
  if (!rounding || !matmul || op.getApproximate() != Approximate::Tanh ||
      !takesAux(matmul))
    return;
  bool isKept = llvm::any_of(op.getInput().getUsers(), [](Operation *user) {
    return isa<GeluGradOp>(user);
  });
  // The gradient has a value before GELU that was computed again.
  bool isDropped = op->hasAttr(DitDialect::rerunAttrName) && low.hasOneUse() &&
                   op.getInput().hasOneUse();
  if (!isKept && !isDropped)
    return;
  fused(op, isKept ? "gelu_tanh, and the value before it," : "gelu_tanh");
  OpBuilder builder(matmul);
  auto made = MatmulOp::create(
      builder, matmul.getLoc(), low.getType(),
      /*saved=*/isKept ? low.getType() : Type(), matmul.getLhs(),
      matmul.getRhs(), matmul.getBias(), /*gate=*/Value(),
      /*residual=*/Value(), /*aux=*/Value(), /*transpose_lhs=*/false,
      matmul.getTransposeRhs(), Activation::GeluTanh);
  Operation *widened = op.getInput().getDefiningOp(),
            *producer = low.getDefiningOp();
  rounding.replaceAllUsesWith(made.getResult());
  rounding.erase();
  op.erase();
  if (isKept)
    low.replaceAllUsesWith(made.getSaved());
  else
    widened->erase();
  if (producer != matmul)
    producer->erase();
  matmul.erase();
}

void TrainingEpilogues::visit(GeluGradOp op) {
  Value input = getWidened(op.getInput()),
        cotangent = getWidened(op.getCotangent());
  auto matmul = cotangent ? cotangent.getDefiningOp<MatmulOp>() : MatmulOp();
  if (!input || !matmul || op.getApproximate() != Approximate::Tanh ||
      input.getType() != cotangent.getType() || !takesAux(matmul) ||
      matmul.getBias())
    return;
  arith::TruncFOp rounding = getRounding(op, input.getType());
  Operation *widened = op.getCotangent().getDefiningOp();
  if (!rounding || !cotangent.hasOneUse() || !widened->hasOneUse())
    return;
  fused(op, "the gradient of gelu_tanh");
  // A value that is computed again may come behind the product.
  if (!isBefore(input, matmul))
    matmul->moveBefore(op);
  matmul.getAuxMutable().assign(input);
  matmul.setActivation(Activation::GeluTanhGrad);
  rounding.replaceAllUsesWith(matmul.getResult());
  rounding.erase();
  op.erase();
  widened->erase();
}

namespace {
struct FuseTrainingEpilogue
    : dit::impl::FuseTrainingEpilogueBase<FuseTrainingEpilogue> {
  using FuseTrainingEpilogueBase::FuseTrainingEpilogueBase;

  void runOnOperation() override {
    TrainingEpilogues epilogues(report);
    visitAll<GeluOp>(epilogues);
    visitAll<GeluGradOp>(epilogues);
  }

  template <typename Op>
  void visitAll(TrainingEpilogues &epilogues) {
    for (Block &block : getOperation().getBody())
      for (Op op : llvm::to_vector(block.getOps<Op>()))
        epilogues.visit(op);
  }
};
} // namespace
