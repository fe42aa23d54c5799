//===- FuseGatedResidual.cpp - Kernels that a GEMM's epilogue can be ------===//
#include "passes/fusion/Passes.h"

#include "dialects/dit/Builders.h"
#include "dialects/dit/StridedView.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "passes/fusion/OpKinds.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_FUSEGATEDRESIDUAL
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {
/// `residual + gate · product`, inside a kernel.
struct GatedResidual {
  BlockArgument residual;
  /// [batch, N], before it is repeated; null where there is none.
  Value gate;
  BlockArgument product;
};
} // namespace

/// The [first, last] tensor that `value` repeats along the dimensions between.
static Value getGate(Value value) {
  auto broadcast = value.getDefiningOp<BroadcastOp>();
  int64_t last = getTensorType(value).getRank() - 1;
  if (broadcast && broadcast.getDims() == ArrayRef<int64_t>({0, last}))
    return broadcast.getInput();
  return last == 1 ? value : Value();
}

/// The argument of the body that `value` sees through views; null where it is
/// computed.
static BlockArgument getArgument(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isViewOp(op))
      return {};
    value = op->getOperand(0);
  }
  return cast<BlockArgument>(value);
}

static BlockArgument asProduct(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  return argument && argument.hasOneUse() ? argument : BlockArgument();
}

/// What the kernel computes, if it is this and nothing else.
static std::optional<GatedResidual> match(KernelOp kernel) {
  Block &body = kernel.getBody().front();
  Operation *end = body.getTerminator();
  if (end->getNumOperands() != 1)
    return std::nullopt;
  auto sum = end->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!sum)
    return std::nullopt;
  for (auto [left, right] : {std::pair(sum.getLhs(), sum.getRhs()),
                             std::pair(sum.getRhs(), sum.getLhs())}) {
    auto residual = dyn_cast<BlockArgument>(left);
    if (!residual)
      continue;
    auto scaled = right.getDefiningOp<arith::MulFOp>();
    if (!scaled) {
      if (BlockArgument product = asProduct(right))
        return GatedResidual{residual, {}, product};
      continue;
    }
    for (auto [factor, branch] : {std::pair(scaled.getLhs(), scaled.getRhs()),
                                  std::pair(scaled.getRhs(), scaled.getLhs())})
      if (Value gate = getGate(factor); gate && getArgument(gate))
        if (BlockArgument product = asProduct(branch))
          return GatedResidual{residual, gate, product};
  }
  return std::nullopt;
}

/// The views that make `value` inside the kernel, made outside it.
static Value cloneOutside(OpBuilder &builder, KernelOp kernel, Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return kernel.getInputs()[argument.getArgNumber()];
  Operation *op = value.getDefiningOp();
  IRMapping mapping;
  mapping.map(op->getOperand(0),
              cloneOutside(builder, kernel, op->getOperand(0)));
  return builder.clone(*op, mapping)->getResult(0);
}

/// Why the GEMM cannot do it; empty where it can. `library`: it is a library's.
static StringRef findObstacle(const GatedResidual &found, MatmulOp matmul,
                              bool library) {
  if (!matmul->hasOneUse())
    return "the GEMM's result is used too";
  if (matmul.getResidual())
    return "the GEMM has a residual already";
  if (matmul.getType() != found.residual.getType())
    return "the residual is not like the GEMM's result";
  bool isBatch = getTensorType(matmul.getRhs()).getRank() != 2 ||
                 (matmul.getTransposeLhs() &&
                  getTensorType(matmul.getLhs()).getRank() != 2);
  if (isBatch)
    return "the GEMM is a batch of products";
  if (library != matmul.getTransposeLhs())
    return library ? "the GEMM is a library's, and no sum over rows"
                   : "the GEMM is a sum over rows, which a kernel adds faster";
  if (library)
    return found.gate ? "the library's GEMM has no gate" : "";
  std::optional<StridedView> rows = getStridedView(matmul.getLhs());
  if (!rows || !rows->collapse(0, rows->sizes.size() - 1))
    return "the GEMM's rows have no single stride";
  return {};
}

static void fuse(KernelOp kernel, bool report, bool library) {
  std::optional<GatedResidual> found = match(kernel);
  if (!found)
    return;
  auto inputOf = [&](BlockArgument argument) {
    return kernel.getInputs()[argument.getArgNumber()];
  };
  auto matmul = inputOf(found->product).getDefiningOp<MatmulOp>();
  // Without a gate both sides may be products; the other may be the GEMM.
  if (!matmul && !found->gate && asProduct(found->residual)) {
    std::swap(found->residual, found->product);
    matmul = inputOf(found->product).getDefiningOp<MatmulOp>();
  }
  if (!matmul)
    return;
  if (StringRef obstacle = findObstacle(*found, matmul, library);
      !obstacle.empty()) {
    if (report)
      kernel.emitRemark("not fused: ") << obstacle;
    return;
  }

  if (report)
    kernel.emitRemark("fused ")
        << (found->gate ? "gate and residual" : "residual") << " into the GEMM";
  OpBuilder builder(kernel);
  Value gate =
      found->gate ? cloneOutside(builder, kernel, found->gate) : Value();
  auto fused =
      MatmulOp::create(builder, matmul.getLoc(), matmul.getType(),
                       matmul.getLhs(), matmul.getRhs(), matmul.getBias(), gate,
                       inputOf(found->residual), matmul.getTransposeLhs(),
                       matmul.getTransposeRhs(), matmul.getActivation());
  kernel.getResult(0).replaceAllUsesWith(fused.getResult());
  kernel.erase();
  matmul.erase();
}

namespace {
struct FuseGatedResidual : dit::impl::FuseGatedResidualBase<FuseGatedResidual> {
  using FuseGatedResidualBase::FuseGatedResidualBase;

  void runOnOperation() override {
    for (Block &block : getOperation().getBody())
      for (auto kernel : llvm::make_early_inc_range(block.getOps<KernelOp>()))
        fuse(kernel, report, library);
  }
};
} // namespace
