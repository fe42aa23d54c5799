//===- Weights.h - From initializers to values in IR ------------*- C++ -*-===//
//
// A parameter becomes a dit.global whose values are a span of the mapped file,
// and is read where it is used. A constant becomes an arith.constant, so that
// what is computed from it can be computed here; what is left of those at the
// end, and is more than one number, becomes a global too.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FRONTENDS_ONNX_WEIGHTS_H
#define DIT_FRONTENDS_ONNX_WEIGHTS_H

#include "dialects/dit/Builders.h"
#include "frontends/onnx/Import.h"
#include "frontends/onnx/ParameterNames.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace dit::onnx {

/// The weights of one function.
class Weights {
public:
  /// `literally`: each initializer is one parameter, whoever reads it.
  Weights(const Graph &graph, mlir::ModuleOp module, WarningSink warn,
          bool literally)
      : names(graph), module(module), symbols(module), warn(warn),
        literally(literally) {}

  /// The value of an initializer as input `operand` of `user`; null if its
  /// element type has no counterpart in IR.
  mlir::Value read(mlir::OpBuilder &builder, mlir::Location loc,
                   const Tensor &tensor, const Node &user, unsigned operand);

  /// The value of a constant.
  mlir::Value constant(mlir::OpBuilder &builder, mlir::Location loc,
                       const Tensor &tensor);

  /// Makes globals of the constants in `function` that are no splats.
  void finish(mlir::func::FuncOp function);

  const ParameterNames &getNames() const { return names; }

private:
  GlobalOp getGlobal(mlir::Location loc, llvm::StringRef name, Role role,
                     mlir::RankedTensorType type, mlir::ElementsAttr source,
                     llvm::StringRef pieceName);
  mlir::ElementsAttr getSource(mlir::RankedTensorType type,
                               const Tensor &tensor);
  mlir::Value readGlobal(mlir::OpBuilder &builder, mlir::Location loc,
                         GlobalOp global);

  ParameterNames names;
  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  WarningSink warn;
  bool literally;
  /// The parameters of initializers, where these are taken literally.
  llvm::DenseMap<const Tensor *, GlobalOp> parameters;
  /// What was read already, by initializer and name, and by global.
  llvm::DenseMap<const Tensor *, mlir::Value> constants;
  llvm::DenseMap<mlir::Operation *, mlir::Value> reads;
  llvm::DenseMap<const char *, bool> checked;
};

} // namespace dit::onnx

#endif
