//===- Import.h - From an ONNX model to dit IR ------------------*- C++ -*-===//
//
// The frontend's door: what a model wants (describe), and its forward pass as
// a function with static shapes (importModel).
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FRONTENDS_ONNX_IMPORT_H
#define DIT_FRONTENDS_ONNX_IMPORT_H

#include "frontends/onnx/ImportError.h"
#include "frontends/onnx/Model.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"

namespace dit::onnx {

/// What the user decides about an import.
struct ImportOptions {
  /// The name of the function that is made.
  std::string functionName = "forward";
  /// Size of the batch dimension; must equal a static one.
  std::optional<int64_t> batch;
  /// Sizes of symbolic dimensions by name.
  llvm::StringMap<int64_t> dims;
  /// Parameters that an exporter merged or dropped, and that the file does not
  /// tell apart again, are an error: trained, they would be one, or none.
  bool refuseMerged = false;
  /// Take the file literally: what it has merged is one parameter, what it
  /// dropped is none.
  bool asIs = false;
};

/// What an input is to a diffusion model, guessed from its name, type, rank.
enum class InputKind { Picture, Timestep, Labels, Text, Other };

/// A dimension of an input or output.
struct DimensionInterface {
  /// Nothing where it is symbolic and no option gives it a value.
  std::optional<int64_t> size;
  /// The symbol, '' where the file has none.
  std::string symbol;
  /// True for the leading dimension that --batch sets.
  bool isBatch = false;
};

/// An input or output of the model.
struct ValueInterface {
  std::string name;
  ElementType type = ElementType::Undefined;
  std::vector<DimensionInterface> dims;
  /// Of inputs only.
  InputKind kind = InputKind::Other;
};

/// What the model takes and gives.
struct ModelInterface {
  std::vector<ValueInterface> inputs, outputs;

  /// True for a picture-like input, a timestep, and labels or text: what can
  /// be sampled from.
  bool isDenoiser() const;
};

/// The model's interface under `options`. Shapes that contradict them are a
/// Contradiction; dimensions without a value are not an error here.
llvm::Expected<ModelInterface> describe(const OnnxModel &model,
                                        const ImportOptions &options);

/// Receives sentences that the user should read, without a prefix.
using WarningSink = llvm::function_ref<void(const llvm::Twine &)>;

/// Adds `func.func @functionName` to `module`: dit IR with static shapes, every
/// op located at its node, shape arithmetic evaluated, weights as dit.globals
/// whose values are spans of the mapped file. Argument and result names are
/// attributes: dit.inputs and dit.outputs. Importing a model twice, with
/// another batch and name, shares the globals.
///
/// The module's context must have the dit, func, arith, math and tensor
/// dialects loaded. `model` may go away afterwards, unless it was parsed from
/// memory. All nodes that are not supported are listed in one error.
llvm::Error importModel(const OnnxModel &model, const ImportOptions &options,
                        mlir::ModuleOp module, WarningSink warn);

} // namespace dit::onnx

#endif
