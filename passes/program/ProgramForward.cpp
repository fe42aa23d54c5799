//===- ProgramForward.cpp - Run the model once ----------------------------===//
#include "passes/program/Passes.h"
#include "passes/program/StepBuilder.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_PROGRAMFORWARD
#include "passes/program/Passes.h.inc"
} // namespace dit

using namespace dit;

/// The names of the model's arguments or results, checked against `count`.
static FailureOr<SmallVector<StringRef>>
getNames(func::FuncOp model, StringRef attribute, unsigned count) {
  SmallVector<StringRef> names;
  if (auto array = model->getAttrOfType<ArrayAttr>(attribute))
    for (Attribute name : array)
      if (auto string = dyn_cast<StringAttr>(name))
        names.push_back(string.getValue());
  if (names.size() == count)
    return names;
  return model.emitOpError("needs ") << count << " names in '" << attribute
                                     << "', but has " << names.size();
}

static DictionaryAttr describeInterface(OpBuilder &builder, StringRef name,
                                        GlobalOp global) {
  return builder.getDictionaryAttr(
      {builder.getNamedAttr("name", builder.getStringAttr(name)),
       builder.getNamedAttr("global", global.getSymNameAttr())});
}

namespace {
struct ProgramForward : dit::impl::ProgramForwardBase<ProgramForward> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    func::FuncOp model = findFunction(module, "forward");
    if (!model) {
      module.emitOpError("has no function @forward");
      return signalPassFailure();
    }
    auto inputs = getNames(model, "dit.inputs", model.getNumArguments());
    auto outputs = getNames(model, "dit.outputs", model.getNumResults());
    if (failed(inputs) || failed(outputs))
      return signalPassFailure();

    StepBuilder steps(module);
    OpBuilder &builder = steps.getBuilder();
    SmallVector<GlobalOp> inputGlobals, outputGlobals;
    SmallVector<Attribute> inputNames, outputNames;
    auto declare = [&](StringRef name, Role role, Type type,
                       SmallVectorImpl<GlobalOp> &globals,
                       SmallVectorImpl<Attribute> &names) {
      globals.push_back(
          steps.addGlobal(name, role, cast<RankedTensorType>(type)));
      names.push_back(describeInterface(builder, name, globals.back()));
    };
    for (auto [name, type] : llvm::zip(*inputs, model.getArgumentTypes()))
      declare(name, Role::Input, type, inputGlobals, inputNames);
    for (auto [name, type] : llvm::zip(*outputs, model.getResultTypes()))
      declare(name, Role::Output, type, outputGlobals, outputNames);

    steps.beginStep("run", "forward");
    SmallVector<Value> arguments;
    for (GlobalOp global : inputGlobals)
      arguments.push_back(steps.read(global));
    for (auto [value, global] :
         llvm::zip(steps.inlineModel(model, arguments), outputGlobals))
      steps.write(value, global);

    model.erase();
    if (func::FuncOp single = findFunction(module, "forward_single"))
      single.erase();
    module->setAttr("dit.mode", builder.getStringAttr("forward"));
    module->setAttr("dit.inputs", builder.getArrayAttr(inputNames));
    module->setAttr("dit.outputs", builder.getArrayAttr(outputNames));
  }
};
} // namespace
