//===- DitDialect.h - The dit dialect ---------------------------*- C++ -*-===//
#ifndef DIALECTS_DIT_DITDIALECT_H
#define DIALECTS_DIT_DITDIALECT_H

#include "dialects/dit/DifferentiableOpInterface.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/dit/DitDialect.h.inc"
#include "dialects/dit/DitEnums.h.inc"

namespace dit {
/// What the places of members in a flat global are multiples of, in elements.
inline constexpr int64_t memberAlignment = 64;
} // namespace dit

#define GET_ATTRDEF_CLASSES
#include "dialects/dit/DitAttrs.h.inc"

#define GET_OP_CLASSES
#include "dialects/dit/DitOps.h.inc"

#endif // DIALECTS_DIT_DITDIALECT_H
