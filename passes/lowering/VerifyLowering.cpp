//===- VerifyLowering.cpp - What holds after the lowering phase -----------===//
#include "passes/lowering/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_VERIFYLOWERING
#include "passes/lowering/Passes.h.inc"
} // namespace dit

using namespace dit;

static LogicalResult
verifyTopLevel(Operation &op, const llvm::DenseSet<StringAttr> &launched) {
  if (auto global = dyn_cast<dit::GlobalOp>(op)) {
    if (!global->hasAttr(plan::PlanDialect::storageAttrName))
      return global.emitOpError("has no place");
    return success();
  }
  if (auto kernel = dyn_cast<plan::KernelOp>(op)) {
    if (!launched.contains(kernel.getSymNameAttr()))
      return kernel.emitOpError("is never launched");
    return success();
  }
  if (!isa<plan::FunctionOp>(op))
    return op.emitOpError("is left after lowering");
  return success();
}

namespace {
struct VerifyLowering : dit::impl::VerifyLoweringBase<VerifyLowering> {
  void runOnOperation() override {
    // The verifiers of the ops see to the rest: a plan.function holds
    // instructions on memory and nothing else.
    llvm::DenseSet<StringAttr> launched;
    getOperation().walk([&](plan::LaunchOp op) {
      launched.insert(op.getKernelAttr().getAttr());
    });
    for (Operation &op : *getOperation().getBody())
      if (failed(verifyTopLevel(op, launched)))
        return signalPassFailure();
  }
};
} // namespace
