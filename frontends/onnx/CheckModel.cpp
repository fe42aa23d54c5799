//===- CheckModel.cpp - Does the model hold together? ---------------------===//
//
// Names resolve and are defined once; nodes are put into an order in which
// each follows its inputs (most files have it; the sort is stable). A branch
// of an If sees the names of the graph around it.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ImportError.h"
#include "frontends/onnx/Model.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/JSON.h"

namespace dit::onnx {

/// The versions of the default operator set that this frontend reads.
static constexpr int64_t oldestOpset = 13, newestOpset = 25;

static llvm::Error malformed(const llvm::Twine &message) {
  return makeError(ErrorKind::Malformed, message);
}

static llvm::Error checkOperatorSets(const ModelContents &model) {
  std::optional<int64_t> version;
  for (const OperatorSet &set : model.operatorSets) {
    if (!set.domain.empty() && set.domain != "ai.onnx")
      continue;
    if (version && *version != set.version)
      return malformed(
          "the default operator set is imported twice, with versions " +
          llvm::Twine(*version) + " and " + llvm::Twine(set.version));
    version = set.version;
  }
  if (!version)
    return malformed("the file imports no version of the default operator set "
                     "(opset_import)");
  if (*version < oldestOpset || *version > newestOpset)
    return makeError(
        ErrorKind::Unsupported,
        "operator set " + llvm::Twine(*version) + " is not supported, only " +
            llvm::Twine(oldestOpset) + " to " + llvm::Twine(newestOpset) +
            "; export again with one of these, or convert the file with "
            "onnx.version_converter");
  return llvm::Error::success();
}

namespace {

/// Checks one graph, its branches within.
class GraphChecker {
public:
  GraphChecker(Graph &graph, const GraphChecker *outer)
      : graph(graph), outer(outer) {}

  llvm::Error check();

private:
  llvm::Error define();
  llvm::Error define(llvm::StringRef name, const llvm::Twine &what);
  llvm::Error resolve(llvm::StringRef name, const llvm::Twine &user) const;
  llvm::Error sort();
  llvm::Error reportCycle(llvm::ArrayRef<unsigned> missing) const;
  llvm::Error checkBranches();

