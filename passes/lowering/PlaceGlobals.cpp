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

/// Whether the values of a global's pieces are known now. A plan has values for
/// a whole global or for none of it, and only where nobody writes it.
static FailureOr<bool> hasValues(dit::GlobalOp global, bool written) {
  auto pieces = global.getPieces().getAsRange<PieceAttr>();
  int64_t known = llvm::count_if(pieces, [](PieceAttr piece) {
    return isa<ElementsAttr>(piece.getSource());
  });
  if (known == 0)
    return false;
  if (known != static_cast<int64_t>(global.getPieces().size()))
    return global.emitOpError("has values for ")
           << known << " of its " << global.getPieces().size() << " pieces";
  if (written || !isModelsOwn(global))
    return global.emitOpError("has values, but is written: a plan's values are "
                              "mapped read-only");
  return true;
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
      FailureOr<bool> known = hasValues(global, written.contains(name));
      if (failed(known))
        return signalPassFailure();
      bool mapped = *known && !external;
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
