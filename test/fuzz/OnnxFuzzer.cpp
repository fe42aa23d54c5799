//===- OnnxFuzzer.cpp - Any bytes as an ONNX file -------------------------===//
//
// Reads the bytes as a model in memory; where they are one, imports it. Every
// outcome but a crash, a hang, a sanitizer's finding or IR that does not verify
// is right.
//
//===----------------------------------------------------------------------===//
#include "dialects/dit/DitDialect.h"
#include "frontends/onnx/Import.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace dit;
using namespace dit::onnx;

/// A context keeps every attribute it ever saw: a fresh one now and then.
static mlir::MLIRContext &getContext() {
  static std::unique_ptr<mlir::MLIRContext> context;
  static unsigned uses = 0;
  if (uses++ % 256 == 0) {
    context = std::make_unique<mlir::MLIRContext>(
        mlir::MLIRContext::Threading::DISABLED);
    context->loadDialect<DitDialect, mlir::arith::ArithDialect,
                         mlir::math::MathDialect, mlir::tensor::TensorDialect,
                         mlir::func::FuncDialect>();
  }
  return *context;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef bytes(reinterpret_cast<const char *>(data), size);
  llvm::Expected<std::unique_ptr<OnnxModel>> model =
      OnnxModel::parse(bytes, "fuzz");
  if (!model) {
    llvm::consumeError(model.takeError());
    return 0;
  }
  ImportOptions options;
  options.batch = 2;
  mlir::MLIRContext &context = getContext();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  llvm::Error error =
      importModel(**model, options, *module, [](const llvm::Twine &) {});
  // Everything that files can cause is an ImportError; others are ours.
  llvm::handleAllErrors(
      std::move(error), [](const ImportError &) {},
      [](const llvm::ErrorInfoBase &) { __builtin_trap(); });
  return 0;
}