  Graph &graph;
  const GraphChecker *outer;
  llvm::DenseSet<llvm::StringRef> inputs;
  /// The node that makes a value; −1 for inputs and initializers.
  llvm::DenseMap<llvm::StringRef, int> producers;
};

} // namespace

llvm::Error GraphChecker::define(llvm::StringRef name,
                                 const llvm::Twine &what) {
  if (name.empty())
    return malformed(what + " has no name");
  if (!llvm::json::isUTF8(name))
    return malformed("the name " + quote(name) + " of " + what +
                     " is not UTF-8");
  if (!producers.try_emplace(name, -1).second)
    return malformed("the name " + quote(name) +
                     " is defined twice, the second time by " + what);
  return llvm::Error::success();
}

llvm::Error GraphChecker::define() {
  for (const Tensor &tensor : graph.initializers)
    if (llvm::Error error = define(tensor.name, "an initializer at byte " +
                                                    llvm::Twine(tensor.offset)))
      return error;
  // Before IR version 4 every initializer was also listed as an input.
  llvm::erase_if(graph.inputs, [&](const ValueInfo &input) {
    return producers.count(input.name);
  });
  for (const ValueInfo &input : graph.inputs)
    if (llvm::Error error = define(input.name, "an input of the graph"))
      return error;
  for (auto [index, node] : llvm::enumerate(graph.nodes)) {
    if (!llvm::json::isUTF8(node.name))
      return malformed("the name of the " + node.label() + " at byte " +
                       llvm::Twine(node.offset) + " is not UTF-8");
    for (llvm::StringRef name : node.outputs) {
      if (name.empty())
        continue;
      if (llvm::Error error = define(name, "the " + node.label()))
        return error;
      producers[name] = index;
    }
  }
  return llvm::Error::success();
}

llvm::Error GraphChecker::resolve(llvm::StringRef name,
                                  const llvm::Twine &user) const {
  for (const GraphChecker *scope = this; scope; scope = scope->outer)
    if (scope->producers.count(name))
      return llvm::Error::success();
  return malformed(user + " reads " + quote(name) +
                   ", which nothing in the file defines");
}

llvm::Error GraphChecker::reportCycle(llvm::ArrayRef<unsigned> missing) const {
  // Every unfinished node waits for another unfinished one: follow them until
  // one comes again.
  auto waitsFor = [&](unsigned node) {
    for (llvm::StringRef name : graph.nodes[node].inputs) {
      auto producer = producers.find(name);
      if (producer != producers.end() && producer->second >= 0 &&
          missing[producer->second])
        return static_cast<unsigned>(producer->second);
    }
    llvm_unreachable("an unfinished node has an unfinished input");
  };
  unsigned node =
      llvm::find_if(missing, [](unsigned count) { return count != 0; }) -
      missing.begin();
  llvm::DenseSet<unsigned> seen;
  while (seen.insert(node).second)
    node = waitsFor(node);
  std::string path = graph.nodes[node].label();
  unsigned step = waitsFor(node);
  for (unsigned shown = 0; step != node && shown < 8;
       ++shown, step = waitsFor(step))
    path += ", which needs the " + graph.nodes[step].label();
  return malformed("the graph has a cycle: the " + path +
                   ", which needs the first again");
}

llvm::Error GraphChecker::sort() {
  std::vector<unsigned> missing(graph.nodes.size());
  std::vector<std::vector<unsigned>> users(graph.nodes.size());
  bool sorted = true;
  for (auto [index, node] : llvm::enumerate(graph.nodes)) {
    for (llvm::StringRef name : node.inputs) {
      if (name.empty())
        continue;
      if (llvm::Error error = resolve(name, "the " + node.label()))
        return error;
      auto producer = producers.find(name);
      if (producer == producers.end() || producer->second < 0)
        continue;
      users[producer->second].push_back(index);
      ++missing[index];
      sorted &= producer->second < static_cast<int>(index);
    }
  }
  if (sorted)
    return llvm::Error::success();

  std::vector<unsigned> order;
  for (unsigned index = 0; index < missing.size(); ++index)
    if (!missing[index])
      order.push_back(index);
  for (size_t next = 0; next < order.size(); ++next)
    for (unsigned user : users[order[next]])
      if (!--missing[user])
        order.push_back(user);
  if (order.size() < graph.nodes.size())
    return reportCycle(missing);
  std::vector<Node> nodes;
  nodes.reserve(order.size());
  for (auto [place, index] : llvm::enumerate(order)) {
    nodes.push_back(std::move(graph.nodes[index]));
    for (llvm::StringRef name : nodes.back().outputs)
      if (!name.empty())
        producers[name] = place;
  }
  graph.nodes = std::move(nodes);
  return llvm::Error::success();
}

llvm::Error GraphChecker::checkBranches() {
  for (Node &node : graph.nodes) {
    llvm::DenseSet<llvm::StringRef> names;
    for (NodeAttribute &attribute : node.attributes) {
      if (!names.insert(attribute.name).second)
        return malformed("the " + node.label() + " has the attribute " +
                         quote(attribute.name) + " twice");
      if (!attribute.graph)
        continue;
      if (llvm::Error error = GraphChecker(*attribute.graph, this).check())
        return addContext(std::move(error), "in the " + attribute.name +
                                                " of the " + node.label());
    }
  }
  return llvm::Error::success();
}

llvm::Error GraphChecker::check() {
  if (llvm::Error error = define())
    return error;
  if (llvm::Error error = sort())
    return error;
  if (graph.outputs.empty())
    return malformed("the graph has no outputs");
  for (const ValueInfo &output : graph.outputs)
    if (llvm::Error error = resolve(output.name, "an output of the graph"))
      return error;
  return checkBranches();
}

llvm::Error checkModel(ModelContents &model) {
  if (llvm::Error error = checkOperatorSets(model))
    return error;
  return GraphChecker(model.graph, nullptr).check();
}

} // namespace dit::onnx
