//===- MergedParameters.cpp - What exporters made one of ------------------===//

#include "frontends/onnx/MergedParameters.h"
#include "frontends/onnx/ImportError.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <map>
#include <set>

namespace dit::onnx {

MergedParameters::MergedParameters(const Graph &graph,
                                   const ParameterNames &names)
    : names(names) {
  for (const Node &node : graph.nodes)
    for (llvm::StringRef output : node.outputs)
      producers[output] = &node;
}

/// The output of the product whose bias input `operand` of `user` is; '' where
/// it is none.
llvm::StringRef MergedParameters::productOf(const Node &user,
                                            unsigned operand) const {
  if (user.opType == "Gemm" || user.opType == "Conv")
    return operand == 2 ? user.outputs.front() : "";
  if (user.opType != "Add" || user.inputs.size() != 2)
    return "";
  const Node *product = producers.lookup(user.inputs[1 - operand]);
  // An optimiser may have made the product one of matrices.
  if (product && product->opType == "Reshape" && !product->inputs.empty())
    product = producers.lookup(product->inputs[0]);
  bool isProduct =
      product && (product->opType == "MatMul" || product->opType == "Gemm");
  return isProduct ? product->outputs.front() : "";
}

void MergedParameters::note(std::string line) {
  if (!llvm::is_contained(noted, line))
    noted.push_back(std::move(line));
}

void MergedParameters::noteUse(const Tensor &tensor, const Node &user,
                               unsigned operand) {
  ParameterNames::Identity identity = names.identify(tensor, user, operand);
  if (!identity.isParameter || !identity.isTrainable || tensor.size() == 0 ||
      user.outputs.empty())
    return;
  if (names.isStandIn(tensor, user, operand))
    note(quote(identity.name) + " stands for another parameter at the " +
         user.label());
  Name name(identity.name, tensor.name.str());
  bool isProduct =
      user.opType == "MatMul" || user.opType == "Gemm" || user.opType == "Conv";
  if (isProduct && operand == 1)
    layers[user.outputs.front()].weight = name;
  else if (llvm::StringRef product =
               tensor.dims.size() == 1 ? productOf(user, operand) : "";
           !product.empty())
    layers[product].bias = name;
}

void MergedParameters::noteNode(const Node &node) {
  if (names.lacksUnknownBias(node))
    note("a bias was dropped at the " + node.label());
}

llvm::Error MergedParameters::check() const {
  std::vector<std::string> lines = noted;
  // By parameter: what the file calls the others that it is used with.
  std::map<Name, std::set<std::string>> partners;
  for (const auto &[product, layer] : layers)
    if (!layer.weight.first.empty() && !layer.bias.first.empty()) {
      partners[layer.weight].insert(layer.bias.second);
      partners[layer.bias].insert(layer.weight.second);
    }
  for (const auto &[name, others] : partners)
    if (others.size() > 1)
      lines.push_back(quote(name.first) + " goes with " +
                      llvm::join(llvm::map_range(others, quote), ", "));
  if (lines.empty())
    return llvm::Error::success();
  return makeError(
      ErrorKind::Unsupported,
      "the exporter merged or dropped parameters that are equal or zero, and "
      "the file no longer says which; trained, they would be one, or missing:"
      "\n  " +
          llvm::join(lines, "\n  ") +
          "\nexport the model with the exporter's metadata, or after some "
          "training, when they differ; --as-is takes the file literally");
}

} // namespace dit::onnx
