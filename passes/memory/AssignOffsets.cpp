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

/// Returns what the function needs of the arena.
static PackedOffsets assignOffsets(plan::FunctionOp function) {
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
  return packed;
}

namespace {
struct AssignOffsets : dit::impl::AssignOffsetsBase<AssignOffsets> {
  using AssignOffsetsBase::AssignOffsetsBase;

  void runOnOperation() override {
    int64_t largest = 0;
    for (auto function : getOperation().getOps<plan::FunctionOp>()) {
      PackedOffsets packed = assignOffsets(function);
      largest = std::max(largest, packed.total);
      if (report)
        function.emitRemark("needs ")
            << packed.total << " bytes of the arena, of which "
            << packed.total - packed.lowerBound << " are lost to fragmentation";
    }
    getOperation()->setAttr(plan::PlanDialect::arenaBytesAttrName,
                            Builder(&getContext()).getI64IntegerAttr(largest));
  }
};
} // namespace
