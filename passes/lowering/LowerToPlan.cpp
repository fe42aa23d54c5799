//===- LowerToPlan.cpp - Step functions to plan IR ------------------------===//
#include "passes/lowering/FunctionLowering.h"
#include "passes/lowering/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_LOWERTOPLAN
#include "passes/lowering/Passes.h.inc"
} // namespace dit

using namespace dit;

static LogicalResult lowerFunction(func::FuncOp function, KernelTable &kernels,
                                   ConstantTable &constants, bool report) {
  auto step = function->getAttrOfType<StringAttr>("dit.step");
  if (!step || function.getNumArguments() || function.getNumResults())
    return function.emitOpError("is no step function: it needs 'dit.step' and "
                                "no arguments or results");
  if (!function.getBody().hasOneBlock())
    return function.emitOpError("must be one block");
  OpBuilder builder(function);
  auto target = plan::FunctionOp::create(builder, function.getLoc(),
                                         function.getSymName(), step);
  FunctionLowering lowering(function, target, kernels, constants, report);
  if (failed(lowering.run()))
    return failure();
  function.erase();
  return success();
}

namespace {
struct LowerToPlan : dit::impl::LowerToPlanBase<LowerToPlan> {
  using LowerToPlanBase::LowerToPlanBase;

  void runOnOperation() override {
    KernelTable kernels(getOperation());
    ConstantTable constants(getOperation());
    for (auto function :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (failed(lowerFunction(function, kernels, constants, report)))
        return signalPassFailure();
  }
};
} // namespace
