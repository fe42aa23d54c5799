//===- AddWorkspaces.cpp - Scratch memory of GPU libraries ----------------===//
#include "passes/lowering/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_ADDWORKSPACES
#include "passes/lowering/Passes.h.inc"
} // namespace dit

using namespace dit;

/// What cuBLASLt's documentation asks for on Hopper; split-K algorithms, which
/// small products want, need it.
static constexpr int64_t gemmWorkspaceBytes = int64_t(32) << 20;
/// cuDNN's fused attention needs a few hundred bytes for its tile counters; its
/// engines without any are slower.
static constexpr int64_t attentionWorkspaceBytes = 1024;

template <typename Instruction>
static void addWorkspace(plan::FunctionOp function, int64_t bytes) {
  SmallVector<Instruction> instructions(function.getOps<Instruction>());
  if (instructions.empty())
    return;
  OpBuilder builder(instructions.front());
  Value workspace = plan::BufferOp::create(builder, function.getLoc(), bytes);
  for (Instruction instruction : instructions)
    instruction.getWorkspaceMutable().assign(workspace);
}

namespace {
struct AddWorkspaces : dit::impl::AddWorkspacesBase<AddWorkspaces> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<plan::FunctionOp>()) {
      addWorkspace<plan::GemmOp>(function, gemmWorkspaceBytes);
      addWorkspace<plan::AttentionOp>(function, attentionWorkspaceBytes);
    }
  }
};
} // namespace
