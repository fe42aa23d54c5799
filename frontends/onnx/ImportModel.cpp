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
#include "frontends/onnx/Import.h"
#include "frontends/onnx/NodeBuilder.h"
#include "frontends/onnx/Weights.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include <deque>

using namespace mlir;

namespace dit::onnx {

const OpRow *findOp(llvm::StringRef domain, llvm::StringRef name) {
  static const auto table = [] {
    llvm::DenseMap<std::pair<llvm::StringRef, llvm::StringRef>, const OpRow *>
        rows;
    for (auto group : {unaryOps(), pointwiseOps(), shapeOps(), partOps(),
                       reductionOps(), attentionOps(), linearAlgebraOps(),
                       normalisationOps(), indexingOps()})
      for (const OpRow &row : group)
        rows[{row.domain, row.name}] = &row;
    return rows;
  }();
  return table.lookup({domain, name});
}

namespace {

/// Imports one function.
class Importer {
public:
  Importer(const OnnxModel &model, const ImportOptions &options,
           ModuleOp module, WarningSink warn)
      : model(model), options(options), module(module),
        builder(module.getContext()), weights(model.graph(), module, warn) {}

  llvm::Error run();

private:
  llvm::Error createFunction(const ModelInterface &interface);
  llvm::Error finishFunction();
  llvm::Error importNodes(const Graph &graph);
  llvm::Error importNode(const Node &node);
  llvm::Error importBranch(const Node &node);
  Outputs build(const Node &node, const OpRow &row, ArrayRef<Value> inputs,
                Location loc);
  Outputs importSequenceAt(const Node &node, Location loc);
  Value importConstant(const Node &node, Location loc);
  Value resolve(llvm::StringRef name, const Node &user, unsigned operand,
                Location loc);
  void noteUnsupported(const std::string &what) {
    if (noted.insert(what).second)
      unsupported.push_back(what);
  }
  std::string whyUnknown(const Node &node) const;
  Location locationOf(const Node &node) {
    llvm::StringRef name = !node.name.empty() || node.outputs.empty()
                               ? node.name
                               : node.outputs.front();
    return NameLoc::get(builder.getStringAttr(name));
  }

  const OnnxModel &model;
  const ImportOptions &options;
  ModuleOp module;
  OpBuilder builder;
  Weights weights;
  func::FuncOp function;
  /// Values by name; null for those behind something unsupported.
  llvm::DenseMap<llvm::StringRef, Value> values;
  llvm::DenseMap<llvm::StringRef, const Tensor *> initializers;
  /// Lists of tensors by name.
  llvm::DenseMap<llvm::StringRef, Values> sequences;
  /// Initializers under another name, and those of Constant nodes.
  std::deque<Tensor> tensors;
  /// One line each, in the order of the file.
  std::vector<std::string> unsupported;
  llvm::StringSet<> noted;
};

} // namespace

/// The nodes that `outputs` need, through branches as well.
static llvm::DenseSet<const Node *> findLive(const Graph &graph) {
  llvm::DenseMap<llvm::StringRef, const Node *> producers;
  for (const Node &node : graph.nodes)
    for (llvm::StringRef name : node.outputs)
      producers[name] = &node;
  llvm::DenseSet<const Node *> live;
  SmallVector<llvm::StringRef> wanted;
  for (const ValueInfo &output : graph.outputs)
    wanted.push_back(output.name);
  auto wantInputs = [&](const Node &node, auto &&self) -> void {
    llvm::append_range(wanted, node.inputs);
    for (const NodeAttribute &attribute : node.attributes)
      if (attribute.graph) {
        for (const Node &inner : attribute.graph->nodes)
          self(inner, self);
        for (const ValueInfo &output : attribute.graph->outputs)
          wanted.push_back(output.name);
      }
  };
  while (!wanted.empty())
    if (const Node *node = producers.lookup(wanted.pop_back_val());
        node && live.insert(node).second)
      wantInputs(*node, wantInputs);
  return live;
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

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
      if (!dim.size) {
        llvm::StringRef flag = dim.isBatch ? "--batch N" : "--dim NAME=N";
        missing += "\n  dimension " + std::to_string(index) + " of the input " +
                   quote(input.name) + ", " +
                   (dim.symbol.empty()
                        ? "without a name: export with a named or fixed size"
                        : quote(dim.symbol) + ": give it with " +
                              (dim.isBatch ? "--batch N"
                                           : "--dim " + dim.symbol + "=N"));
      }
      shape.push_back(dim.size.value_or(1));
    }
    if (llvm::Error error = [&] {
          OpBuilder scratch(builder.getContext());
          static const Node none;
          return NodeBuilder(none, 0, scratch, scratch.getUnknownLoc(), {})
              .checkShape(shape);
        }())
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
  if (!error)
    error = finishFunction();
  if (error)
    function.erase();
  return error;
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

Value Importer::resolve(llvm::StringRef name, const Node &user,
                        unsigned operand, Location loc) {
  if (auto known = values.find(name); known != values.end())
    return known->second;
  const Tensor *tensor = initializers.lookup(name);
  if (!tensor)
    return {};
  Value value = weights.read(builder, loc, *tensor, user, operand);
  if (!value) {
    noteUnsupported("the initializer " + quote(name) +
                    " has the element type " + nameOf(tensor->type));
    values[name] = value;
  }
  return value;
}

/// A Constant node's value, whichever attribute holds it.
Value Importer::importConstant(const Node &node, Location loc) {
  MLIRContext *context = builder.getContext();
  auto make = [&](Type element, ArrayRef<int64_t> shape, auto values) -> Value {
    auto type = RankedTensorType::get(shape, element);
    return arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(type, ArrayRef(values)));
  };
  for (const NodeAttribute &attribute : node.attributes) {
    int64_t numbers = attribute.numbers.size(),
            integers = attribute.integers.size();
    if (attribute.name == "value" && attribute.tensor)
      return weights.constant(builder, loc, *attribute.tensor);
    if (attribute.name == "value_float")
      return make(Float32Type::get(context), {}, attribute.number);
    if (attribute.name == "value_int")
      return make(IntegerType::get(context, 64), {}, attribute.integer);
    if (attribute.name == "value_floats")
      return make(Float32Type::get(context), numbers, attribute.numbers);
    if (attribute.name == "value_ints")
      return make(IntegerType::get(context, 64), integers, attribute.integers);
  }
  return {};
}

