//===- Passes.td - Passes of the program phase ---*- tablegen -*-===//
#ifndef DIT_PROGRAM_PASSES_TD
#define DIT_PROGRAM_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif // DIT_PROGRAM_PASSES_TD
