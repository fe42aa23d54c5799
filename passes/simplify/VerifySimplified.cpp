//===- VerifySimplified.cpp - What is true after simplify -----------------===//
//
// See VerifySimplified in Passes.td.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/Passes.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_VERIFYSIMPLIFIED
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

static bool isStaticTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.hasStaticShape();
}

static LogicalResult verifyOp(Operation *op) {
  for (Type type : op->getResultTypes())
    if (!isStaticTensor(type))
      return op->emitOpError("gives ")
             << type << ": after simplify every value is a tensor of static "
             << "shape";
  Dialect *dialect = op->getDialect();
  bool known =
      isa_and_nonnull<arith::ArithDialect, math::MathDialect, DitDialect>(
          dialect) ||
      isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp,
          tensor::ExtractSliceOp, tensor::ConcatOp>(op);
  if (!known)
    return op->emitOpError("is not in the subset that simplify leaves; see "
                           "dit-verify-simplified");
  if (auto matmul = dyn_cast<MatmulOp>(op))
    if (getTensorType(matmul.getRhs()).getRank() == 2 &&
        !matmul.getTransposeLhs() && !matmul.getTransposeRhs())
      return op->emitOpError("has a shared rhs that is not [out, in]");
  return success();
}

/// Remarks what is allowed, but is slower than what was hoped for.
static void explain(Operation *op) {
  if (isa<SoftmaxOp>(op))
    op->emitRemark("left: a softmax outside attention, stored whole");
  if (isa<math::TanhOp, math::ErfOp>(op))
    op->emitRemark("left: outside GELU");
  if (auto attention = dyn_cast<AttentionOp>(op))
    for (Value operand : attention.getOperands().take_front(3))
      if (isa_and_nonnull<TransposeOp>(operand.getDefiningOp()))
        op->emitRemark("left: an operand is a transpose, which is copied");
  bool integers = isa<arith::ArithDialect>(op->getDialect()) &&
                  !isa<arith::ConstantOp>(op) && op->getNumOperands() == 2 &&
                  getElementTypeOrSelf(op->getResultTypes()[0]).isInteger() &&
                  !getElementTypeOrSelf(op->getResultTypes()[0]).isInteger(1);
  if (integers)
    op->emitRemark("left: integer arithmetic that depends on an input");
}

namespace {

struct VerifySimplified : dit::impl::VerifySimplifiedBase<VerifySimplified> {
  using VerifySimplifiedBase::VerifySimplifiedBase;
  void runOnOperation() override {
    WalkResult result = getOperation().walk([&](Operation *op) -> WalkResult {
      if (isa<ModuleOp, func::FuncOp, func::ReturnOp, GlobalOp>(op))
        return WalkResult::advance();
      if (failed(verifyOp(op)))
        return WalkResult::interrupt();
      if (report)
        explain(op);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
