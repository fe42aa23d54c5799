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

/// Whether the values of a global's pieces are known now, all of them or none.
static FailureOr<bool> hasValues(dit::GlobalOp global) {
  auto pieces = global.getPieces().getAsRange<PieceAttr>();
  int64_t known = llvm::count_if(pieces, [](PieceAttr piece) {
    return isa<ElementsAttr>(piece.getSource());
  });
  if (known != 0 && known != static_cast<int64_t>(global.getPieces().size()))
    return global.emitOpError("has values for ")
           << known << " of its " << global.getPieces().size() << " pieces";
  return known != 0;
}

namespace {
/// Bytes that are given out one after the other, at multiples of 64.
struct Section {
  int64_t end = 0;
  int64_t take(int64_t bytes) {
    int64_t begin = end;
    end = llvm::alignTo(end + bytes, 64);
    return begin;
  }
};

struct PlaceGlobals : dit::impl::PlaceGlobalsBase<PlaceGlobals> {
  using PlaceGlobalsBase::PlaceGlobalsBase;

  void runOnOperation() override {
    findUses();
    Section weights, memory;
    for (auto global :
         llvm::make_early_inc_range(getOperation().getOps<dit::GlobalOp>()))
      if (!global.getFlat() && failed(place(global, weights, memory)))
        return signalPassFailure();
    for (auto global : getOperation().getOps<dit::GlobalOp>())
      if (global.getFlat() && failed(placeMember(global, weights)))
        return signalPassFailure();
    Builder builder(&getContext());
    auto setTotal = [&](StringRef name, int64_t bytes) {
      getOperation()->setAttr(name, builder.getI64IntegerAttr(bytes));
    };
    setTotal(PlanDialect::weightsBytesAttrName, weights.end);
    setTotal(PlanDialect::globalsBytesAttrName, memory.end);
  }

private:
  void findUses();
  LogicalResult place(dit::GlobalOp global, Section &weights, Section &memory);
  LogicalResult placeMember(dit::GlobalOp global, Section &weights);
  void setStorage(dit::GlobalOp global, bool mapped, int64_t offset,
                  int64_t initial = -1) {
    global->setAttr(PlanDialect::storageAttrName,
                    plan::StorageAttr::get(&getContext(), mapped, offset,
                                           plan::getStoredBytes(global),
                                           initial));
  }
  bool isExternal(dit::GlobalOp global) const {
    return externalWeights && global.getRole() == Role::Parameter;
  }

  llvm::DenseSet<StringAttr> used, written;
};
} // namespace

void PlaceGlobals::findUses() {
  used.clear();
  written.clear();
  getOperation().walk([&](plan::GlobalMemoryOp op) {
    used.insert(op.getGlobalAttr().getAttr());
  });
  getOperation().walk([&](plan::InstructionInterface op) {
    for (Value memory : op.getWrites())
      if (auto global =
              dyn_cast<plan::GlobalMemoryOp>(plan::getPlace(memory).root))
        written.insert(global.getGlobalAttr().getAttr());
  });
}

LogicalResult PlaceGlobals::place(dit::GlobalOp global, Section &weights,
                                  Section &memory) {
  StringAttr name = global.getSymNameAttr();
  if (isModelsOwn(global) && !used.contains(name)) {
    global.erase();
    return success();
  }
  FailureOr<bool> known = hasValues(global);
  if (failed(known))
    return failure();
  if (*known && (written.contains(name) || !isModelsOwn(global)))
    return global.emitOpError("has values, but is written: a plan's values are "
                              "mapped read-only");
  bool mapped = *known && !isExternal(global);
  int64_t bytes = plan::getStoredBytes(global);
  setStorage(global, mapped, mapped ? weights.take(bytes) : memory.take(bytes));
  return success();
}

LogicalResult PlaceGlobals::placeMember(dit::GlobalOp global,
                                        Section &weights) {
  auto flat = SymbolTable::lookupNearestSymbolFrom<dit::GlobalOp>(
      global, global.getFlatAttr());
  auto storage =
      flat->getAttrOfType<plan::StorageAttr>(PlanDialect::storageAttrName);
  if (!storage || storage.getMapped())
    return global.emitOpError("is a member of @")
           << *global.getFlat() << ", which has no memory";
  FailureOr<bool> known = hasValues(global);
  if (failed(known))
    return failure();
  int64_t offset =
      storage.getOffset() +
      *global.getAt() *
          plan::getElementBytes(global.getTensorType().getElementType());
  // What a step makes of the parameters has their pieces too.
  bool isInitial = *known && isModelsOwn(global) && !isExternal(global);
  setStorage(global, /*mapped=*/false, offset,
             isInitial ? weights.take(plan::getStoredBytes(global)) : -1);
  return success();
}
