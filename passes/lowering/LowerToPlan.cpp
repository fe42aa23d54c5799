//===- LowerToPlan.cpp - Step functions to plan IR ------------------------===//
#include "passes/lowering/FunctionLowering.h"
#include "passes/lowering/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_LOWERTOPLAN
#include "passes/lowering/Passes.h.inc"
} // namespace dit

using namespace dit;

StringAttr ConstantTable::getGlobal(arith::ConstantOp constant) {
  auto values = cast<ElementsAttr>(constant.getValue());
  StringAttr &name = names[values];
  if (name)
    return name;
  auto type = cast<RankedTensorType>(constant.getType());
  OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
  for (unsigned number = names.size() - 1;; ++number) {
    name = builder.getStringAttr("constant_" + llvm::Twine(number));
    if (!SymbolTable::lookupSymbolIn(module, name))
      break;
  }
  dit::GlobalOp::create(builder, constant.getLoc(), name.getValue(),
                        Role::Constant, type,
                        {PieceAttr::getIdentity("", type, values)});
  return name;
}

/// Reads of constants, and tensors of the plan's functions, are of instructions
/// only: what a step may contain is checked op by op.
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
