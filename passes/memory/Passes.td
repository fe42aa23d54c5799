//===- Passes.td - Passes of the memory phase ---*- tablegen -*-===//
#ifndef DIT_MEMORY_PASSES_TD
#define DIT_MEMORY_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif // DIT_MEMORY_PASSES_TD
