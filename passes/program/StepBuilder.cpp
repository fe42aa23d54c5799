//===- StepBuilder.cpp - Globals and step functions -----------------------===//
#include "passes/program/StepBuilder.h"

#include "dialects/dit/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace dit;

StepBuilder::StepBuilder(ModuleOp module)
    : module(module), symbols(module), builder(module.getContext()) {}

GlobalOp StepBuilder::addGlobal(StringRef name, Role role,
                                RankedTensorType type) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(module.getBody());
  auto global = GlobalOp::create(builder, getLoc(), name, role, type);
  // Order of creation is the order in the file: after the last global.
  Operation *last = global;
  for (auto other : module.getOps<GlobalOp>())
    last = other;
  if (last != global)
    global->moveAfter(last);
  symbols.insert(global);
  return global;
}

func::FuncOp StepBuilder::beginStep(StringRef name, StringRef step) {
  builder.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(builder, getLoc(), name,
                                       builder.getFunctionType({}, {}));
  function->setAttr("dit.step", builder.getStringAttr(step));
  symbols.insert(function);
  builder.setInsertionPointToStart(function.addEntryBlock());
  auto end = func::ReturnOp::create(builder, getLoc());
  builder.setInsertionPoint(end);
  return function;
}

SmallVector<Value>
StepBuilder::inlineModel(func::FuncOp model, ValueRange arguments,
                         const DenseMap<Value, Value> &given) {
  IRMapping mapping;
  mapping.map(model.getArguments(), arguments);
  SmallVector<Operation *> copies;
  for (Operation &op : model.getBody().front().without_terminator()) {
    copies.push_back(builder.clone(op, mapping));
    for (Value result : op.getResults())
      if (Value known = given.lookup(result))
        mapping.map(result, known);
  }
  SmallVector<Value> results;
  for (Value result : model.getBody().front().getTerminator()->getOperands())
    results.push_back(mapping.lookup(result));
  DenseSet<Value> returned(results.begin(), results.end());
  for (Operation *copy : llvm::reverse(copies))
    if (!given.empty() && isOpTriviallyDead(copy) &&
        llvm::none_of(copy->getResults(),
                      [&](Value v) { return returned.contains(v); }))
      copy->erase();
  return results;
}

Value StepBuilder::read(GlobalOp global) {
  return createRead(builder, getLoc(), global);
}

void StepBuilder::write(Value value, GlobalOp global) {
  WriteOp::create(builder, getLoc(), value, global.getSymName());
}

func::FuncOp dit::findFunction(ModuleOp module, StringRef name) {
  return module.lookupSymbol<func::FuncOp>(name);
}
