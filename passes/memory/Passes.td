//===- Passes.td - Passes of the memory phase ---*- tablegen -*-===//
#ifndef DIT_MEMORY_PASSES_TD
#define DIT_MEMORY_PASSES_TD

include "mlir/Pass/PassBase.td"

def AssignOffsets : Pass<"dit-assign-offsets", "::mlir::ModuleOp"> {
  let summary = "give every buffer its place in the arena";
  let description = [{
    A function's instructions run in order, so a buffer is live from the first
    to the last that uses it. Buffers whose lives overlap get disjoint bytes
    (PackOffsets.h); each function has the arena to itself, so the arena is as
    large as the largest function. Buffers that nobody uses go.

    ```mlir
    plan.function @f step = "forward" {
      %x = plan.global @x 768
      %0 = plan.buffer 768
      plan.copy %x to %0
    ```
    becomes
    ```mlir
    plan.function @f step = "forward" arena_bytes = 768 {
      %x = plan.global @x 768
      %0 = plan.buffer 768 at 0
      plan.copy %x to %0
    ```
    The module gets `plan.arena_bytes`. Last of all: nothing after it may move
    an instruction.
  }];
  let dependentDialects = ["::dit::plan::PlanDialect"];
  let options = [Option<"report", "report", "bool", "false",
                        "remark each function's arena and what is lost in it">];
}

def VerifyMemory : Pass<"dit-verify-memory", "::mlir::ModuleOp"> {
  let summary = "check that no two live buffers overlap";
  let description = [{
    Looks at every two buffers of a function again, by what their instructions
    say and not by what the packing believed; `arena_bytes` is exactly the end
    of the last buffer, and the module's that of the largest function.
  }];
}

#endif // DIT_MEMORY_PASSES_TD
