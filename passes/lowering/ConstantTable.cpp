//===- ConstantTable.cpp - Globals for constants --------------------------===//
#include "passes/lowering/ConstantTable.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace dit;

StringAttr ConstantTable::getGlobal(arith::ConstantOp constant) {
  auto values = cast<ElementsAttr>(constant.getValue());
  StringAttr &name = names[values];
  if (name)
    return name;
  auto type = cast<RankedTensorType>(constant.getType());
  OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
  for (unsigned number = names.size() - 1;; ++number) {
    name = builder.getStringAttr("constant_" + llvm::Twine(number));
    if (!SymbolTable::lookupSymbolIn(module, name))
      break;
  }
  dit::GlobalOp::create(builder, constant.getLoc(), name.getValue(),
                        Role::Constant, type,
                        {PieceAttr::getIdentity("", type, values)});
  return name;
}
