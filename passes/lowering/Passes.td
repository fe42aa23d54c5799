//===- Passes.td - Passes of the lowering phase ---*- tablegen -*-===//
#ifndef DIT_LOWERING_PASSES_TD
#define DIT_LOWERING_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif // DIT_LOWERING_PASSES_TD
