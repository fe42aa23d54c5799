//===- Passes.td - Passes of the simplify phase ---*- tablegen -*-===//
#ifndef DIT_SIMPLIFY_PASSES_TD
#define DIT_SIMPLIFY_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif // DIT_SIMPLIFY_PASSES_TD
