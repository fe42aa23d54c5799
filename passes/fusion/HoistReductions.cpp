//===- HoistReductions.cpp - Kernels that shrink run where they can -------===//
#include "passes/fusion/OpKinds.h"
#include "passes/fusion/Passes.h"

#include "dialects/dit/DitDialect.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_HOISTREDUCTIONS
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

/// Results that are that much smaller than an operand are cheap to keep.
static constexpr int64_t leastShrinking = 4;

static bool shrinks(KernelOp kernel) {
  int64_t made = 0, largest = 0;
  for (Value result : kernel.getResults())
    made += countBits(result);
  for (Value input : kernel.getInputs())
    largest = std::max(largest, countBits(input));
  return made * leastShrinking <= largest;
}

/// The last op of the block that makes an operand, null where none does.
static Operation *findLastOperand(KernelOp kernel) {
  Operation *last = nullptr;
  for (Value input : kernel.getInputs()) {
    Operation *producer = input.getDefiningOp();
    if (producer && (!last || last->isBeforeInBlock(producer)))
      last = producer;
  }
  return last;
}

namespace {
struct HoistReductions : dit::impl::HoistReductionsBase<HoistReductions> {
  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    // Of kernels behind one op the first stays the first.
    DenseMap<Operation *, Operation *> behind;
    for (KernelOp kernel :
         llvm::to_vector(getOperation().getBody().getOps<KernelOp>())) {
      Operation *last = findLastOperand(kernel);
      if (!last || !shrinks(kernel))
        continue;
      Operation *&place = behind.try_emplace(last, last).first->second;
      if (place->getNextNode() != kernel)
        kernel->moveAfter(place);
      place = kernel;
    }
  }
};
} // namespace
