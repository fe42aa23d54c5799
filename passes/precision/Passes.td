//===- Passes.td - Passes of the precision phase ---*- tablegen -*-===//
#ifndef DIT_PRECISION_PASSES_TD
#define DIT_PRECISION_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif // DIT_PRECISION_PASSES_TD
