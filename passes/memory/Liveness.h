//===- Liveness.h - How long buffers are needed -----------------*- C++ -*-===//
#ifndef PASSES_MEMORY_LIVENESS_H
#define PASSES_MEMORY_LIVENESS_H

#include "dialects/plan/PlanDialect.h"
#include "passes/memory/PackOffsets.h"
#include "llvm/ADT/MapVector.h"

namespace dit {

/// The buffers of a function, in its order, and the instructions (counted from
/// 0) from the first to the last that touch them. Buffers that no instruction
/// touches are not there.
llvm::MapVector<plan::BufferOp, Interval>
findLiveBuffers(plan::FunctionOp function);

} // namespace dit

#endif // PASSES_MEMORY_LIVENESS_H
