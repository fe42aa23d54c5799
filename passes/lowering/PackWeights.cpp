//===- PackWeights.cpp - The layout of GEMM weights -----------------------===//
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/lowering/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_PACKWEIGHTS
#include "passes/lowering/Passes.h.inc"
} // namespace dit

using namespace dit;

/// Panels of 32 columns, pairs of k where there are dot products of pairs:
/// fastPanelLayout of runtime/plan/Packing.h, which the plan writer compares.
static PackedAttr fastLayout(FloatType type) {
  return PackedAttr::get(type.getContext(), /*columns=*/32,
                         /*vnni=*/type.isBF16() ? 2 : 1);
}

static bool canBePacked(dit::GlobalOp global) {
  RankedTensorType type = global.getTensorType();
  Type element = type.getElementType();
  return !global.getFlat() &&
         (global.getRole() == Role::Parameter ||
          global.getRole() == Role::Constant) &&
         type.getRank() == 2 &&
         (element.isF32() || element.isBF16() || element.isF16());
}

/// True where the operand is the [N, K] weight of a matmul.
static bool isPackableUse(OpOperand &use) {
  auto matmul = dyn_cast<MatmulOp>(use.getOwner());
  return matmul && matmul.getTransposeRhs() && &use == &matmul.getRhsMutable();
}

namespace {
struct PackWeights : dit::impl::PackWeightsBase<PackWeights> {
  void runOnOperation() override {
    llvm::DenseSet<StringAttr> used, refused;
    getOperation().walk([&](Operation *op) {
      if (auto write = dyn_cast<WriteOp>(op))
        refused.insert(write.getGlobalAttr().getAttr());
      auto read = dyn_cast<ReadOp>(op);
      if (!read)
        return;
      for (OpOperand &use : read->getUses())
        (isPackableUse(use) ? used : refused)
            .insert(read.getGlobalAttr().getAttr());
    });
    for (auto global : getOperation().getOps<dit::GlobalOp>()) {
      StringAttr name = global.getSymNameAttr();
      if (canBePacked(global) && used.contains(name) && !refused.contains(name))
        global.setPackedAttr(fastLayout(
            cast<FloatType>(global.getTensorType().getElementType())));
    }
  }
};
} // namespace
