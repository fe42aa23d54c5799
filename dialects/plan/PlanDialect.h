//===- PlanDialect.h - The plan dialect -------------------------*- C++ -*-===//
#ifndef DIALECTS_PLAN_PLANDIALECT_H
#define DIALECTS_PLAN_PLANDIALECT_H

#include "dialects/dit/DitDialect.h"
#include "mlir/IR/RegionKindInterface.h"

#include "dialects/plan/PlanDialect.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/plan/PlanTypes.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/plan/PlanAttrs.h.inc"

#include "dialects/plan/PlanInterfaces.h.inc"

#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.h.inc"

namespace dit::plan {

/// Where a `!plan.memory` value is.
struct Place {
  /// The plan.buffer or plan.global.
  mlir::Operation *root = nullptr;
  /// In bytes, from the root's first.
  int64_t offset = 0;
  int64_t bytes = 0;
};

/// Follows slices to the buffer or global.
Place getPlace(mlir::Value memory);

/// Bytes of one element in a plan: i1 is one byte. 0 for a type no plan has
/// (index, complex, i4).
int64_t getElementBytes(mlir::Type element);

/// Bytes of a row-major tensor.
int64_t getTensorBytes(mlir::Type tensor);

/// Bytes of a global as it is stored: with the padding of a packed layout.
int64_t getStoredBytes(GlobalOp global);

} // namespace dit::plan

#endif // DIALECTS_PLAN_PLANDIALECT_H
