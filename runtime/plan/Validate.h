//===- Validate.h - What must hold of a plan's metadata -------------------===//
#ifndef DIT_RUNTIME_PLAN_VALIDATE_H
#define DIT_RUNTIME_PLAN_VALIDATE_H

#include "runtime/plan/plan.pb.h"

#include "llvm/Support/Error.h"

namespace dit::plan {

/// Checks that a plan can be executed without looking again: every index is in
/// range, every place lies within its arena, global or the weights section,
/// every GEMM, attention and copy stays within its places, sizes do not
/// overflow, names are unique, and what `sampling` names has the type it
/// should. Exit::Malformed says what is wrong and where.
llvm::Error validate(const proto::Plan &plan, uint64_t codeBytes,
                     uint64_t weightBytes);

/// The part of validate() about one function's instructions.
llvm::Error validateFunction(const proto::Plan &plan,
                             const proto::Function &function);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_VALIDATE_H
