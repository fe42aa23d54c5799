//===- AssignOffsets.cpp - Every buffer's place in the arena --------------===//
#include "mlir/IR/Builders.h"
#include "passes/memory/Liveness.h"
#include "passes/memory/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_ASSIGNOFFSETS
#include "passes/memory/Passes.h.inc"
} // namespace dit

using namespace dit;

/// Returns the bytes of the function's arena.
static int64_t assignOffsets(plan::FunctionOp function) {
  llvm::MapVector<plan::BufferOp, Interval> live = findLiveBuffers(function);
  for (auto buffer :
       llvm::make_early_inc_range(function.getOps<plan::BufferOp>()))
    if (buffer->use_empty())
      buffer.erase();
  SmallVector<Interval> intervals;
  for (auto &[buffer, interval] : live)
    intervals.push_back(interval);
  PackedOffsets packed = packOffsets(intervals);
  for (auto [entry, offset] : llvm::zip_equal(live, packed.offsets))
    entry.first.setOffset(offset);
  function.setArenaBytes(packed.total);
  return packed.total;
}

namespace {
struct AssignOffsets : dit::impl::AssignOffsetsBase<AssignOffsets> {
  void runOnOperation() override {
    int64_t largest = 0;
    for (auto function : getOperation().getOps<plan::FunctionOp>())
      largest = std::max(largest, assignOffsets(function));
    getOperation()->setAttr(plan::PlanDialect::arenaBytesAttrName,
                            Builder(&getContext()).getI64IntegerAttr(largest));
  }
};
} // namespace
