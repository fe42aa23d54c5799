//===- Importing.h - Import of models made in a test ------------*- C++ -*-===//
//
// A model whose inputs are all constants is computed by its import: that is
// how the table of ops is tested by numbers, without a backend.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_TEST_FRONTENDS_ONNX_IMPORTING_H
#define DIT_TEST_FRONTENDS_ONNX_IMPORTING_H

#include "dialects/dit/DitDialect.h"
#include "frontends/onnx/Import.h"
#include "frontends/onnx/NodeBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "test/frontends/onnx/ModelWriter.h"
#include "gtest/gtest.h"

namespace dit::onnx::test {

/// A module to import into, and what came of it.
struct Imported {
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string bytes, warnings;
  /// 0 and "", or the error.
  int code = 0;
  std::string error;

  Imported() {
    context.loadDialect<DitDialect, mlir::arith::ArithDialect,
                        mlir::math::MathDialect, mlir::tensor::TensorDialect,
                        mlir::func::FuncDialect>();
    module = mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  }
  void note(llvm::Error failure) {
    llvm::handleAllErrors(
        std::move(failure),
        [&](const ImportError &e) {
          code = e.exitCode();
          error = e.getMessage().str();
        },
        [&](const llvm::ErrorInfoBase &e) {
          code = 70;
          error = e.message();
        });
  }
  void import(llvm::Expected<std::unique_ptr<OnnxModel>> model,
              const ImportOptions &options) {
    if (!model)
      return note(model.takeError());
    note(importModel(**model, options, *module, [&](const llvm::Twine &text) {
      warnings += text.str() + "\n";
    }));
  }
  void import(const std::string &file, const ImportOptions &options = {}) {
    bytes = file;
    import(OnnxModel::parse(bytes, "m"), options);
  }
  void open(const std::string &path, const ImportOptions &options = {}) {
    import(OnnxModel::open(path), options);
  }
  mlir::func::FuncOp function(llvm::StringRef name = "forward") {
    return module->lookupSymbol<mlir::func::FuncOp>(name);
  }
  /// The function as text.
  std::string text() {
    std::string result;
    llvm::raw_string_ostream stream(result);
    if (mlir::func::FuncOp op = function())
      op.print(stream);
    return error.empty() ? result : error;
  }
  /// The constant that the function returns as result `index`; null if it is
  /// none.
  mlir::DenseElementsAttr constant(unsigned index = 0) {
    if (!function())
      return {};
    mlir::Value value =
        function().getBody().front().getTerminator()->getOperand(index);
    if (mlir::DenseElementsAttr splat = getConstant(value))
      return splat;
    auto read = value.getDefiningOp<ReadOp>();
    if (!read)
      return {};
    auto global = module->lookupSymbol<GlobalOp>(read.getGlobal());
    return llvm::dyn_cast<mlir::DenseElementsAttr>(
        llvm::cast<PieceAttr>(global.getPieces()[0]).getSource());
  }
};

/// The names of a module's parameters, sorted.
inline std::vector<std::string> parameters(Imported &imported) {
  std::vector<std::string> names;
  for (GlobalOp global : imported.module->getOps<GlobalOp>())
    if (global.getRole() == Role::Parameter)
      names.push_back(global.getSymName().str());
  llvm::sort(names);
  return names;
}

/// "2x3xf32: 1 2 3 …" of a constant; the error, or the IR, where it is none.
inline std::string show(Imported &imported, unsigned index = 0) {
  mlir::DenseElementsAttr constant = imported.constant(index);
  if (!constant)
    return imported.text();
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (int64_t size : constant.getType().getShape())
    stream << size << "x";
  stream << constant.getElementType() << ":";
  if (llvm::isa<mlir::FloatType>(constant.getElementType())) {
    for (llvm::APFloat value : constant.getValues<llvm::APFloat>()) {
      bool inexact;
      value.convert(llvm::APFloat::IEEEdouble(),
                    llvm::APFloat::rmNearestTiesToEven, &inexact);
      stream << llvm::format(" %.6g", value.convertToDouble());
    }
  } else {
    for (const llvm::APInt &value : constant.getValues<llvm::APInt>())
      stream << " "
             << value.getSExtValue() * (value.getBitWidth() == 1 ? -1 : 1);
  }
  return text;
}

/// One node on constants c0, c1, … ('' leaves an input out): its output
/// `index`.
inline std::string compute(const std::string &type, const Names &tensors,
                           const std::string &attributes = "",
                           unsigned outputs = 1, unsigned index = 0,
                           int64_t opset = 20) {
  GraphWriter graph;
  Names inputs, results;
  for (auto [number, tensor] : llvm::enumerate(tensors)) {
    inputs.push_back(tensor.empty() ? "" : "c" + std::to_string(number));
    if (!tensor.empty())
      graph.initializer(tensor + bytes(8, inputs.back()));
  }
  for (unsigned result = 0; result < outputs; ++result)
    results.push_back("r" + std::to_string(result));
  graph.node(node(type, inputs, results, attributes)).result(results[index]);
  Imported imported;
  imported.import(model(graph, opset));
  return show(imported);
}

// Constants for compute(), which names them.
inline std::string F(const std::vector<int64_t> &dims,
                     const std::vector<float> &values) {
  return floats("", dims, values);
}
inline std::string I(const std::vector<int64_t> &dims,
                     const std::vector<int64_t> &values) {
  return integers("", dims, values);
}
inline std::string I(const std::vector<int64_t> &values) {
  return I({static_cast<int64_t>(values.size())}, values);
}
inline std::string B(const std::vector<char> &values) {
  return booleans("", {static_cast<int64_t>(values.size())}, values);
}

} // namespace dit::onnx::test

#endif // DIT_TEST_FRONTENDS_ONNX_IMPORTING_H
