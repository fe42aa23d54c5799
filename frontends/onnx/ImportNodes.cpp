//===- ImportNodes.cpp - From nodes to operations -------------------------===//
//
// Nodes that cannot be imported are noted and leave their outputs without a
// value; nodes behind them are only looked up in the table.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/EvaluateConstants.h"
#include "frontends/onnx/Importer.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringExtras.h"

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

Value Importer::resolve(llvm::StringRef name, const Node &user,
                        unsigned operand, Location loc) {
  if (auto known = values.find(name); known != values.end())
    return known->second;
  const Tensor *tensor = initializers.lookup(name);
  if (!tensor)
    return {};
  Value value = weights.read(builder, loc, *tensor, user, operand);
  merged.noteUse(*tensor, user, operand);
  if (!value) {
    noteUnsupported("the initializer " + quote(name) +
                    " has the element type " + nameOf(tensor->type));
    values[name] = value;
  }
  return value;
}

/// A Constant node's value, whichever attribute holds it.
Outputs Importer::importConstant(const Node &node, Location loc) {
  MLIRContext *context = builder.getContext();
  auto make = [&](Type element, ArrayRef<int64_t> shape,
                  auto values) -> Outputs {
    auto type = RankedTensorType::get(shape, element);
    return Values{arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(type, ArrayRef(values)))};
  };
  for (const NodeAttribute &attribute : node.attributes) {
    int64_t numbers = attribute.numbers.size(),
            integers = attribute.integers.size();
    if (attribute.name == "value" && attribute.tensor)
      if (Value value = weights.constant(builder, loc, *attribute.tensor))
        return Values{value};
    if (attribute.name == "value_float")
      return make(Float32Type::get(context), {}, attribute.number);
    if (attribute.name == "value_int")
      return make(IntegerType::get(context, 64), {}, attribute.integer);
    if (attribute.name == "value_floats")
      return make(Float32Type::get(context), numbers, attribute.numbers);
    if (attribute.name == "value_ints")
      return make(IntegerType::get(context, 64), integers, attribute.integers);
  }
  return makeError(ErrorKind::Unsupported,
                   "its value is of a kind or type that is not supported");
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
  llvm::StringRef list = node.inputs.empty() ? "" : node.inputs[0];
  auto sequence = sequences.find(list);
  if (sequence == sequences.end() && values.count(list) && !values.lookup(list))
    return Values(); // the list itself is unsupported
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

/// Identity of an initializer is a parameter that the exporter found equal to
/// another: a weight of its own, of the same bytes.
bool Importer::importAlias(const Node &node) {
  if (options.asIs || node.opType != "Identity" || !node.domain.empty() ||
      node.inputs.size() != 1 || node.outputs.size() != 1)
    return false;
  const Tensor *tensor = initializers.lookup(node.inputs[0]);
  if (!tensor)
    return false;
  Tensor &alias = tensors.emplace_back(*tensor);
  if (!ParameterNames::isGenerated(node.outputs[0]))
    alias.name = node.outputs[0];
  initializers[node.outputs[0]] = &alias;
  return true;
}

/// A Gemm or Conv whose zero bias was dropped, with it: when the model is
/// trained it learns, else simplify drops it again. False where nothing was.
llvm::Expected<bool> Importer::importWithDroppedBias(const Node &node,
                                                     Location loc) {
  std::string bias = options.asIs ? "" : weights.getNames().droppedBias(node);
  const Tensor *weight =
      bias.empty() ? nullptr : initializers.lookup(node.inputs[1]);
  if (!weight || weight->dims.size() < 2 || initializers.count(bias) ||
      sizeOf(weight->type) == 0)
    return false;
  const NodeAttribute *transposed = node.find("transB");
  bool isLast = node.opType == "Gemm" && !(transposed && transposed->integer);
  struct Values {
    std::string name, zeros;
  };
  auto values = std::make_shared<Values>();
  Tensor &tensor = tensors.emplace_back();
  tensor.type = weight->type;
  tensor.dims = {weight->dims[isLast ? 1 : 0]};
  values->name = bias;
  values->zeros.resize(tensor.size() * sizeOf(tensor.type));
  tensor.name = values->name;
  tensor.data = values->zeros;
  tensor.owner = values;
  initializers[tensor.name] = &tensor;
  Node whole = node;
  whole.inputs.push_back(tensor.name);
  if (llvm::Error error = importWithRow(whole, loc))
    return std::move(error);
  return true;
}

/// The node's inputs, those left out at the end dropped; nothing if one is
/// behind something that could not be imported.
std::optional<SmallVector<Value>> Importer::resolveInputs(const Node &node,
                                                          Location loc) {
  SmallVector<Value> inputs;
  bool complete = true;
  for (auto [index, name] : llvm::enumerate(node.inputs)) {
    inputs.push_back(name.empty() ? Value() : resolve(name, node, index, loc));
    complete &= name.empty() || inputs.back();
  }
  if (!complete)
    return std::nullopt;
  while (!inputs.empty() && !inputs.back())
    inputs.pop_back();
  return inputs;
}

/// Gives the node's outputs their values; none where they are unsupported,
/// which is noted.
llvm::Error Importer::record(const Node &node, Outputs outputs) {
  Values results;
  if (outputs)
    results = *outputs;
  llvm::Error rest = llvm::handleErrors(
      outputs.takeError(), [&](const ImportError &error) -> llvm::Error {
        std::string text =
            "the " + node.label() + ": " + error.getMessage().str();
        if (error.getKind() != ErrorKind::Unsupported)
          return makeError(error.getKind(), text);
        noteUnsupported(text);
        return llvm::Error::success();
      });
  if (rest)
    return rest;
  if (node.opType == "SplitToSequence" && !results.empty() &&
      !node.outputs.empty()) {
    sequences[node.outputs[0]] = results;
    return llvm::Error::success();
  }
  results.resize(std::max(results.size(), node.outputs.size()));
  for (auto [name, value] : llvm::zip(node.outputs, results))
    if (!name.empty())
      values[name] = value;
  return llvm::Error::success();
}

llvm::Error Importer::importWithRow(const Node &node, Location loc) {
  const OpRow *row = findOp(node.domain, node.opType);
  if (!row)
    noteUnsupported("the " + node.label() + ": " + whyUnknown(node));
  // Also where the row is missing: what the inputs lack is noted as well.
  std::optional<SmallVector<Value>> inputs = resolveInputs(node, loc);
  return record(node, row && inputs ? build(node, *row, *inputs, loc)
                                    : Outputs(Values()));
}

llvm::Error Importer::importNode(const Node &node) {
  Location loc = locationOf(node);
  merged.noteNode(node);
  if (importAlias(node))
    return llvm::Error::success();
  if (!node.domain.empty())
    return importWithRow(node, loc);
  if (node.opType == "If")
    return importBranch(node);
  if (node.opType == "Constant")
    return record(node, importConstant(node, loc));
  if (node.opType == "SequenceAt")
    return record(node, importSequenceAt(node, loc));
  llvm::Expected<bool> done = importWithDroppedBias(node, loc);
  if (!done)
    return done.takeError();
  return *done ? llvm::Error::success() : importWithRow(node, loc);
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

} // namespace dit::onnx
