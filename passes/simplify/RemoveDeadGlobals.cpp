//===- RemoveDeadGlobals.cpp - Drop weights that nobody reads -------------===//
//
// See RemoveDeadGlobals in Passes.td.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/Passes.h"

#include "dialects/dit/DitDialect.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_REMOVEDEADGLOBALS
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {

struct RemoveDeadGlobals : dit::impl::RemoveDeadGlobalsBase<RemoveDeadGlobals> {
  using RemoveDeadGlobalsBase::RemoveDeadGlobalsBase;
  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::StringSet<> used;
    SmallVector<ReadOp> deadReads;
    module.walk([&](Operation *op) {
      if (auto read = dyn_cast<ReadOp>(op)) {
        if (read->use_empty())
          deadReads.push_back(read);
        else
          used.insert(read.getGlobal());
      } else if (auto write = dyn_cast<WriteOp>(op)) {
        used.insert(write.getGlobal());
      }
    });
    for (ReadOp read : deadReads)
      read->erase();
    for (auto global : llvm::make_early_inc_range(module.getOps<GlobalOp>()))
      if ((global.getRole() == Role::Parameter ||
           global.getRole() == Role::Constant) &&
          !used.contains(global.getSymName())) {
        if (report)
          global.emitRemark("removed: nobody reads it");
        global.erase();
      }
  }
};

} // namespace