std::string Importer::whyUnknown(const Node &node) const {
  if (llvm::is_contained(model.contents().functions, node.opType))
    return "it calls a function of the model; export with functions inlined "
           "(onnx.inliner)";
  if (!node.domain.empty())
    return "the domain " + quote(node.domain) +
           " is not known, or this op of it; ONNX's own ops are needed";
  if (llvm::StringRef(node.opType).starts_with("Random") ||
      node.opType == "Bernoulli")
    return "it draws random numbers; export the model in eval mode";
  return "this op is not supported";
}

/// The element of a list of tensors at a position that is known.
Outputs Importer::importSequenceAt(const Node &node, Location loc) {
  auto sequence = sequences.find(node.inputs.empty() ? "" : node.inputs[0]);
  Value position =
      node.inputs.size() < 2 ? Value() : resolve(node.inputs[1], node, 1, loc);
  std::optional<double> index = getSplat(position);
  if (sequence == sequences.end() || !index)
    return makeError(ErrorKind::Unsupported,
                     "its list or its position is not known at compile time");
  int64_t size = sequence->second.size(),
          place = *index < 0 ? *index + size : *index;
  if (place < 0 || place >= size)
    return makeError(ErrorKind::Malformed,
                     "position " + Twine(static_cast<int64_t>(*index)) +
                         " is outside of a list of " + Twine(size) +
                         " tensors");
  return Values{sequence->second[place]};
}

/// An If whose condition is known is its branch.
llvm::Error Importer::importBranch(const Node &node) {
  Value condition = resolve(node.inputs.empty() ? "" : node.inputs[0], node, 0,
                            locationOf(node));
  std::optional<double> known = getSplat(condition);
  const NodeAttribute *branch =
      known ? node.find(*known ? "then_branch" : "else_branch") : nullptr;
  if (!branch || !branch->graph) {
    if (condition || !values.count(node.inputs.empty() ? "" : node.inputs[0]))
      noteUnsupported("the " + node.label() +
                      ": its condition depends on the model's inputs");
    for (llvm::StringRef name : node.outputs)
      values[name] = Value();
    return llvm::Error::success();
  }
  if (branch->graph->outputs.size() != node.outputs.size())
    return makeError(ErrorKind::Malformed,
                     "the " + node.label() +
                         " has another number of outputs than its branch");
  if (llvm::Error error = importNodes(*branch->graph))
    return error;
  for (auto [inner, outer] : llvm::zip(branch->graph->outputs, node.outputs))
    values[outer] = resolve(inner.name, node, 0, locationOf(node));
  return llvm::Error::success();
}

