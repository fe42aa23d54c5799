//===- InPlace.cpp - When a result may take an operand's memory -----------===//
#include "passes/lowering/InPlace.h"

#include "dialects/dit/ColumnSums.h"
#include "dialects/dit/StridedView.h"
#include "dialects/plan/PlanDialect.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace dit;

/// True where element i of every result needs only element i of the operands,
/// counted in row-major order.
static bool keepsPoint(Operation *op) {
  return op->hasTrait<OpTrait::Elementwise>() ||
         isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, YieldOp>(op);
}

bool dit::readsOnlyOwnPoint(KernelOp kernel, unsigned input, unsigned result) {
  int64_t points = 1;
  for (int64_t size : kernel.getSpace())
    points *= size;
  auto from = cast<RankedTensorType>(kernel.getInputs()[input].getType());
  auto to = cast<RankedTensorType>(kernel.getResult(result).getType());
  if (from.getNumElements() != points || to.getNumElements() != points ||
      plan::getTensorBytes(from) != plan::getTensorBytes(to))
    return false;

  SmallVector<Value> reached{kernel.getBody().front().getArgument(input)};
  while (!reached.empty())
    for (Operation *user : reached.pop_back_val().getUsers()) {
      // Column sums add a point where they compute it.
      if (user->getNumResults() == 1 && getColumnSum(user->getResult(0)))
        continue;
      if (!keepsPoint(user))
        return false;
      llvm::append_range(reached, user->getResults());
    }
  return true;
}

bool dit::readsInPlace(OpResult result, Value base) {
  Operation *producer = result.getOwner();
  for (OpOperand &operand : producer->getOpOperands()) {
    std::optional<StridedView> view = getStridedView(operand.get());
    if (!view)
      return false;
    if (view->base != base)
      continue;
    if (!view->isWhole())
      return false;
    if (auto kernel = dyn_cast<KernelOp>(producer)) {
      if (!readsOnlyOwnPoint(kernel, operand.getOperandNumber(),
                             result.getResultNumber()))
        return false;
      continue;
    }
    auto matmul = dyn_cast<MatmulOp>(producer);
    if (!matmul || !matmul.getResidual() || result.getResultNumber() != 0 ||
        &operand != &matmul.getResidualMutable()[0])
      return false;
  }
  return true;
}
