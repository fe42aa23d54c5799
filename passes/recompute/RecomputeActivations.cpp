//===- RecomputeActivations.cpp - Keep fewer activations ------------------===//
#include "passes/recompute/BlockRerun.h"
#include "passes/recompute/Passes.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_RECOMPUTEACTIVATIONS
#include "passes/recompute/Passes.h.inc"
} // namespace dit

using namespace dit;

/// Drops values of all blocks until `wanted` bytes are saved, or no value saves
/// any.
static void dropBest(std::vector<BlockRerun> &blocks, int64_t wanted) {
  std::vector<std::optional<Saving>> best;
  for (const BlockRerun &block : blocks)
    best.push_back(block.findBest());
  int64_t saved = 0;
  while (saved < wanted) {
    std::optional<size_t> chosen;
    for (size_t i = 0; i < blocks.size(); ++i)
      if (best[i] && (!chosen || best[i]->isBetterThan(*best[*chosen])))
        chosen = i;
    if (!chosen)
      return;
    saved += best[*chosen]->bytes;
    blocks[*chosen].drop(*best[*chosen]);
    best[*chosen] = blocks[*chosen].findBest();
  }
}

namespace {
struct RecomputeActivations
    : dit::impl::RecomputeActivationsBase<RecomputeActivations> {
  using RecomputeActivationsBase::RecomputeActivationsBase;

  void runOnOperation() override;

private:
  /// What one function does not keep and does again.
  struct Outcome {
    size_t blocks = 0, rerun = 0;
    int64_t bytes = 0, flops = 0, allFlops = 0;
  };
  FailureOr<Outcome> rewrite(func::FuncOp function);
  void report(const Outcome &outcome);
};
} // namespace

FailureOr<RecomputeActivations::Outcome>
RecomputeActivations::rewrite(func::FuncOp function) {
  TrainingStep step(function);
  Outcome outcome;
  outcome.blocks = step.getBlocks().size();
  outcome.allFlops = step.getFlops();
  if (outcome.blocks == 0)
    return outcome;

  std::vector<BlockRerun> blocks;
  for (const ModelBlock &block : step.getBlocks().drop_back())
    blocks.emplace_back(step, block);
  if (what == "auto")
    dropBest(blocks, bytes);
  else
    for (BlockRerun &block : blocks)
      block.dropAll();
  // Last to first, as the gradient goes: a block waits for what is before it.
  for (BlockRerun &block : llvm::reverse(blocks)) {
    if (failed(block.rewrite()))
      return failure();
    outcome.rerun += block.getBytes() > 0;
    outcome.bytes += block.getBytes();
    outcome.flops += block.getFlops();
  }
  return outcome;
}

/// A size for people, in decimal units.
static std::string printBytes(int64_t bytes) {
  auto size = static_cast<double>(bytes);
  return size < 1e9 ? llvm::formatv("{0:f2} MB", size * 1e-6).str()
                    : llvm::formatv("{0:f2} GB", size * 1e-9).str();
}

/// Says what was chosen.
void RecomputeActivations::report(const Outcome &outcome) {
  InFlightDiagnostic remark = getOperation().emitRemark();
  if (outcome.bytes == 0) {
    remark << "keeps all activations";
    return;
  }
  remark << "computes " << outcome.rerun << " of " << outcome.blocks
         << " blocks again in the gradient"
         << (what == "auto" ? ", in part: " : ": ") << printBytes(outcome.bytes)
         << " of activations are not kept, "
         << llvm::formatv("{0:f1} % more FLOPs a step",
                          100.0 * static_cast<double>(outcome.flops) /
                              static_cast<double>(outcome.allFlops))
                .str();
}

void RecomputeActivations::runOnOperation() {
  ModuleOp module = getOperation();
  if (what != "block" && what != "auto") {
    module.emitOpError("may compute block or auto again, not '") << what << "'";
    return signalPassFailure();
  }
  // All functions with a gradient do the same.
  Outcome most;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isExternal() || !function.getBody().hasOneBlock())
      continue;
    FailureOr<Outcome> outcome = rewrite(function);
    if (failed(outcome))
      return signalPassFailure();
    if (outcome->blocks > most.blocks || outcome->bytes > most.bytes)
      most = *outcome;
  }
  if (most.blocks == 0 && (what == "block" || bytes > 0)) {
    module.emitOpError("has no attention with a gradient, by which the blocks "
                       "are found that are to be computed again");
    return signalPassFailure();
  }
  module->setAttr(recomputedBytesAttrName,
                  Builder(&getContext()).getI64IntegerAttr(most.bytes));
  report(most);
}
