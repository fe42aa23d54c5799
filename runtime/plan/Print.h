//===- Print.h - A plan as text -------------------------------------------===//
#ifndef DIT_RUNTIME_PLAN_PRINT_H
#define DIT_RUNTIME_PLAN_PRINT_H

#include "runtime/plan/Reader.h"

#include "llvm/Support/raw_ostream.h"

namespace dit::plan {

/// Prints everything a plan says: provenance, memory, globals with their
/// pieces, kernels, and each function instruction by instruction. Names from
/// the file are escaped.
void printPlan(const PlanView &plan, llvm::raw_ostream &os);

/// One instruction on one line: "gemm 512x576x192 f32 A @arena+0 ...".
void printInstruction(const proto::Plan &plan,
                      const proto::Instruction &instruction,
                      llvm::raw_ostream &os);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_PRINT_H
