//===- MergedParameters.h - What exporters made one of ----------*- C++ -*-===//
//
// Exporters merge tensors that are equal, as zero biases, and drop what is
// zero. Where the file tells which parameters they were, ParameterNames has
// them apart again. Where it does not (its metadata was stripped), that
// something is missing can still be seen:
//
//   a bias     of linear layers whose weights are different ones
//   a weight   of linear layers whose biases are different ones
//   a call     that names other parameters than the file has there
//
// A module that is called twice shares weight and bias, and is none of these.
// Layers that are equal as a whole (dynamo merges weights below 1024 numbers)
// are one node in the file, and nothing tells.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FRONTENDS_ONNX_MERGEDPARAMETERS_H
#define DIT_FRONTENDS_ONNX_MERGEDPARAMETERS_H

#include "frontends/onnx/ParameterNames.h"
#include "llvm/ADT/MapVector.h"

namespace dit::onnx {

/// Sees parameters that should have been several, or that lack.
class MergedParameters {
public:
  MergedParameters(const Graph &graph, const ParameterNames &names);

  /// `tensor`, which may have been given another name, is input `operand` of
  /// `user`.
  void noteUse(const Tensor &tensor, const Node &user, unsigned operand);
  /// `node` is imported as it is in the file.
  void noteNode(const Node &node);

  /// Unsupported, with the whole list, where there are such parameters.
  llvm::Error check() const;

private:
  /// A parameter: what it is called, and what the file calls it. Both tell
  /// parameters apart: of a merged bias the name is the same, and what weights
  /// are called may come from it.
  using Name = std::pair<std::string, std::string>;
  /// A linear layer's weight and bias.
  struct Layer {
    Name weight, bias;
  };
  llvm::StringRef productOf(const Node &user, unsigned operand) const;
  void note(std::string line);

  const ParameterNames &names;
  llvm::DenseMap<llvm::StringRef, const Node *> producers;
  /// By the name of the product's output.
  llvm::MapVector<llvm::StringRef, Layer> layers;
  /// Lines of the list.
  std::vector<std::string> noted;
};

} // namespace dit::onnx

#endif
