//===- NarrowResults.cpp - Results in the type they were rounded to -------===//
#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/fusion/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_NARROWRESULTS
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

/// Whether all that use `value` are kernels, which can widen it themselves.
static bool isForKernels(Value value) {
  return llvm::all_of(value.getUsers(),
                      [](Operation *user) { return isa<KernelOp>(user); });
}

/// Widens the kernel's input `number`, which has become narrower than `wide`,
/// inside of the kernel.
static void widenInside(KernelOp kernel, unsigned number, Type wide) {
  BlockArgument argument = kernel.getBody().getArgument(number);
  argument.setType(kernel.getInputs()[number].getType());
  OpBuilder builder = OpBuilder::atBlockBegin(&kernel.getBody().front());
  auto widened =
      arith::ExtFOp::create(builder, argument.getLoc(), wide, argument);
  argument.replaceAllUsesExcept(widened, widened);
}

namespace {
struct NarrowResults : dit::impl::NarrowResultsBase<NarrowResults> {
  void runOnOperation() override {
    getOperation().walk([](KernelOp kernel) {
      Operation *yield = kernel.getBody().front().getTerminator();
      for (OpOperand &yielded : yield->getOpOperands()) {
        auto widened = yielded.get().getDefiningOp<arith::ExtFOp>();
        Value result = kernel.getResult(yielded.getOperandNumber());
        if (!widened || result.use_empty() || !isForKernels(result))
          continue;
        Type wide = result.getType();
        yielded.set(widened.getIn());
        result.setType(widened.getIn().getType());
        for (OpOperand &use : result.getUses())
          widenInside(cast<KernelOp>(use.getOwner()), use.getOperandNumber(),
                      wide);
        if (widened.use_empty())
          widened.erase();
      }
    });
  }
};
} // namespace
