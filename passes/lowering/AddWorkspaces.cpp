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

static bool isLibrarys(plan::GemmOp) { return true; }
static bool isLibrarys(plan::AttentionOp op) { return !op.getOurs(); }

template <typename Instruction>
static void addWorkspace(plan::FunctionOp function, int64_t bytes) {
  SmallVector<Instruction> instructions;
  for (Instruction instruction : function.getOps<Instruction>())
    if (isLibrarys(instruction))
      instructions.push_back(instruction);
  if (instructions.empty())
    return;
  OpBuilder builder(instructions.front());
  Value workspace = plan::BufferOp::create(builder, function.getLoc(), bytes);
  for (Instruction instruction : instructions)
    instruction.getWorkspaceMutable().assign(workspace);
}

/// What cuDNN 9.19's deterministic gradient needs on sm_90: a number a query,
/// of our own; ds in 16 bits, in tiles; and where heads share keys, gradients
/// of each. Another version may ask for more: it is refused with the size.
static int64_t getWorkspaceBytes(plan::AttentionGradOp op) {
  ArrayRef<int64_t> sizes = op.getSizes();
  int64_t heads = sizes[0] * sizes[1], queries = sizes[2], keys = sizes[3];
  int64_t bytes =
      llvm::alignTo(4 * heads * queries, 256) + 256 +
      2 * heads * llvm::alignTo(queries, 64) * llvm::alignTo(keys, 128);
  if (op.getKeyHeadGroup() != 1)
    bytes += 2 * heads * keys * (sizes[4] + sizes[5]);
  return bytes;
}

/// Megabytes each, and needed nowhere between: a buffer for every instruction
/// of a library's, so that others may have the memory meanwhile.
static void addGradientWorkspaces(plan::FunctionOp function) {
  for (auto op : function.getOps<plan::AttentionGradOp>()) {
    if (op.getOurs())
      continue;
    OpBuilder builder(op);
    op.getWorkspaceMutable().assign(
        plan::BufferOp::create(builder, op.getLoc(), getWorkspaceBytes(op)));
  }
}

namespace {
struct AddWorkspaces : dit::impl::AddWorkspacesBase<AddWorkspaces> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<plan::FunctionOp>()) {
      addWorkspace<plan::GemmOp>(function, gemmWorkspaceBytes);
      addWorkspace<plan::AttentionOp>(function, attentionWorkspaceBytes);
      addGradientWorkspaces(function);
    }
  }
};
} // namespace
