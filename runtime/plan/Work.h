//===- Work.h - What an instruction has to do -----------------------------===//
#ifndef DIT_RUNTIME_PLAN_WORK_H
#define DIT_RUNTIME_PLAN_WORK_H

#include "runtime/plan/plan.pb.h"

#include <cstdint>

namespace dit::plan {

/// Floating-point operations of one execution.
uint64_t instructionFlops(const proto::Plan &plan,
                          const proto::Instruction &instruction);

/// Bytes that one execution has to read and write at least once.
uint64_t instructionBytes(const proto::Plan &plan,
                          const proto::Instruction &instruction);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_WORK_H
