//===- ImportModel.cpp - From an ONNX model to dit IR ---------------------===//
//
// 1. Give every input a static shape: file, --batch, --dim.
// 2. Walk the nodes that the outputs need. The op table's row builds IR; what
//    has only constant operands is computed at once.
// 3. What cannot be imported is noted and the walk goes on, so that the user
//    sees everything at once; nodes behind it are only looked up in the table.
// 4. Erase what became unused, turn large constants into globals, verify.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/EvaluateConstants.h"
#include "frontends/onnx/Importer.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace dit::onnx {

/// What the user can do about a dimension without a size.
static std::string howToSize(const DimensionInterface &dim) {
  if (dim.symbol.empty())
    return "without a name: export with a named or fixed size";
  return quote(dim.symbol) + ": give it with " +
         (dim.isBatch ? "--batch N" : "--dim " + dim.symbol + "=N");
}

llvm::Error Importer::createFunction(const ModelInterface &interface) {
  SmallVector<Type> types;
  SmallVector<Attribute> names;
  SmallVector<Location> locations;
  std::string missing;
  for (const ValueInterface &input : interface.inputs) {
    Type element = convertType(builder.getContext(), input.type);
    if (!element)
      noteUnsupported("the input " + quote(input.name) +
                      " has the element type " + nameOf(input.type));
    Shape shape;
    for (auto [index, dim] : llvm::enumerate(input.dims)) {
      if (!dim.size)
        missing += "\n  dimension " + std::to_string(index) + " of the input " +
                   quote(input.name) + ", " + howToSize(dim);
      shape.push_back(dim.size.value_or(1));
    }
    if (llvm::Error error = checkShape(shape))
      return addContext(std::move(error), "the input " + quote(input.name));
    types.push_back(
        RankedTensorType::get(shape, element ? element : builder.getF32Type()));
    names.push_back(builder.getStringAttr(input.name));
    locations.push_back(NameLoc::get(builder.getStringAttr(input.name)));
  }
  if (!missing.empty())
    return makeError(ErrorKind::Contradiction,
                     "these dimensions have no size:" + missing);

  builder.setInsertionPointToEnd(module.getBody());
  function = func::FuncOp::create(
      builder, NameLoc::get(builder.getStringAttr(model.graph().name)),
      options.functionName, builder.getFunctionType(types, {}));
  function->setAttr("dit.inputs", builder.getArrayAttr(names));
  Block *body = builder.createBlock(&function.getBody(), {}, types, locations);
  for (auto [input, argument] :
       llvm::zip(model.graph().inputs, body->getArguments()))
    values[input.name] = argument;
  return llvm::Error::success();
}

llvm::Error Importer::finishFunction() {
  SmallVector<Value> results;
  SmallVector<Attribute> names;
  static const Node none;
  for (const ValueInfo &output : model.graph().outputs) {
    Location loc = NameLoc::get(builder.getStringAttr(output.name));
    Value value = resolve(output.name, none, 0, loc);
    if (!value)
      return makeError(ErrorKind::Unsupported, "the output " +
                                                   quote(output.name) +
                                                   " cannot be computed");
    ArrayRef<int64_t> shape = getTensorType(value).getShape();
    bool fits = !output.shape || output.shape->size() == shape.size();
    for (size_t dim = 0; output.shape && fits && dim < shape.size(); ++dim)
      fits = (*output.shape)[dim].size.value_or(shape[dim]) == shape[dim];
    if (!fits)
      return makeError(ErrorKind::Malformed,
                       "the shape " + describeShape(shape) + " of the output " +
                           quote(output.name) +
                           " contradicts what the file declares for it");
    results.push_back(value);
    names.push_back(builder.getStringAttr(output.name));
  }
  function->setAttr("dit.outputs", builder.getArrayAttr(names));
  func::ReturnOp::create(builder, function.getLoc(), results);
  function.setType(builder.getFunctionType(function.getArgumentTypes(),
                                           ValueRange(results).getTypes()));
  eraseUnused(function.getBody().front());
  weights.finish(function);
  if (failed(verify(function)))
    return llvm::createStringError(
        "internal error: the imported function does not verify");
  return llvm::Error::success();
}

llvm::Error Importer::run() {
  llvm::Expected<ModelInterface> interface = describe(model, options);
  if (!interface)
    return interface.takeError();
  if (module.lookupSymbol(options.functionName))
    return makeError(ErrorKind::Contradiction,
                     "the module already has a function " +
                         quote(options.functionName));
  if (llvm::Error error = createFunction(*interface))
    return error;
  llvm::Error error = importNodes(model.graph());
  if (!error && !unsupported.empty())
    error =
        makeError(ErrorKind::Unsupported, "these cannot be imported:\n  " +
                                              llvm::join(unsupported, "\n  "));
  if (!error && options.refuseMerged && !options.asIs)
    error = merged.check();
  if (!error)
    error = finishFunction();
  if (error)
    function.erase();
  return error;
}

llvm::Error importModel(const OnnxModel &model, const ImportOptions &options,
                        ModuleOp module, WarningSink warn) {
  llvm::Error error = Importer(model, options, module, warn).run();
  return error ? addContext(std::move(error), quote(model.name()))
               : llvm::Error::success();
}

} // namespace dit::onnx