Outputs Importer::build(const Node &node, const OpRow &row,
                        ArrayRef<Value> inputs, Location loc) {
  NodeBuilder context(node, model.opset(), builder, loc, inputs);
  if (inputs.size() < row.fewestInputs || inputs.size() > row.mostInputs ||
      llvm::is_contained(inputs.take_front(row.mostInputs == anyNumber
                                               ? inputs.size()
                                               : row.fewestInputs),
                         Value()))
    return context.malformed("it has " + Twine(inputs.size()) +
                             " inputs, or left out one that it needs");
  Block &block = function.getBody().front();
  Operation *last = block.empty() ? nullptr : &block.back();
  Outputs results = row.build(context);
  if (!results)
    return results;
  if (llvm::Error failure = context.takeFailure())
    return std::move(failure);
  evaluateConstants(block, last, *results);
  return results;
}

llvm::Error Importer::importNode(const Node &node) {
  Location loc = locationOf(node);
  if (node.domain.empty() && node.opType == "If")
    return importBranch(node);
  if (node.domain.empty() && node.opType == "Constant") {
    Value value = importConstant(node, loc);
    if (!value)
      noteUnsupported("the " + node.label() +
                      ": its value is of a kind or type that is not supported");
    if (!node.outputs.empty())
      values[node.outputs[0]] = value;
    return llvm::Error::success();
  }
  const OpRow *row = findOp(node.domain, node.opType);
  bool takes = node.domain.empty() && node.opType == "SequenceAt";
  if (!row && !takes)
    noteUnsupported("the " + node.label() + ": " + whyUnknown(node));

  // Identity of an initializer is a parameter that the exporter found equal to
  // another: a weight of its own, of the same bytes.
  if (row && node.opType == "Identity" && node.inputs.size() == 1 &&
      node.outputs.size() == 1)
    if (const Tensor *tensor = initializers.lookup(node.inputs[0])) {
      Tensor &alias = tensors.emplace_back(*tensor);
      if (!ParameterNames::isGenerated(node.outputs[0]))
        alias.name = node.outputs[0];
      initializers[node.outputs[0]] = &alias;
      return llvm::Error::success();
    }

  SmallVector<Value> inputs;
  bool poisoned = !row && !takes;
  for (auto [index, name] : llvm::enumerate(node.inputs)) {
    if (takes && index == 0) {
      poisoned |= !sequences.count(name) && values.count(name);
      continue;
    }
    inputs.push_back(name.empty() ? Value() : resolve(name, node, index, loc));
    poisoned |= !name.empty() && !inputs.back();
  }
  while (!poisoned && !inputs.empty() && !inputs.back())
    inputs.pop_back();
  Values results;
  if (!poisoned) {
    Outputs built =
        takes ? importSequenceAt(node, loc) : build(node, *row, inputs, loc);
    if (built && node.opType == "SplitToSequence" && !node.outputs.empty()) {
      sequences[node.outputs[0]] = *built;
      return llvm::Error::success();
    }
    if (built) {
      results = *built;
    } else {
      llvm::Error rest = llvm::handleErrors(
          built.takeError(), [&](const ImportError &error) -> llvm::Error {
            std::string text =
                "the " + node.label() + ": " + error.getMessage().str();
            if (error.getKind() != ErrorKind::Unsupported)
              return makeError(error.getKind(), text);
            noteUnsupported(text);
            return llvm::Error::success();
          });
      if (rest)
        return rest;
    }
  }
  bool complete = !results.empty();
  results.resize(std::max(results.size(), node.outputs.size()));
  for (auto [name, value] : llvm::zip(node.outputs, results)) {
    if (name.empty())
      continue;
    values[name] = value;
    if (complete && value &&
        llvm::any_of(getTensorType(value).getShape(),
                     [](int64_t size) { return size > mostElements; }))
      return makeError(ErrorKind::Unsupported,
                       "the " + node.label() +
                           " has a result that is too large");
  }
  return llvm::Error::success();
}

llvm::Error Importer::importNodes(const Graph &graph) {
  for (const Tensor &tensor : graph.initializers)
    initializers[tensor.name] = &tensor;
  llvm::DenseSet<const Node *> live = findLive(graph);
  for (const Node &node : graph.nodes)
    if (live.count(&node))
      if (llvm::Error error = importNode(node))
        return error;
  return llvm::Error::success();
}

llvm::Error importModel(const OnnxModel &model, const ImportOptions &options,
                        ModuleOp module, WarningSink warn) {
  llvm::Error error = Importer(model, options, module, warn).run();
  return error ? addContext(std::move(error), quote(model.name()))
               : llvm::Error::success();
}

} // namespace dit::onnx
