//===- Passes.td - Passes of the fusion phase ---*- tablegen -*-===//
#ifndef DIT_FUSION_PASSES_TD
#define DIT_FUSION_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif // DIT_FUSION_PASSES_TD
