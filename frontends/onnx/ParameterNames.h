//===- ParameterNames.h - What PyTorch called a weight ----------*- C++ -*-===//
//
// Exporters keep the names of biases and of Gemm weights, but a weight that
// they transposed for a MatMul becomes `onnx::MatMul_402` or `val_51`. Its
// name is still there: in the bias that is added next, in dynamo's scopes, or
// in the path that is TorchScript's node name.
//
// Dynamo makes one initializer of small tensors that are equal, as the zero
// biases of a model that was never trained: what PyTorch passed to each op
// tells them apart again.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FRONTENDS_ONNX_PARAMETERNAMES_H
#define DIT_FRONTENDS_ONNX_PARAMETERNAMES_H

#include "frontends/onnx/Model.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringSet.h"

namespace dit::onnx {

/// Tells parameters from constants, and names them.
class ParameterNames {
public:
  explicit ParameterNames(const Graph &graph);

  /// What an initializer is to the node that reads it.
  struct Identity {
    /// A weight, rather than a constant of the graph.
    bool isParameter = false;
    bool isTrainable = false;
    /// PyTorch's tensor is the transpose of the file's.
    bool isTransposed = false;
    /// PyTorch's name; the initializer's where that cannot be recovered.
    std::string name;
  };

  /// `tensor` is input `operand` of `user`. `literally`: what an exporter
  /// merged has the one name that the file has for it.
  Identity identify(const Tensor &tensor, const Node &user, unsigned operand,
                    bool literally = false) const;

  /// True where PyTorch passed parameters to the op of `user` and, as far as
  /// the file tells, `tensor` was none of them: an equal one was, whose name is
  /// not known.
  bool isStandIn(const Tensor &tensor, const Node &user,
                 unsigned operand) const;

  /// The bias that PyTorch passed to the op of `user`, a Gemm or Conv that has
  /// none: dynamo drops biases that are zero. '' where there was none.
  std::string droppedBias(const Node &user) const;

  /// True where PyTorch passed a bias to such an op, which the file has not,
  /// and whose name cannot be told.
  bool lacksUnknownBias(const Node &user) const;

  /// True for names that exporters and optimisers make up.
  static bool isGenerated(llvm::StringRef name);

private:
  bool isParameter(const Tensor &tensor, bool isWeight) const;
  std::string ownName(const Tensor &tensor, const Node &user,
                      unsigned operand) const;
  std::string recoverWeight(const Node &user) const;
  void findWrapper(const Graph &graph);
  void nameAfterFirstUse(const Graph &graph);

  /// Names of the file's initializers, as dynamo's calls spell them.
  llvm::StringSet<> mangled;
  /// Names of parameters that the file calls otherwise.
  llvm::DenseMap<llvm::StringRef, std::string> renamed;

  /// PARAMETER, BUFFER, … by initializer, where the file says so.
  llvm::DenseMap<llvm::StringRef, llvm::StringRef> kinds;
  /// "dit." where a module that wraps the whole model was exported: it is not
  /// part of the model's names.
  std::string wrapper;
  /// The only node that reads a value; null where there are more.
  llvm::DenseMap<llvm::StringRef, const Node *> users;
};

} // namespace dit::onnx

#endif
