//===- Importer.h - The import of one function ------------------*- C++ -*-===//
//
// Private to ImportModel.cpp, which makes the function, and ImportNodes.cpp,
// which fills it.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FRONTENDS_ONNX_IMPORTER_H
#define DIT_FRONTENDS_ONNX_IMPORTER_H

#include "frontends/onnx/Import.h"
#include "frontends/onnx/MergedParameters.h"
#include "frontends/onnx/NodeBuilder.h"
#include "frontends/onnx/Weights.h"
#include "llvm/ADT/StringSet.h"
#include <deque>

namespace dit::onnx {

/// Imports one function.
class Importer {
public:
  Importer(const OnnxModel &model, const ImportOptions &options,
           mlir::ModuleOp module, WarningSink warn)
      : model(model), options(options), module(module),
        builder(module.getContext()),
        weights(model.graph(), module, warn, options.asIs),
        merged(model.graph(), weights.getNames()) {}

  /// Makes the function, or nothing and an error.
  llvm::Error run();

private:
  /// The function with its arguments; dimensions without a size are an error.
  llvm::Error createFunction(const ModelInterface &interface);
  /// Results, names, globals of constants; verifies.
  llvm::Error finishFunction();
  /// The nodes that the graph's outputs need, in order.
  llvm::Error importNodes(const Graph &graph);
  llvm::Error importNode(const Node &node);
  /// The branch of an If whose condition is known.
  llvm::Error importBranch(const Node &node);
  /// By the op table.
  llvm::Error importWithRow(const Node &node, mlir::Location loc);
  bool importAlias(const Node &node);
  llvm::Expected<bool> importWithDroppedBias(const Node &node,
                                             mlir::Location loc);
  llvm::Error record(const Node &node, Outputs outputs);
  std::optional<llvm::SmallVector<mlir::Value>>
  resolveInputs(const Node &node, mlir::Location loc);
  /// Runs the row, and computes what has only constant operands.
  Outputs build(const Node &node, const OpRow &row,
                llvm::ArrayRef<mlir::Value> inputs, mlir::Location loc);
  Outputs importSequenceAt(const Node &node, mlir::Location loc);
  Outputs importConstant(const Node &node, mlir::Location loc);
  /// The value called `name`, as input `operand` of `user`; null where it
  /// could not be imported.
  mlir::Value resolve(llvm::StringRef name, const Node &user, unsigned operand,
                      mlir::Location loc);
  /// Adds a line to the list that ends the import.
  void noteUnsupported(const std::string &what) {
    if (noted.insert(what).second)
      unsupported.push_back(what);
  }
  /// Why the op table has no row for the node.
  std::string whyUnknown(const Node &node) const;
  mlir::Location locationOf(const Node &node) {
    llvm::StringRef name = !node.name.empty() || node.outputs.empty()
                               ? node.name
                               : node.outputs.front();
    return mlir::NameLoc::get(builder.getStringAttr(name));
  }

  const OnnxModel &model;
  const ImportOptions &options;
  mlir::ModuleOp module;
  mlir::OpBuilder builder;
  Weights weights;
  MergedParameters merged;
  mlir::func::FuncOp function;
  /// Values by name; null for those behind something unsupported.
  llvm::DenseMap<llvm::StringRef, mlir::Value> values;
  llvm::DenseMap<llvm::StringRef, const Tensor *> initializers;
  /// Lists of tensors by name.
  llvm::DenseMap<llvm::StringRef, Values> sequences;
  /// Initializers under another name, and those of Constant nodes.
  std::deque<Tensor> tensors;
  /// One line each, in the order of the file.
  std::vector<std::string> unsupported;
  llvm::StringSet<> noted;
};

} // namespace dit::onnx

#endif
