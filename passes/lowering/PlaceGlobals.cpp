//===- PlaceGlobals.cpp - Where every global's bytes are ------------------===//
#include "mlir/IR/Builders.h"
#include "passes/lowering/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_PLACEGLOBALS
#include "passes/lowering/Passes.h.inc"
} // namespace dit

using namespace dit;
using dit::plan::PlanDialect;

static bool isModelsOwn(dit::GlobalOp global) {
  return global.getRole() == Role::Parameter ||
         global.getRole() == Role::Constant;
}

/// True where every value of the global is known now.
static bool hasValues(dit::GlobalOp global) {
  return !global.getPieces().empty() &&
         llvm::all_of(global.getPieces().getAsRange<PieceAttr>(),
                      [](PieceAttr piece) {
                        return isa<ElementsAttr>(piece.getSource());
                      });
}

namespace {
struct PlaceGlobals : dit::impl::PlaceGlobalsBase<PlaceGlobals> {
  using PlaceGlobalsBase::PlaceGlobalsBase;

  void runOnOperation() override {
    llvm::DenseSet<StringAttr> used, written;
    getOperation().walk([&](plan::GlobalMemoryOp op) {
      used.insert(op.getGlobalAttr().getAttr());
    });
    getOperation().walk([&](plan::InstructionInterface op) {
      for (Value memory : op.getWrites())
        if (auto global =
                dyn_cast<plan::GlobalMemoryOp>(plan::getPlace(memory).root))
          written.insert(global.getGlobalAttr().getAttr());
    });

    int64_t mappedBytes = 0, memoryBytes = 0;
    Builder builder(&getContext());
    for (auto global :
         llvm::make_early_inc_range(getOperation().getOps<dit::GlobalOp>())) {
      StringAttr name = global.getSymNameAttr();
      if (isModelsOwn(global) && !used.contains(name)) {
        global.erase();
        continue;
      }
      bool external = externalWeights && global.getRole() == Role::Parameter;
      bool mapped = isModelsOwn(global) && hasValues(global) && !external &&
                    !written.contains(name);
      int64_t &end = mapped ? mappedBytes : memoryBytes;
      int64_t bytes = plan::getStoredBytes(global);
      global->setAttr(
          PlanDialect::storageAttrName,
          plan::StorageAttr::get(&getContext(), mapped, end, bytes));
      end = llvm::alignTo(end + bytes, 64);
    }
    auto setTotal = [&](StringRef name, int64_t bytes) {
      getOperation()->setAttr(name, builder.getI64IntegerAttr(bytes));
    };
    setTotal(PlanDialect::weightsBytesAttrName, mappedBytes);
    setTotal(PlanDialect::globalsBytesAttrName, memoryBytes);
  }
};
} // namespace
