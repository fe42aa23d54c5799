//===- EncodeInstruction.h - Plan ops as messages ---------------*- C++ -*-===//
#ifndef COMPILER_ENCODEINSTRUCTION_H
#define COMPILER_ENCODEINSTRUCTION_H

#include "dialects/plan/PlanDialect.h"
#include "runtime/plan/plan.pb.h"

namespace dit {

/// Numbers of globals and kernels in the plan, by name.
struct PlanIndices {
  llvm::DenseMap<mlir::StringAttr, uint32_t> globals;
  llvm::DenseMap<mlir::StringAttr, uint32_t> kernels;
};

/// ELEMENT_TYPE_UNSPECIFIED for a type no plan has; the plan is then refused.
proto::ElementType encodeElementType(mlir::Type type);

/// One op of a plan.function; buffers have offsets. Its location is the name
/// of the model's node, if it has one.
proto::Instruction encodeInstruction(plan::InstructionInterface op,
                                     const PlanIndices &indices);

} // namespace dit

#endif // COMPILER_ENCODEINSTRUCTION_H
