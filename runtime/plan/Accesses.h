//===- Accesses.h - What an instruction reads and writes --------*- C++ -*-===//
#ifndef DIT_RUNTIME_PLAN_ACCESSES_H
#define DIT_RUNTIME_PLAN_ACCESSES_H

#include "runtime/plan/plan.pb.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace dit::plan {

/// Calls `body` for every place that an instruction of `plan` touches; none has
/// space NONE. `isWritten` where it may write there. A place may come twice.
void visitAccesses(
    const proto::Plan &plan, const proto::Instruction &instruction,
    llvm::function_ref<void(const proto::Place &, bool isWritten)> body);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_ACCESSES_H
