//===- VerifyFused.cpp - What must hold after fusion ----------------------===//
#include "passes/fusion/Passes.h"

#include "dialects/dit/DitDialect.h"
#include "dialects/dit/StridedView.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/fusion/OpKinds.h"
#include "passes/fusion/RowProgram.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_VERIFYFUSED
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

/// Every operand must be a buffer, or a view of one that this anchor can read.
static LogicalResult verifyAnchor(Operation *anchor) {
  for (OpOperand &operand : anchor->getOpOperands()) {
    Operation *producer = getReadBuffer(operand).getDefiningOp();
    if (producer && isViewOp(producer))
      return anchor->emitOpError("operand ")
             << operand.getOperandNumber()
             << " is not a strided view that it can read";
  }
  return success();
}

static LogicalResult verifyKernel(KernelOp kernel) {
  for (auto [index, input] : llvm::enumerate(kernel.getInputs()))
    if (Operation *producer = input.getDefiningOp();
        producer && isViewOp(producer))
      return kernel.emitOpError("input ")
             << index << " is a view; views belong inside";
  return verifyRowProgram(kernel);
}

static LogicalResult verifyOp(Operation *op) {
  if (auto kernel = dyn_cast<KernelOp>(op))
    return verifyKernel(kernel);
  if (isAnchor(op))
    return verifyAnchor(op);
  if (!isViewOp(op))
    return op->emitOpError("is left outside kernels");
  for (Operation *user : op->getUsers())
    if (!isViewOp(user) && !isAnchor(user))
      return user->emitOpError("reads a view outside kernels");
  return success();
}

namespace {
struct VerifyFused : dit::impl::VerifyFusedBase<VerifyFused> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody())
      for (Operation &op : block)
        if (failed(verifyOp(&op)))
          return signalPassFailure();
  }
};
} // namespace
