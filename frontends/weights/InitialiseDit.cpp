//===- InitialiseDit.cpp - A model's parameters drawn anew ----------------===//
#include "frontends/weights/ApplyWeights.h"

#include "dialects/dit/DitDialect.h"
#include "frontends/builder/DitParameters.h"
#include "frontends/onnx/ImportError.h"
#include "frontends/weights/Placement.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace dit;

/// Calls `visit` with every piece of every parameter.
static void forEachPiece(ModuleOp module,
                         llvm::function_ref<void(GlobalOp, PieceAttr)> visit) {
  for (auto global : module.getOps<GlobalOp>())
    if (global.getRole() == Role::Parameter)
      for (auto piece : global.getPieces().getAsRange<PieceAttr>())
        visit(global, piece);
}

std::vector<StoredTensor> dit::collectWeights(ModuleOp module) {
  std::vector<StoredTensor> tensors;
  forEachPiece(module, [&](GlobalOp global, PieceAttr piece) {
    auto source = dyn_cast<DenseResourceElementsAttr>(piece.getSource());
    const AsmResourceBlob *blob =
        source ? source.getRawHandle().getBlob() : nullptr;
    Type element = piece.getFile().getElementType();
    StringRef type = element.isF32()    ? "F32"
                     : element.isF16()  ? "F16"
                     : element.isBF16() ? "BF16"
                     : element.isF64()  ? "F64"
                                        : "";
    if (!blob || type.empty() || piece.getName().empty())
      return;
    // The blob is the context's: it lives as long as any module does.
    tensors.push_back(
        {piece.getName().str(), type.str(), piece.getFile().getShape().vec(),
         StringRef(blob->getData().data(), blob->getData().size()), nullptr,
         global->hasAttr("dit.transposed")});
  });
  return tensors;
}

/// Blocks of the model, by its parameters' names.
static int64_t countBlocks(ModuleOp module) {
  int64_t depth = 0;
  forEachPiece(module, [&](GlobalOp, PieceAttr piece) {
    if (auto block = getBlock(getOriginalName(piece.getName()).name))
      depth = std::max(depth, *block + 1);
  });
  return depth;
}

llvm::Error dit::initialiseDit(ModuleOp module, uint64_t seed) {
  int64_t depth = countBlocks(module);
  Builder builder(module.getContext());
  std::vector<std::string> unknown;
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getRole() != Role::Parameter)
      continue;
    SmallVector<Attribute> pieces;
    for (auto piece : global.getPieces().getAsRange<PieceAttr>()) {
      DitParameter parameter = getOriginalName(piece.getName());
      // Drawn as PyTorch's tensor, so that every export gets the same numbers.
      Placement placement = Placement::of(piece);
      SmallVector<int64_t> shape(piece.getFile().getShape());
      bool fits = true;
      if (global->hasAttr("dit.transposed")) {
        fits = placement.transpose(shape[0]);
        std::reverse(shape.begin(), shape.end());
      }
      InitAttr init =
          getDitInit(builder.getContext(), parameter, shape, depth, seed);
      if (parameter.name == "pos_embed")
        pieces.push_back(piece);
      else if (init && fits)
        pieces.push_back(placement.getPiece(
            piece.getName(), piece.getFile().clone(shape), init));
      else
        unknown.push_back(onnx::quote(piece.getName()));
    }
    if (!unknown.empty())
      continue;
    global.setPiecesAttr(builder.getArrayAttr(pieces));
    global->removeAttr("dit.transposed");
  }
  if (unknown.empty())
    return llvm::Error::success();
  return onnx::makeError(onnx::ErrorKind::Unsupported,
                         "DiT has no rule for the first values of " +
                             llvm::join(unknown, ", "));
}
