//===- VerifyMemory.cpp - No two live buffers overlap ---------------------===//
#include "passes/memory/Liveness.h"
#include "passes/memory/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_VERIFYMEMORY
#include "passes/memory/Passes.h.inc"
} // namespace dit

using namespace dit;

static bool overlap(int64_t beginA, int64_t endA, int64_t beginB,
                    int64_t endB) {
  return beginA < endB && beginB < endA;
}

static LogicalResult verifyFunction(plan::FunctionOp function) {
  SmallVector<std::pair<plan::BufferOp, Interval>> live =
      findLiveBuffers(function).takeVector();
  int64_t end = 0;
  for (auto [buffer, interval] : live) {
    if (!buffer.getOffset())
      return buffer.emitOpError("has no place in the arena");
    end = std::max<int64_t>(end,
                            *buffer.getOffset() + alignedBytes(interval.bytes));
  }
  if (static_cast<int64_t>(function.getArenaBytes().value_or(0)) != end)
    return function.emitOpError("needs an arena of ") << end << " bytes";
  for (size_t i = 0; i < live.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      auto &[a, lifeA] = live[i];
      auto &[b, lifeB] = live[j];
      int64_t offsetA = *a.getOffset(), offsetB = *b.getOffset();
      if (!overlap(lifeA.begin, lifeA.end + 1, lifeB.begin, lifeB.end + 1) ||
          !overlap(offsetA, offsetA + lifeA.bytes, offsetB,
                   offsetB + lifeB.bytes))
        continue;
      InFlightDiagnostic diagnostic =
          a.emitOpError("overlaps another buffer that is live with it");
      diagnostic.attachNote(b.getLoc()) << "the other one";
      return diagnostic;
    }
  return success();
}

namespace {
struct VerifyMemory : dit::impl::VerifyMemoryBase<VerifyMemory> {
  void runOnOperation() override {
    int64_t largest = 0;
    for (auto function : getOperation().getOps<plan::FunctionOp>()) {
      if (failed(verifyFunction(function)))
        return signalPassFailure();
      largest = std::max<int64_t>(largest, *function.getArenaBytes());
    }
    auto arena = getOperation()->getAttrOfType<IntegerAttr>(
        plan::PlanDialect::arenaBytesAttrName);
    if (!arena || arena.getInt() != largest) {
      getOperation().emitOpError("needs an arena of ") << largest << " bytes";
      return signalPassFailure();
    }
  }
};
} // namespace
