//===- OpKinds.cpp - What fusion knows of single ops ----------------------===//
#include "passes/fusion/OpKinds.h"

#include "dialects/dit/DitDialect.h"
#include "dialects/dit/StridedView.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace dit;

bool dit::isAnchor(Operation *op) {
  return isa<MatmulOp, AttentionOp, AttentionGradOp, AfterOp, ReadOp, WriteOp,
             func::ReturnOp>(op) ||
         isPlacedConcat(op);
}

static bool isStaticTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.hasStaticShape() && tensor.getNumElements() > 0;
}

bool dit::isBodyOp(Operation *op) {
  if (isAnchor(op) || op->getNumRegions() || op->getNumResults() == 0 ||
      !isMemoryEffectFree(op))
    return false;
  return llvm::all_of(op->getOperandTypes(), isStaticTensor) &&
         llvm::all_of(op->getResultTypes(), isStaticTensor);
}

static bool isCast(Operation *op) {
  return isa<arith::ExtFOp, arith::TruncFOp, arith::SIToFPOp, arith::UIToFPOp,
             arith::FPToSIOp, arith::FPToUIOp, arith::ExtSIOp, arith::ExtUIOp,
             arith::TruncIOp>(op);
}

bool dit::isCheap(Operation *op) {
  return isViewOp(op) || isCast(op) ||
         isa<arith::ConstantOp, BroadcastOp, tensor::ConcatOp, GatherOp>(op);
}

int64_t dit::getWeight(Operation *op) {
  if (isCheap(op))
    return 0;
  if (isa<arith::DivFOp, arith::DivSIOp, arith::RemSIOp, math::SqrtOp,
          math::RsqrtOp, LayerNormOp, RmsNormOp>(op))
    return 4;
  if (isa<SigmoidOp, GeluOp, GeluGradOp, SoftmaxOp, RandomOp>(op) ||
      (isa<math::MathDialect>(op->getDialect()) &&
       !isa<math::AbsFOp, math::AbsIOp, math::FmaOp, math::FloorOp,
            math::CeilOp, math::CopySignOp, math::RoundOp, math::RoundEvenOp,
            math::TruncOp>(op)))
    return 16;
  return 1;
}

int64_t dit::countBits(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getNumElements() *
         static_cast<int64_t>(type.getElementTypeBitWidth());
}

Value dit::stripViews(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isViewOp(op) && !isCast(op) && !isa<BroadcastOp>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

/// True where a GEMM can walk the rows of `view`: the last dimension contiguous
/// and the others, less `kept` at their end, one dimension.
static bool hasRows(StridedView view, unsigned kept) {
  unsigned rank = view.sizes.size();
  if (rank == 0)
    return false;
  if (view.sizes.back() != 1 && view.strides.back() != 1)
    return false;
  return rank <= kept + 1 || view.collapse(0, rank - kept - 1);
}

static bool canRead(OpOperand &operand, const StridedView &view) {
  Operation *op = operand.getOwner();
  if (auto attention = dyn_cast<AttentionOp>(op))
    return operand.get() == attention.getMask() || hasRows(view, 3);
  if (auto gradient = dyn_cast<AttentionGradOp>(op)) {
    if (operand.get() == gradient.getLogSumExp())
      return view.isContiguous();
    return operand.get() == gradient.getMask() || hasRows(view, 3);
  }
  if (isPlacedConcat(op))
    return true;
  auto matmul = dyn_cast<MatmulOp>(op);
  if (!matmul)
    return view.isContiguous();
  if (operand.get() == matmul.getRhs())
    return hasRows(view, 1);
  if (operand.get() != matmul.getLhs() && operand.get() != matmul.getResidual())
    return hasRows(view, 0);
  // Rows of a shared rhs are one problem, or a batch that shares it; then
  // there is no gate and no residual.
  bool shared =
      cast<RankedTensorType>(matmul.getRhs().getType()).getRank() == 2 &&
      !matmul.getTransposeLhs();
  return (shared && hasRows(view, 0)) ||
         ((!shared || !matmul.getResidual()) && hasRows(view, 1));
}

Value dit::getReadBuffer(OpOperand &operand) {
  if (auto view = getStridedView(operand.get()))
    if (canRead(operand, *view))
      return view->base;
  return operand.get();
}

std::string dit::getShortName(Operation *op) {
  StringRef name = op->getName().stripDialect();
  if (isa<arith::ArithDialect>(op->getDialect()) && !isCast(op) &&
      !isa<arith::ConstantOp, arith::SelectOp>(op))
    name = name.rtrim("fi");
  return name.str();
}
